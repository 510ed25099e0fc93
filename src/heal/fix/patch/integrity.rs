//! What may make tests pass without a fix: existing tests that are changed, new ones that show nothing, code that knows it is under test,
//! what runs tests, what did not come out of the sandbox.
//!
//! Only what a proof cannot see is looked at here. What may be pushed at all is the diff policy's, which stands before the push.

use super::answers;
use super::assertions;
use super::forged::{self, Told};
use crate::heal::policy::{Finding, Level, Levels, Lines, Rules, TestLines, is_runner_config};
use crate::repo::patch::Patch;
use crate::repo::unpack::Refusal;

/// Groups of rules about what a proof rests on; of the others the push is judged.
const BENDING: [&str; 2] = ["tests.", "proof."];

/// What is known besides the patch.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What did not come out of the sandbox.
    pub left_out: &'a [Refusal],
    /// The record that the test must show again.
    pub record: &'a str,
    /// Whether it has frames: without, its message alone tells it.
    pub has_frames: bool,
    pub levels: &'a Levels,
}

/// Everything about a patch that the proof cannot vouch for, what only wants a closer look left out. `last` gives the text of a file
/// after the patch.
pub fn examine(patch: &Patch, look: Look<'_>, mut last: impl FnMut(&str) -> Option<String>) -> Vec<Finding> {
    let rules = Rules::builtin();
    let tests = TestLines::of(patch, &mut last);
    let lines = Lines::of(patch, &tests);
    let bends_proof = |finding: &Finding| BENDING.iter().any(|group| finding.rule.starts_with(group));
    let mut findings: Vec<Finding> = rules.of_lines(&lines).into_iter().filter(bends_proof).collect();
    for file in &patch.files {
        if is_runner_config(&file.path) {
            findings.push(rules.finding("tests.runner", &file.path, ""));
        }
        if file.added_lines().any(|line| line.contains("[redacted:")) {
            findings.push(rules.finding("patch.placeholder", &file.path, ""));
        }
        assertions::examine(file, &tests, last(&file.path).as_deref(), &mut findings);
    }
    forged::examine(&lines, Told { record: look.record, has_frames: look.has_frames }, &mut findings);
    answers::examine(&lines, look.record, &mut findings);
    let left_out = look.left_out.iter();
    findings.extend(left_out.map(|it| rules.finding("patch.left_out", &it.path, it.reason)));
    let mut findings = look.levels.applied(findings);
    findings.retain(|finding| finding.level > Level::Allow);
    findings
}

#[cfg(test)]
mod tests;
