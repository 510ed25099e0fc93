//! Splits a patch into T, the tests with their fixtures, and S, the rest.
//!
//! T is described by steps from the base tree towards the final one: whole files by their path, and of Rust sources the changed lines
//! that lie in test items. What is left is S.

use std::collections::BTreeSet;

use crate::heal::policy::{is_all_test, is_test_path, test_lines};
use crate::repo::Step;
use crate::repo::patch::{Change, FilePatch, Line, Patch};

/// How to come from the base tree to base + T.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Paths that T touches, in the order of the patch.
    pub test_files: Vec<String>,
    /// Whether anything is left for S.
    pub has_rest: bool,
}

/// Splits `patch`. `base` and `last` give the text of a file before and after; they are asked for Rust sources only.
pub fn plan(
    patch: &Patch,
    mut base: impl FnMut(&str) -> Option<String>,
    mut last: impl FnMut(&str) -> Option<String>,
) -> Plan {
    let mut plan = Plan::default();
    for file in &patch.files {
        if is_test_path(&file.path) {
            plan.steps.push(Step::Take(file.path.clone()));
            plan.test_files.push(file.path.clone());
            continue;
        }
        let sources = file.path.ends_with(".rs") && file.change == Change::Modified && !file.is_binary;
        let texts = if sources { base(&file.path).zip(last(&file.path)) } else { None };
        let Some((before, after)) = texts else {
            let is_test = file.change == Change::Added
                && file.path.ends_with(".rs")
                && last(&file.path).is_some_and(|text| is_all_test(&text));
            if is_test {
                plan.steps.push(Step::Take(file.path.clone()));
                plan.test_files.push(file.path.clone());
            } else {
                plan.has_rest = true;
            }
            continue;
        };
        let mixed = mixed(file, &before, &after);
        plan.has_rest |= mixed.has_rest;
        if mixed.has_tests {
            plan.test_files.push(file.path.clone());
            plan.steps.push(if mixed.has_rest {
                Step::Write(file.path.clone(), mixed.text.into_bytes())
            } else {
                Step::Take(file.path.clone())
            });
        }
    }
    plan
}

struct Mixed {
    /// The base's text with the changes inside test items made.
    text: String,
    has_tests: bool,
    has_rest: bool,
}

/// Goes through the hunks of a source that may hold tests of its own.
fn mixed(file: &FilePatch, before: &str, after: &str) -> Mixed {
    let in_tests = |source: &str| -> BTreeSet<u32> { test_lines(source).into_iter().flatten().collect() };
    let (old_tests, new_tests) = (in_tests(before), in_tests(after));
    let mut old_lines = before.split_inclusive('\n').zip(1_u32..).peekable();
    let new_lines: Vec<&str> = after.split_inclusive('\n').collect();
    let mut mixed = Mixed { text: String::new(), has_tests: false, has_rest: false };
    for hunk in &file.hunks {
        // The start of an empty side names the line before it.
        let start = |(line, n): (u32, u32)| if n == 0 { line + 1 } else { line };
        let (mut old, mut new) = (start(hunk.old), start(hunk.new));
        while let Some((line, _)) = old_lines.next_if(|(_, number)| *number < old) {
            mixed.text.push_str(line);
        }
        for line in &hunk.lines {
            match line {
                Line::Context(_) => {
                    mixed.text.extend(old_lines.next().map(|(line, _)| line));
                    (old, new) = (old + 1, new + 1);
                }
                Line::Removed(_) => {
                    let kept = old_lines.next().map(|(line, _)| line);
                    if old_tests.contains(&old) {
                        mixed.has_tests = true;
                    } else {
                        mixed.has_rest = true;
                        mixed.text.extend(kept);
                    }
                    old += 1;
                }
                Line::Added(text) => {
                    if new_tests.contains(&new) {
                        mixed.has_tests = true;
                        mixed.text.push_str(new_lines.get(new as usize - 1).copied().unwrap_or_default());
                    } else if !text.trim().is_empty() {
                        mixed.has_rest = true;
                    }
                    new += 1;
                }
            }
        }
    }
    mixed.text.extend(old_lines.map(|(line, _)| line));
    mixed
}

#[cfg(test)]
mod tests;
