//! Maven's surefire, JUnit's own consoles, and Gradle where it is asked to log each test.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static SUREFIRE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(.*)$"));
static SUREFIRE_FAILED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?:\[ERROR\] )?(\S+?(?:\([\w.$]+\))?)\s+(?:-- )?Time elapsed: .*<<< (FAILURE|ERROR)!")
});
static JUNIT4_OK: LazyLock<Regex> = LazyLock::new(|| pattern(r"^OK \((\d+) tests?\)$"));
static JUNIT4_FAILED: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Tests run: (\d+),  Failures: (\d+)$"));
static JUNIT4_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\d+\) (\S+\([\w.$]+\))$"));
static JUNIT5: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\[ +(\d+) tests (successful|failed|skipped|aborted) +\]$"));
static GRADLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\S.* > \S.*) (PASSED|FAILED|SKIPPED)$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// Counts per class, failures by name, and the sum of each module.
pub(super) fn surefire(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    // Run, failed, skipped: by classes and by the sums.
    let (mut classes, mut sums) = ([0_usize; 3], [0_usize; 3]);
    let mut is_surefire = false;
    for line in lines {
        let line = line.trim_end();
        if let Some(counts) = SUREFIRE.captures(line) {
            is_surefire = true;
            let n = |at: usize| counts[at].parse::<usize>().unwrap_or(usize::MAX);
            let sink = if counts[5].contains("Time elapsed") { &mut classes } else { &mut sums };
            for (slot, n) in sink.iter_mut().zip([n(1), n(2).saturating_add(n(3)), n(4)]) {
                *slot = slot.saturating_add(n);
            }
        } else if let Some(failed) = SUREFIRE_FAILED.captures(line) {
            let end = if &failed[2] == "ERROR" { End::Error } else { End::Failed };
            part.tests.push(Test::new(&failed[1], end));
        }
    }
    if classes != sums {
        part.fault = Some("the classes of surefire do not add up to its sum");
    }
    [part.n_failed, part.n_skipped] = [sums[1], sums[2]];
    part.n_passed = sums[0].saturating_sub(sums[1] + sums[2]);
    is_surefire.then_some(part)
}

/// JUnit 4's `JUnitCore` and the console launcher of JUnit 5.
pub(super) fn junit_console(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let mut is_junit = false;
    for line in lines {
        let line = line.trim_end();
        if let Some(count) = JUNIT4_OK.captures(line) {
            is_junit = true;
            part.n_passed += count[1].parse::<usize>().unwrap_or(0);
        } else if let Some(counts) = JUNIT4_FAILED.captures(line) {
            is_junit = true;
            let n = |at: usize| counts[at].parse::<usize>().unwrap_or(0);
            part.n_failed += n(2);
            part.n_passed += n(1).saturating_sub(n(2));
        } else if let Some(name) = JUNIT4_NAME.captures(line) {
            part.tests.push(Test::new(&name[1], End::Failed));
        } else if let Some(count) = JUNIT5.captures(line) {
            is_junit = true;
            let n = count[1].parse::<usize>().unwrap_or(0);
            match &count[2] {
                "successful" => part.n_passed += n,
                "failed" => part.n_failed += n,
                _ => part.n_skipped += n,
            }
        }
    }
    is_junit.then_some(part)
}

/// Gradle with `testLogging` of the events passed, skipped and failed.
pub(super) fn gradle(lines: &[&str]) -> Option<Part> {
    let is_gradle =
        lines.iter().any(|line| line.starts_with("BUILD SUCCESSFUL") || line.starts_with("BUILD FAILED"));
    if !is_gradle {
        return None;
    }
    let tests: Vec<Test> = lines
        .iter()
        .filter_map(|line| GRADLE.captures(line.trim_end()))
        .filter(|found| !found[1].starts_with('>'))
        .map(|found| {
            let end = match &found[2] {
                "PASSED" => End::Passed,
                "FAILED" => End::Failed,
                _ => End::Skipped,
            };
            Test::new(&found[1], end)
        })
        .collect();
    (!tests.is_empty()).then(|| Part::counted(tests))
}
