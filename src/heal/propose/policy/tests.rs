//! One patch per rule, written by git's rules.

use super::*;

fn policy() -> Policy {
    let settings = Settings { protected: vec!["billing/**".to_owned()], ..Settings::default() };
    Policy::new(settings, Redactor::builtin()).expect("the globs are right")
}

/// A patch that adds `line` to the file.
fn adding(path: &str, line: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nindex 1..2 100644\n--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n x\n+{line}\n"
    )
}

fn new_file(path: &str, mode: &str, line: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0..1\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{line}\n"
    )
}

fn judged(text: &str) -> Verdict {
    policy().judge(&Patch::parse(text).expect("git writes it so"))
}

fn reasons(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.reason.as_str()).collect()
}

#[test]
fn a_plain_fix_with_its_test_passes() {
    let text = adding("src/shop.py", "    return total / n if n else 0")
        + &new_file("tests/test_shop.py", "100644", "assert average([]) == 0");
    assert_eq!(judged(&text), Verdict::default());
}

#[test]
fn refuses_by_path() {
    let cases = [
        ".github/workflows/ci.yml",
        "sub/.GitHub/dependabot.yml",
        ".gitlab-ci.yml",
        ".gitmodules",
        "docs/.gitattributes",
        ".git/config",
        "GIT~1/config",
        ".circleci/config.yml",
        "Jenkinsfile",
        "azure-pipelines.yml",
        ".husky/pre-commit",
        ".vscode/tasks.json",
        "AGENTS.md",
        "pkg/CLAUDE.md",
        ".claude/settings.json",
        ".cursor/rules/a.mdc",
        ".mcp.json",
        "docs/CODEOWNERS",
        ".homeostat.toml",
        "billing/invoice.py",
        "a/../../etc/passwd",
    ];
    for path in cases {
        assert!(!judged(&adding(path, "y")).refusals.is_empty(), "{path}");
    }
    for path in ["src/agents.py", "src/github.py", "gitlog.py", "owners.py", "lib/claude.py"] {
        assert_eq!(judged(&adding(path, "y")).refusals, [], "{path}");
    }
}

#[test]
fn refuses_by_mode_and_kind() {
    let cases = [
        (new_file("a", "120000", "/etc/passwd"), "it is a symbolic link"),
        (new_file("a", "160000", "Subproject commit 1"), "it is a submodule"),
        (new_file("a.sh", "100755", "echo"), "it becomes executable"),
        ("diff --git a/a b/a\nold mode 100644\nnew mode 100755\n".to_owned(), "it becomes executable"),
        (
            "diff --git a/a.png b/a.png\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZQz0RjL3\n\nliteral 0\nHcmV?d00001\n\n".to_owned(),
            "it is binary",
        ),
    ];
    for (text, reason) in cases {
        assert!(reasons(&judged(&text).refusals).contains(&reason), "{text}");
    }
    let stays = "diff --git a/a.sh b/a.sh\nindex 1..2 100755\n--- a/a.sh\n+++ b/a.sh\n@@ -1 +1 @@\n-x\n+y\n";
    assert_eq!(judged(stays).refusals, []);
    let closed = "diff --git a/a.sh b/a.sh\nold mode 100755\nnew mode 100644\n";
    assert_eq!(judged(closed).refusals, []);
}

#[test]
fn refuses_by_content() {
    let hidden = "a new line holds invisible or text-reversing characters";
    let long = "x".repeat(1_001);
    let cases = [
        ("if access \u{202e} admin", hidden),
        ("na\u{200b}me = 1", hidden),
        ("x = '\u{e0041}'", hidden),
        ("\u{1b}[2J", hidden),
        (&long, "a new line is too long to be reviewed"),
        (
            "key = \"[redacted:github-token]\"",
            "a new line holds a placeholder of the redactor in the place of a secret",
        ),
        ("t = 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'", "a new line holds a secret (github-token)"),
    ];
    for (line, reason) in cases {
        assert_eq!(reasons(&judged(&adding("a.py", line)).refusals), [reason], "{line:?}");
    }
    for line in ["print('⚠️ careful')", "crlf\r", "x = '1️⃣'"] {
        assert_eq!(judged(&adding("a.py", line)).refusals, [], "{line:?}");
    }
}

#[test]
fn hidden_characters_that_were_there_may_stay() {
    let text = "diff --git a/a.txt b/a.txt\nindex 1..2 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-\u{feff}old\n+\u{feff}new\n";
    assert_eq!(judged(text).refusals, []);
}

#[test]
fn refuses_by_size() {
    assert_eq!(reasons(&judged("").refusals), ["it changes nothing"]);
    let files: String = (0..21).map(|n| adding(&format!("f{n}.py"), "y")).collect();
    assert_eq!(reasons(&judged(&files).refusals), ["21 files, more than 20"]);
    let lines = "+y\n".repeat(801);
    let long = format!("diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -0,0 +1,801 @@\n{lines}");
    assert_eq!(reasons(&judged(&long).refusals), ["801 changed lines, more than 800"]);
}

#[test]
fn names_what_to_look_at() {
    let cases = [
        (adding("requirements.txt", "evil==1"), "a manifest or lock file of dependencies changes"),
        (adding("web/Dockerfile", "RUN x"), "how it is packaged or deployed changes"),
        (adding("tests/conftest.py", "y"), "what builds or tests the project changes"),
        (adding("db/migrations/1.py", "y"), "stored data or its schema changes"),
        (adding("src/auth.py", "y"), "it seems to guard access"),
        (adding("tests/test_a.py", "y"), "an existing test is changed"),
        (adding("a.py", "subprocess.run(x)"), "a new line starts a process"),
        (adding("a.py", "eval(x)"), "a new line runs code made at run time"),
        (adding("a.py", "pickle.loads(x)"), "a new line reads objects from bytes"),
        (adding("a.py", "requests.get(u)"), "a new line talks to the network or holds an address"),
        (adding("a.js", "process.env.KEY"), "a new line reads the environment"),
        (adding("a.py", &"QUJD".repeat(40)), "a new line holds an encoded blob"),
        (adding("a.py", "    except Exception:"), "a new line swallows errors"),
        (adding("a.py", "login(password='hunter2secret')"), "a new line may hold a secret (password)"),
    ];
    for (text, reason) in cases {
        let verdict = judged(&text);
        assert!(reasons(&verdict.look_at).contains(&reason), "{text}: {verdict:?}");
        assert_eq!(verdict.refusals, [], "{text}");
    }
}
