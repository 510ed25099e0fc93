//! Each tool in a real repository, through the protocol: what the model asks, and what it is told.

use std::sync::Arc;

use homeostat::agent::scripted::script::{Script, ScriptBlock, Turn};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::shutdown::Shutdown;
use serde_json::{Value, json};

use super::desk::{Bench, Desk, attempt, clear, settings};

/// One tool call and what is told of it: the whole text, or a part after `...`.
struct Case {
    name: &'static str,
    input: Value,
    expected: &'static str,
    is_error: bool,
}

fn ok(name: &'static str, input: Value, expected: &'static str) -> Case {
    Case { name, input, expected, is_error: false }
}

fn refused(name: &'static str, input: Value, expected: &'static str) -> Case {
    Case { name, input, expected, is_error: true }
}

/// Plays one call after the other and compares what each was told.
async fn check(bench: Bench, cases: Vec<Case>) -> Bench {
    let mut turns: Vec<Turn> = cases.iter().map(|case| Turn::tool(case.name, case.input.clone())).collect();
    turns.push(Turn::tool("task_complete", json!({ "outcome": "gave_up", "summary": "x" })));
    let model = ScriptedModel::start(vec![Script::new(turns)]).await.unwrap();
    let (bench, desk) = (Arc::new(bench), Arc::new(Desk::default()));
    let end = attempt(&bench, &desk, settings(&model), &Shutdown::new()).await.unwrap();
    assert_eq!(model.refusals(), Vec::<String>::new());
    let results: Vec<Value> = desk
        .lines()
        .iter()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).unwrap()["entry"].get("tool")?.clone()))
        .collect();
    for (case, result) in cases.iter().zip(&results) {
        let text = result["text"].as_str().unwrap();
        let what = format!("{} {}", case.name, case.input);
        match case.expected.strip_prefix("...") {
            Some(part) => assert!(text.contains(part), "{what}: {text}"),
            None => assert_eq!(text, case.expected, "{what}"),
        }
        assert_eq!(result["is_error"], case.is_error, "{what}: {text}");
    }
    assert_eq!(results.len(), cases.len() + 1, "{end:?}");
    Arc::into_inner(bench).unwrap()
}

#[tokio::test]
async fn files_are_read_written_and_edited() {
    let bench = Bench::new(&[("src/a.py", "one\ntwo\nthree\n"), ("crlf.txt", "a\r\nb\r\n")]).await;
    let bench = check(
        bench,
        vec![
            ok("read_file", json!({ "path": "src/a.py" }), "1\tone\n2\ttwo\n3\tthree\n"),
            ok(
                "read_file",
                json!({ "path": "/sandbox/repo/src/a.py", "first_line": 2, "last_line": 2 }),
                "2\ttwo\n",
            ),
            refused(
                "read_file",
                json!({ "path": "src/a.py", "first_line": 9 }),
                "`src/a.py` has only 3 lines",
            ),
            refused("read_file", json!({ "path": "src/b.py" }), "there is no file `src/b.py`"),
            refused("read_file", json!({ "path": "src" }), "`src` is a folder"),
            ok(
                "edit_file",
                json!({ "path": "src/a.py", "old_text": "two", "new_text": "2\n2.5" }),
                "edited `src/a.py`, which now reads:\n1\tone\n2\t2\n3\t2.5\n4\tthree\n",
            ),
            refused(
                "edit_file",
                json!({ "path": "src/a.py", "old_text": "two", "new_text": "2" }),
                "old_text is not in the file; read it again",
            ),
            refused(
                "edit_file",
                json!({ "path": "src/a.py", "old_text": "e\n", "new_text": "E\n" }),
                "old_text is there 2 times, at lines 1, 4; give more lines around the one you mean",
            ),
            ok(
                "write_file",
                json!({ "path": "src/deep/er/new.py", "content": "x = 1\n" }),
                "wrote 1 lines to `src/deep/er/new.py`",
            ),
            ok(
                "write_file",
                json!({ "path": "src/deep/er/new.py", "content": "x = 2\n" }),
                "wrote 1 lines to `src/deep/er/new.py`",
            ),
            refused(
                "write_file",
                json!({ "path": "crlf.txt", "content": "x" }),
                "`crlf.txt` exists; read it before you replace it, or use edit_file",
            ),
            ok(
                "edit_file",
                json!({ "path": "crlf.txt", "old_text": "a\nb", "new_text": "a\nc" }),
                "edited `crlf.txt`, which now reads:\n1\ta\n2\tc\n",
            ),
            ok("run_command", json!({ "command": "echo four >> src/a.py" }), "exit code 0\n"),
            refused(
                "edit_file",
                json!({ "path": "src/a.py", "old_text": "four", "new_text": "4" }),
                "`src/a.py` has changed since you read it; read it again",
            ),
            refused(
                "write_file",
                json!({ "path": "src/a.py", "content": "x" }),
                "`src/a.py` has changed since you read it; read it again",
            ),
            ok("write_file", json!({ "path": "empty", "content": "" }), "wrote 0 lines to `empty`"),
            ok("read_file", json!({ "path": "empty" }), "(the file is empty)"),
        ],
    )
    .await;
    assert_eq!(bench.shell("cat src/a.py src/deep/er/new.py").await, "one\n2\n2.5\nthree\nfour\nx = 2\n");
    assert_eq!(bench.shell("od -An -c crlf.txt | tr -d ' \\n'").await, "a\\r\\nc\\r\\n");
    bench.remove().await;
}

#[tokio::test]
async fn no_path_leaves_the_repository() {
    let bench = Bench::new(&[("a.txt", "a\n")]).await;
    bench.shell("ln -s /etc/passwd link; ln -s /tmp out; ln -s .git/config conf; ln -s /tmp/nowhere dangling; ln -s a.txt inner").await;
    let outside = |path: &str| json!({ "path": path });
    let write = |path: &str| json!({ "path": path, "content": "x" });
    let bench = check(
        bench,
        vec![
            refused(
                "read_file",
                outside("/etc/passwd"),
                "`/etc/passwd` is outside the repository; give a path relative to its root",
            ),
            refused(
                "read_file",
                outside("../../etc/passwd"),
                "`../../etc/passwd` is outside the repository; give a path relative to its root",
            ),
            refused(
                "read_file",
                outside("link"),
                "`link` leads out of the repository, or into .git, through a link",
            ),
            refused(
                "read_file",
                outside("conf"),
                "`conf` leads out of the repository, or into .git, through a link",
            ),
            refused("read_file", outside(".git/config"), "the folder .git is not to be touched"),
            refused(
                "write_file",
                write("link"),
                "`link` leads out of the repository, or into .git, through a link",
            ),
            refused(
                "write_file",
                write("out/x"),
                "`out/x` leads out of the repository, or into .git, through a link",
            ),
            refused(
                "write_file",
                write("out/deep/x"),
                "`out/deep/x` leads out of the repository, or into .git, through a link",
            ),
            refused(
                "write_file",
                write("dangling"),
                "`dangling` leads out of the repository, or into .git, through a link",
            ),
            refused("write_file", write(".git/hooks/pre-push"), "the folder .git is not to be touched"),
            refused(
                "list_files",
                outside("../.."),
                "`../..` is outside the repository; give a path relative to its root",
            ),
            refused(
                "search_code",
                json!({ "pattern": "root", "path": "/etc" }),
                "`/etc` is outside the repository; give a path relative to its root",
            ),
            ok("read_file", outside("inner"), "1\ta\n"),
        ],
    )
    .await;
    assert_eq!(bench.shell("ls /tmp | grep -c '^[xd]' || true").await, "0\n");
    bench.remove().await;
}

#[tokio::test]
async fn the_repository_can_be_looked_through() {
    let bench = Bench::new(&[
        (".gitignore", "*.log\n"),
        ("src/a.py", "def total(cart):\n    return 1\n"),
        ("src/b.py", "TOTAL = 2\n"),
        ("docs/ü.md", "total\n"),
        ("noise.log", "total\n"),
    ])
    .await;
    let bench = check(
        bench,
        vec![
            ok("list_files", json!({}), ".gitignore\ndocs/ü.md\nsrc/a.py\nsrc/b.py"),
            ok("list_files", json!({ "glob": "**/*.py" }), "src/a.py\nsrc/b.py"),
            ok("list_files", json!({ "path": "docs" }), "docs/ü.md"),
            ok("list_files", json!({ "path": "nowhere" }), "no files match"),
            refused("list_files", json!({ "glob": "[" }), "...the glob cannot be read"),
            ok(
                "search_code",
                json!({ "pattern": "total" }),
                "docs/ü.md:1:total\nsrc/a.py:1:def total(cart):",
            ),
            ok(
                "search_code",
                json!({ "pattern": "total", "ignore_case": true, "glob": "*.py" }),
                "src/a.py:1:def total(cart):\nsrc/b.py:1:TOTAL = 2",
            ),
            ok("search_code", json!({ "pattern": "--help" }), "nothing found"),
            ok("search_code", json!({ "pattern": "total", "path": "src/b.py" }), "nothing found"),
            refused("search_code", json!({ "pattern": "(" }), "...regex parse error"),
            ok("git_diff", json!({}), "nothing is changed"),
            ok("write_file", json!({ "path": "new.txt", "content": "n\n" }), "wrote 1 lines to `new.txt`"),
            ok("git_status", json!({}), "...new.txt"),
            ok("git_diff", json!({}), "...+++ b/new.txt\n@@ -0,0 +1 @@\n+n"),
            // Also what was committed, against the advice.
            ok("run_command", json!({ "command": "git add -A && git commit -qm x" }), "exit code 0\n"),
            ok("git_diff", json!({}), "...+++ b/new.txt\n@@ -0,0 +1 @@\n+n"),
        ],
    )
    .await;
    bench.remove().await;
}

#[tokio::test]
async fn commands_tell_how_they_ended() {
    let bench = Bench::new(&[("a.txt", "a\n")]).await;
    let bench = check(
        bench,
        vec![
            ok(
                "run_command",
                json!({ "command": "pwd; echo err >&2; exit 3" }),
                "exit code 3\n/sandbox/repo\nerr\n",
            ),
            ok("run_command", json!({ "command": "x=(1 2); echo ${#x[@]}; cat" }), "exit code 0\n2\n"),
            ok(
                "run_command",
                json!({ "command": "printf '\\033[31mred\\033[0m\\r\\n\\342\\200\\256'" }),
                "exit code 0\nred\n<U+202E>",
            ),
            refused(
                "run_command",
                json!({ "command": "sleep 100 & sleep 100", "timeout_seconds": 1 }),
                "killed with all its children after 1 seconds\n",
            ),
            ok(
                "run_command",
                json!({ "command": "kill -9 $$" }),
                "exit code 137: it was killed, perhaps because it used too much memory\n",
            ),
            ok(
                "run_command",
                json!({ "command": "seq 1 100000" }),
                "...characters left out; narrow the command or read a part to see them ...]",
            ),
            ok("run_command", json!({ "command": "true" }), "exit code 0\n"),
        ],
    )
    .await;
    bench.remove().await;
}

#[tokio::test]
async fn secrets_are_numbered_and_come_back_in_edits() {
    let key = ["AKIA", "IOSFODNN7EXAMPLE"].concat();
    let other = ["AKIA", "IOSFODNN7EXAMPLF"].concat();
    let bench = Bench::new(&[("conf.py", &format!("a = '{key}'\nb = '{other}'\nc = 1\n"))]).await;
    let bench = check(
        bench,
        vec![
            ok("read_file", json!({ "path": "conf.py" }), "1\ta = '[redacted:aws-key-1]'\n2\tb = '[redacted:aws-key-2]'\n3\tc = 1\n"),
            ok("run_command", json!({ "command": "cat conf.py" }), "exit code 0\na = '[redacted:aws-key]'\nb = '[redacted:aws-key]'\nc = 1\n"),
            ok(
                "edit_file",
                json!({ "path": "conf.py", "old_text": "b = '[redacted:aws-key-2]'\nc = 1", "new_text": "b = '[redacted:aws-key-2]'\nc = 2" }),
                "edited `conf.py`, which now reads:\n1\ta = '[redacted:aws-key-1]'\n2\tb = '[redacted:aws-key-2]'\n3\tc = 2\n",
            ),
            refused("edit_file", json!({ "path": "conf.py", "old_text": "c = 2", "new_text": "c = '[redacted:aws-key]'" }), "...`[redacted:aws-key]` stands for a value that this file does not have"),
            refused("write_file", json!({ "path": "copy.py", "content": "x = '[redacted:aws-key-1]'" }), "...`[redacted:aws-key-1]` stands for a value"),
            ok("write_file", json!({ "path": "conf.py", "content": "z = '[redacted:aws-key-2]'\n" }), "wrote 1 lines to `conf.py`"),
        ],
    )
    .await;
    assert_eq!(bench.shell("cat conf.py; ls").await, format!("z = '{other}'\nconf.py\n"));
    bench.remove().await;
}

#[tokio::test]
async fn wrong_calls_are_explained_and_end_the_attempt() {
    let turns = vec![
        Turn::new(vec![ScriptBlock::RawToolUse {
            name: "read_file".to_owned(),
            input: "{\"path\": ".to_owned(),
        }]),
        Turn::tool("rm_rf", json!({})),
        Turn::tool("read_file", json!({ "path": "a", "password": 1 })),
    ];
    let model = ScriptedModel::start(vec![Script::new(turns)]).await.unwrap();
    let (bench, desk) = (Arc::new(Bench::new(&[("a", "a\n")]).await), Arc::new(Desk::default()));
    let end = attempt(&bench, &desk, settings(&model), &Shutdown::new()).await.unwrap();
    assert_eq!(model.refusals(), Vec::<String>::new());
    let why = "it called tools that do not exist, or with input that cannot be read";
    assert_eq!(end.how, homeostat::agent::contract::AgentOutcome::GaveUp { why: why.to_owned() });
    let lines = desk.lines().join("\n");
    for told in ["the input is not a JSON object", "there is no tool `rm_rf`", "unknown field `password`"] {
        assert!(lines.contains(told), "{told}");
    }
    clear(bench).await;
}
