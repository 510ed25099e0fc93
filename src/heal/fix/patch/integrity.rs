//! What may make tests pass without a fix: existing tests that are changed, what runs tests, what did not come out of the sandbox.
//!
//! Only what a proof cannot see is looked at here. What may be pushed at all is the diff policy's, which stands before the push.

use super::split::Plan;
use super::test_path::is_runner_config;
use crate::repo::patch::{FilePatch, Patch};
use crate::repo::unpack::Refusal;

/// One thing that lets a person decide in the place of the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// For example `tests.changed`.
    pub rule: &'static str,
    /// Path in the repository.
    pub place: String,
    pub reason: String,
}

/// Marks of a test that is not run any more.
const SKIPS: &[&str] = &[
    "@skip",
    "@unittest.skip",
    "mark.skip",
    "mark.xfail",
    "pytest.skip(",
    "self.skipTest(",
    "expectedFailure",
    ".skip(",
    ".todo(",
    "xit(",
    "xdescribe(",
    "#[ignore",
    "t.Skip(",
    "t.SkipNow(",
    "@Disabled",
    "@Ignore",
];

/// What ends a program at once. A check is judged by how its command ends: with 0, and no test has told anything.
const EXITS: &[&str] = &[
    "_exit(",
    "sys.exit(",
    "process.exit(",
    "process::exit(",
    "System.exit(",
    "os.Exit(",
    ".halt(",
    "process.kill(",
    "os.abort(",
    "raise SystemExit",
    "exit!",
    "quick_exit(",
];

/// What runtimes print of an error: a test that holds it may print the issue's own instead of meeting it.
const TRACES: &[&str] = &[
    "Traceback (most recent",
    "\", line ",
    "panicked at",
    "goroutine ",
    "Exception in thread",
    "Caused by:",
    "runtime error:",
    "AddressSanitizer",
    "Uncaught ",
    "Unhandled exception",
];

/// Everything about a patch that the proof cannot vouch for, in the order of its files.
pub fn examine(patch: &Patch, plan: &Plan, left_out: &[Refusal]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = patch.files.iter().flat_map(|file| of_file(file, plan)).collect();
    findings.extend(plan.touched.iter().map(|(place, what)| finding("tests.changed", place, what)));
    findings.extend(left_out.iter().map(|refusal| {
        let reason = format!("it did not come out of the sandbox: {}", refusal.reason);
        finding("patch.left_out", &refusal.path, &reason)
    }));
    findings
}

fn of_file(file: &FilePatch, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_runner_config(&file.path) {
        findings.push(finding("tests.runner", &file.path, "it decides how tests are run"));
    }
    let adds = |marks: &[&str]| file.added_lines().any(|line| marks.iter().any(|mark| has_mark(line, mark)));
    let is_test = plan.test_files.contains(&file.path);
    // A new one too: one that is skipped once the change is there has not passed.
    if is_test && adds(SKIPS) {
        findings.push(finding("tests.skipped", &file.path, "a test in it may be skipped"));
    }
    if is_test && adds(TRACES) {
        let reason =
            "a test in it holds what looks like a printed error, so it may not have met the error itself";
        findings.push(finding("tests.printed_error", &file.path, reason));
    }
    if adds(EXITS) {
        let reason = "it may end the program, and a run that ends early looks like one that passes";
        findings.push(finding("tests.ended_early", &file.path, reason));
    }
    if file.added_lines().any(|line| line.contains("[redacted:")) {
        findings.push(finding("patch.placeholder", &file.path, "a placeholder stands where a secret was"));
    }
    findings
}

/// Whether a line has the mark, and not as the end of a longer word.
fn has_mark(line: &str, mark: &str) -> bool {
    let is_word = mark.starts_with(char::is_alphanumeric);
    line.match_indices(mark)
        .any(|(at, _)| !is_word || !line[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_'))
}

fn finding(rule: &'static str, place: &str, reason: &str) -> Finding {
    Finding { rule, place: place.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::split::plan;
    use super::*;

    /// The rules that a patch adding `line` to a new or existing file meets.
    fn check(path: &str, is_new: bool, line: &str, expected: &[&str]) {
        let (head, hunk) = if is_new {
            ("new file mode 100644\n--- /dev/null\n".to_owned(), "@@ -0,0 +1 @@\n")
        } else {
            (format!("--- a/{path}\n"), "@@ -1 +1,2 @@\n context\n")
        };
        let text = format!("diff --git a/{path} b/{path}\n{head}+++ b/{path}\n{hunk}+{line}\n");
        let patch = Patch::parse(&text).unwrap();
        let found = examine(&patch, &plan(&patch, |_| None, |_| None), &[]);
        assert_eq!(found.iter().map(|it| it.rule).collect::<Vec<_>>(), expected, "{path}: {line}");
    }

    #[test]
    fn a_plain_fix_meets_no_rule() {
        check("shop/orders.py", false, "    rate = rates.get(currency)", &[]);
        check("shop/skips.py", false, "    @skip", &[]);
        check("tests/test_orders.py", true, "def test_it(): assert total([]) == 0", &[]);
        check("tests/test_orders.py", false, "def test_more(): pass", &[]);
        check("shop/orders.py", false, "    log.error('Caused by: %s, line %d', cause, line)", &[]);
    }

    #[test]
    fn what_bends_a_proof_is_found() {
        check("tests/conftest.py", true, "x", &["tests.runner"]);
        check("pyproject.toml", false, "x", &["tests.runner"]);
        check("sitecustomize.py", true, "x", &["tests.runner"]);
        check("tests/test_a.py", false, "    @unittest.skip('x')", &["tests.skipped"]);
        check("tests/test_a.py", true, "    if hasattr(shop, 'FIXED'): pytest.skip('x')", &["tests.skipped"]);
        let forged = "print('Traceback (most recent call last):'); assert False";
        check("tests/test_a.py", true, forged, &["tests.printed_error"]);
        check("shop/orders.py", false, "    import os; os._exit(0)", &["tests.ended_early"]);
        check("src/orders.rs", false, "    std::process::exit(0);", &["tests.ended_early"]);
        check("tests/a.test.js", true, "process.exit(0)", &["tests.ended_early"]);
        check("a.py", false, "key = '[redacted:token]'", &["patch.placeholder"]);
        let bent =
            "diff --git a/test_a.py b/test_a.py\n--- a/test_a.py\n+++ b/test_a.py\n@@ -1 +1 @@\n-a\n+b\n";
        let patch = Patch::parse(bent).unwrap();
        let left_out = [Refusal { path: "link".to_owned(), reason: "it is a new symlink" }];
        let found = examine(&patch, &plan(&patch, |_| None, |_| None), &left_out);
        assert_eq!(found.iter().map(|it| it.rule).collect::<Vec<_>>(), ["tests.changed", "patch.left_out"]);
    }
}
