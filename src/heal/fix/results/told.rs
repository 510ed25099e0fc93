//! The results themselves: tests by name, their counts, and whether the two agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::proof::Tests;

/// Most tests whose names are kept; of more, only counts and failures are known.
const MAX_NAMES: usize = 20_000;
/// Longest name of a test, in characters.
const MAX_NAME_CHARS: usize = 300;
/// Most names of failed tests in the short form.
const MAX_FAILED: usize = 50;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum End {
    Passed,
    /// Also a failure that was expected: the test shows nothing.
    Skipped,
    Failed,
    /// It could not be run: a file that cannot be loaded, a package that does not build, a process that broke off.
    Error,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Test {
    pub(in super::super) name: String,
    pub(in super::super) end: End,
}

impl Test {
    pub(super) fn new(name: &str, end: End) -> Self {
        Self { name: name.chars().take(MAX_NAME_CHARS).collect(), end }
    }
}

/// What one form of output says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Part {
    pub(super) tests: Vec<Test>,
    pub(super) n_passed: usize,
    pub(super) n_skipped: usize,
    pub(super) n_failed: usize,
    /// Named groups of tests that are not in the counts.
    pub(super) n_groups: usize,
    /// What is wrong with it by itself.
    pub(super) fault: Option<&'static str>,
}

impl Part {
    /// Counts what is named: for forms without a summary of their own.
    pub(super) fn counted(tests: Vec<Test>) -> Self {
        let mut part = Self { tests, ..Self::default() };
        for test in &part.tests {
            match test.end {
                End::Passed => part.n_passed += 1,
                End::Skipped => part.n_skipped += 1,
                End::Failed | End::Error => part.n_failed += 1,
            }
        }
        part
    }
}

/// The results of a run whose output could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in super::super) struct Told {
    /// Those that are named, in their order; a name may come more than once.
    pub(in super::super) tests: Vec<Test>,
    pub(in super::super) n_passed: usize,
    pub(in super::super) n_skipped: usize,
    pub(in super::super) n_failed: usize,
    /// Whether every test is named; else only those that failed are, and perhaps others.
    pub(in super::super) is_named: bool,
}

/// What a run says of its tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Results {
    Told(Told),
    /// Nothing in the output tells of single tests.
    Silent,
    /// It tells of tests, but contradicts itself or breaks off; with what is wrong.
    Broken(String),
}

impl Results {
    /// The short form, to be kept with the run.
    pub(in super::super) fn short(&self) -> Option<Tests> {
        let Self::Told(told) = self else { return None };
        let failed = told.failed().map(str::to_owned).take(MAX_FAILED).collect();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Some(Tests {
            n_passed: number(told.n_passed),
            n_failed: number(told.n_failed),
            n_skipped: number(told.n_skipped),
            failed,
        })
    }
}

impl Told {
    /// Names of tests that failed or could not be run.
    pub(in super::super) fn failed(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().filter(|it| matches!(it.end, End::Failed | End::Error)).map(|it| it.name.as_str())
    }

    /// Tests by name; of one that comes more than once, how often it ended how.
    pub(super) fn by_name(&self) -> BTreeMap<&str, Ends> {
        let mut by_name: BTreeMap<&str, Ends> = BTreeMap::new();
        for test in &self.tests {
            let ends = by_name.entry(&test.name).or_default();
            match test.end {
                End::Passed => ends.n_passed += 1,
                End::Skipped => ends.n_skipped += 1,
                End::Failed | End::Error => ends.n_failed += 1,
            }
        }
        by_name
    }
}

/// How often a test ended how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    pub(super) n_passed: usize,
    pub(super) n_skipped: usize,
    pub(super) n_failed: usize,
}

/// Puts together what the forms say, and holds it against the exit code.
pub(super) fn join(parts: Vec<Part>, exit_code: i64) -> Results {
    if parts.is_empty() {
        return Results::Silent;
    }
    let mut told = Told { is_named: true, ..Told::default() };
    for part in parts {
        if let Some(fault) = part.fault.or_else(|| contradiction(&part)) {
            return Results::Broken(fault.to_owned());
        }
        let n_counted = part.n_passed + part.n_skipped + part.n_failed + part.n_groups;
        told.is_named &= part.tests.len() == n_counted;
        told.n_passed += part.n_passed;
        told.n_skipped += part.n_skipped;
        told.n_failed += part.n_failed;
        told.tests.extend(part.tests);
    }
    if told.tests.len() > MAX_NAMES {
        told.tests.retain(|test| matches!(test.end, End::Failed | End::Error));
        told.tests.truncate(MAX_NAMES);
        told.is_named = false;
    }
    match (exit_code, told.n_failed) {
        (0, 1..) => Results::Broken("tests failed, but the command ended with code 0".to_owned()),
        // Several runners say by their code that there was nothing to run.
        (1.., 0) | (..0, 0) if told.n_passed + told.n_skipped > 0 => {
            Results::Broken(format!("no test failed, but the command ended with code {exit_code}"))
        }
        _ => Results::Told(told),
    }
}

/// More lines than the summary knows were not written by the runner. Fewer are: output of the tests may stand in a line's place.
fn contradiction(part: &Part) -> Option<&'static str> {
    let count = |end| part.tests.iter().filter(|test| test.end == end).count();
    let n_failed = count(End::Failed) + count(End::Error);
    let is_more = count(End::Passed) > part.n_passed + part.n_groups
        || count(End::Skipped) > part.n_skipped + part.n_groups
        || n_failed > part.n_failed + part.n_groups
        || part.tests.len() > part.n_passed + part.n_skipped + part.n_failed + part.n_groups;
    if is_more {
        return Some("it names more tests than its summary counts");
    }
    (part.n_failed == 0 && n_failed > 0).then_some("it names failed tests that its summary does not count")
}
