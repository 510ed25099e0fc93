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
    policy().judge(&Patch::parse(text).expect("git writes it so"), |_| None, Vec::new())
}

/// Rules of this level that a patch meets.
fn rules(text: &str, level: Level) -> Vec<&'static str> {
    judged(text).of_level(level).map(|finding| finding.rule).collect()
}

fn refused(text: &str) -> Vec<&'static str> {
    rules(text, Level::Refuse)
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
        ("path.git", ".github/workflows/ci.yml"),
        ("path.git", "sub/.GitHub/dependabot.yml"),
        ("path.git", ".gitlab-ci.yml"),
        ("path.git", ".gitmodules"),
        ("path.git", "docs/.gitattributes"),
        ("path.git", ".git/config"),
        ("path.git", "GIT~1/config"),
        ("path.ci", ".circleci/config.yml"),
        ("path.ci", "Jenkinsfile"),
        ("path.ci", "azure-pipelines.yml"),
        ("path.ci", "bamboo-specs/bamboo.yml"),
        ("path.hook", ".husky/pre-commit"),
        ("path.hook", ".vscode/tasks.json"),
        ("path.hook", ".zed/settings.json"),
        ("path.hook", ".envrc"),
        ("path.hook", "mise.toml"),
        ("path.hook", ".tool-versions"),
        ("path.registry", ".npmrc"),
        ("path.registry", ".pnpmfile.cjs"),
        ("path.registry", ".pypirc"),
        ("path.registry", ".bazelrc"),
        ("path.registry", "gradle/wrapper/gradle-wrapper.properties"),
        ("path.agent", "AGENTS.md"),
        ("path.agent", "pkg/CLAUDE.md"),
        ("path.agent", ".claude/settings.json"),
        ("path.agent", ".cursor/rules/a.mdc"),
        ("path.agent", ".mcp.json"),
        ("path.agent", ".junie/guidelines.md"),
        ("path.agent", ".kiro/steering/x.md"),
        ("path.agent", ".opencode/agent/x.md"),
        ("path.review", "docs/CODEOWNERS"),
        ("path.own", ".homeostat.toml"),
        ("path.protected", "billing/invoice.py"),
        ("path.outside", "a/../../etc/passwd"),
    ];
    for (rule, path) in cases {
        assert!(refused(&adding(path, "y")).contains(&rule), "{path}: {:?}", judged(&adding(path, "y")));
    }
    for path in ["src/agents.py", "src/github.py", "gitlog.py", "owners.py", "lib/claude.py", "src/zed.py"] {
        assert_eq!(judged(&adding(path, "y")), Verdict::default(), "{path}");
    }
}

#[test]
fn refuses_by_mode_and_kind() {
    let cases = [
        (new_file("a", "120000", "/etc/passwd"), "file.link"),
        (new_file("a", "160000", "Subproject commit 1"), "file.submodule"),
        (new_file("a.sh", "100755", "echo"), "file.executable"),
        ("diff --git a/a b/a\nold mode 100644\nnew mode 100755\n".to_owned(), "file.executable"),
        (
            "diff --git a/a.png b/a.png\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZQz0RjL3\n\nliteral 0\nHcmV?d00001\n\n".to_owned(),
            "file.binary",
        ),
    ];
    for (text, rule) in cases {
        assert_eq!(refused(&text), [rule], "{text}");
    }
    let stays = "diff --git a/a.sh b/a.sh\nindex 1..2 100755\n--- a/a.sh\n+++ b/a.sh\n@@ -1 +1 @@\n-x\n+y\n";
    assert_eq!(judged(stays), Verdict::default());
    let closed = "diff --git a/a.sh b/a.sh\nold mode 100755\nnew mode 100644\n";
    assert_eq!(judged(closed), Verdict::default());
}

#[test]
fn refuses_by_content() {
    let long = "x ".repeat(501);
    let cases = [
        ("if access \u{202e} admin", "line.hidden"),
        ("na\u{200b}me = 1", "line.hidden"),
        ("x = '\u{e0041}'", "line.hidden"),
        ("\u{1b}[2J", "line.hidden"),
        (&long, "line.long"),
        ("key = \"[redacted:github-token]\"", "patch.placeholder"),
        ("t = 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'", "line.secret"),
    ];
    for (line, rule) in cases {
        assert_eq!(refused(&adding("a.py", line)), [rule], "{line:?}");
    }
    let shown: Vec<String> = judged(&adding("a.py", "t = 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'"))
        .holding_back()
        .map(Finding::shown)
        .collect();
    assert_eq!(shown, ["`a.py:2`: a new line holds a secret: github-token (line.secret)"]);
    for line in ["print('⚠️ careful')", "crlf\r", "x = '1️⃣'"] {
        assert_eq!(refused(&adding("a.py", line)), [""; 0], "{line:?}");
    }
}

#[test]
fn hidden_characters_that_were_there_may_stay() {
    let text = "diff --git a/a.txt b/a.txt\nindex 1..2 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-\u{feff}old\n+\u{feff}new\n";
    assert_eq!(judged(text), Verdict::default());
}

#[test]
fn refuses_by_size() {
    let shown = |text: &str| -> Vec<String> { judged(text).holding_back().map(Finding::shown).collect() };
    assert_eq!(shown(""), ["the patch: it changes nothing (patch.empty)"]);
    let files: String = (0..21).map(|n| adding(&format!("f{n}.py"), "y")).collect();
    assert_eq!(shown(&files), ["the patch: it touches too many files: 21, more than 20 (patch.files)"]);
    let lines = "+y\n".repeat(801);
    let long = format!("diff --git a/a b/a\nindex 1..2 100644\n--- a/a\n+++ b/a\n@@ -0,0 +1,801 @@\n{lines}");
    assert_eq!(shown(&long), ["the patch: it changes too many lines: 801, more than 800 (patch.lines)"]);
}

#[test]
fn what_needs_a_person_is_held_back() {
    let cases = [
        ("requirements.txt", "evil==1", "path.dependencies"),
        ("requirements/dev.txt", "evil==1", "path.dependencies"),
        ("web/package-lock.json", "x", "path.dependencies"),
        ("go.sum", "x", "path.dependencies"),
        ("Gemfile.lock", "x", "path.dependencies"),
        ("composer.json", "x", "path.dependencies"),
        ("Shop/Shop.csproj", "x", "path.dependencies"),
        ("web/Dockerfile", "RUN x", "path.deploy"),
        ("k8s/shop.yaml", "x", "path.deploy"),
        ("tests/conftest.py", "y", "path.runner"),
        ("Makefile", "y", "path.runner"),
        ("db/migrations/1.py", "y", "path.data"),
        ("src/auth.py", "y", "path.access"),
        ("a.py", "subprocess.run(x)", "code.process"),
        ("a.py", "eval(x)", "code.runs_text"),
        ("a.py", "pickle.loads(x)", "code.deserialises"),
        ("a.py", "requests.get(u)", "code.network"),
        ("a.js", "process.env.KEY", "code.environment"),
        ("a.py", "url = 'https://evil.example.io'", "code.address"),
        ("tests/test_a.py", "    requests.post(u, json=dict(x))", "ci.network"),
        ("tests/test_a.py", "    print(dict(os.environ))", "ci.environment"),
        ("tests/test_a.py", "    os.system(x)", "ci.process"),
        ("tests/test_a.py", "    pickle.loads(x)", "ci.deserialises"),
        ("tests/test_a.py", "    pytest.skip('x')", "tests.skipped"),
        ("a.py", "    os._exit(0)", "tests.ended_early"),
    ];
    for (path, line, rule) in cases {
        let text = adding(path, line);
        assert!(rules(&text, Level::NeedsPerson).contains(&rule), "{path}: {line}: {:?}", judged(&text));
        assert!(refused(&text).is_empty() && !judged(&text).may_be_pushed(), "{text}");
    }
    let blob = format!("x = '{}'", "QUJD".repeat(40));
    assert_eq!(rules(&adding("a.py", &blob), Level::NeedsPerson), ["code.blob"]);
}

#[test]
fn what_is_only_worth_a_look_is_pushed() {
    let cases = [
        (adding("a.py", "    except Exception:"), "code.swallows"),
        (adding("a.py", "login(password='hunter2secret')"), "line.likely_secret"),
        (new_file("tests/test_a.py", "100644", "    time.sleep(1)"), "tests.sleeps"),
    ];
    for (text, rule) in cases {
        assert_eq!(rules(&text, Level::Allow), [rule], "{text}");
        assert!(judged(&text).may_be_pushed(), "{text}");
    }
}

#[test]
fn code_that_was_there_is_no_finding() {
    let deeper = "diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n-requests.get(u)\n+if u:\n+    requests.get(u)\n";
    assert_eq!(judged(deeper), Verdict::default());
}

#[test]
fn plain_code_of_many_kinds_is_no_finding() {
    let cases = [
        ("src/author.py", "    return Author(name)"),
        ("shop/tokenizer.py", "    tokens = line.split()"),
        ("src/billing/orders.py", "    if total == 0:"),
        ("shop/a.py", "    except requests.exceptions.Timeout:"),
        ("shop/a.py", "from urllib.parse import quote"),
        ("shop/a.py", "    # see https://docs.example.io/x"),
        ("shop/a.py", "    rows = cursor.fetchall()"),
        ("src/a.js", "  const rows = await db.fetch(query);"),
        ("src/a.ts", "  async fetch(id: string): Promise<Row> {"),
        ("src/a.go", "\tif err := rows.Close(); err != nil {"),
        ("src/a.rs", "    let Some(rate) = rates.get(&currency) else { return Ok(None) };"),
        ("src/A.java", "        if (rate == null) { return BigDecimal.ZERO; }"),
        ("lib/a.rb", "    return 0 if values.empty?"),
        ("src/a.php", "        return count($values) ? array_sum($values) / count($values) : 0;"),
        ("src/A.cs", "        if (!rates.TryGetValue(currency, out var rate)) return 0;"),
        ("tests/test_a.py", "    assert parse('https://shop.example.com/a?b=c').path == '/a'"),
        ("src/components/charts/Bar.tsx", "  if (!rows.length) return null;"),
        ("src/tasks.py", "    if not rows:"),
    ];
    for (path, line) in cases {
        assert_eq!(judged(&adding(path, line)), Verdict::default(), "{path}: {line}");
    }
}

#[test]
fn levels_can_be_set_and_what_the_log_holds_counts() {
    let levels = Levels(
        [("code.process".to_owned(), Level::Allow), ("code.swallows".to_owned(), Level::Refuse)].into(),
    );
    let policy = Policy::new(Settings { levels, ..Settings::default() }, Redactor::builtin()).unwrap();
    let judged = |line: &str| {
        let patch = Patch::parse(&adding("a.py", line)).unwrap();
        policy.judge(&patch, |_| None, Vec::new()).may_be_pushed()
    };
    assert!(judged("subprocess.run(x)") && !judged("    except Exception:"));
    let patch = Patch::parse(&adding("a.py", "x = 'evil.io'")).unwrap();
    let from_log = candidates(&patch, "see evil.io", |_| None).into_iter().map(|it| it.finding).collect();
    assert!(!policy.judge(&patch, |_| None, from_log).may_be_pushed());
}
