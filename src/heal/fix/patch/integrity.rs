//! What may make tests pass without a fix: existing tests that are changed, what runs tests, what did not come out of the sandbox.
//!
//! Only what a proof cannot see is looked at here. What may be pushed at all is the diff policy's, which stands before the push.

use super::split::Plan;
use super::test_path::is_runner_config;
use crate::repo::patch::{Change, FilePatch, Patch};
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
    let is_older_test = file.change == Change::Modified && plan.test_files.contains(&file.path);
    if is_older_test && file.added_lines().any(|line| SKIPS.iter().any(|mark| line.contains(mark))) {
        findings.push(finding("tests.skipped", &file.path, "a test in it may be skipped"));
    }
    if file.added_lines().any(|line| line.contains("[redacted:")) {
        findings.push(finding("patch.placeholder", &file.path, "a placeholder stands where a secret was"));
    }
    findings
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
        check("tests/test_orders.py", true, "def test_it(): pytest.skip('not on this machine')", &[]);
        check("tests/test_orders.py", false, "def test_more(): pass", &[]);
    }

    #[test]
    fn what_bends_a_proof_is_found() {
        check("tests/conftest.py", true, "x", &["tests.runner"]);
        check("pyproject.toml", false, "x", &["tests.runner"]);
        check("sitecustomize.py", true, "x", &["tests.runner"]);
        check("tests/test_a.py", false, "    @unittest.skip('x')", &["tests.skipped"]);
        check("a.py", false, "key = '[redacted:token]'", &["patch.placeholder"]);
        let bent =
            "diff --git a/test_a.py b/test_a.py\n--- a/test_a.py\n+++ b/test_a.py\n@@ -1 +1 @@\n-a\n+b\n";
        let patch = Patch::parse(bent).unwrap();
        let left_out = [Refusal { path: "link".to_owned(), reason: "it is a new symlink" }];
        let found = examine(&patch, &plan(&patch, |_| None, |_| None), &left_out);
        assert_eq!(found.iter().map(|it| it.rule).collect::<Vec<_>>(), ["tests.changed", "patch.left_out"]);
    }
}
