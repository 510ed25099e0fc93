//! Rust's libtest: `running 3 tests`, a line per test, `test result: …`, once per target.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static TARGET: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(?:Running (?:unittests )?(\S+)(?: \(.*\))?|Doc-tests (\S+))$"));
static RUNNING: LazyLock<Regex> = LazyLock::new(|| pattern(r"^running (\d+) tests?$"));
static TEST: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^test (\S.*?)(?: - should panic)? \.\.\. (ok|FAILED|ignored.*)$"));
static RESULT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored; (\d+) measured;")
});
/// Documentation tests are named by their line, which any change above moves.
static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r" \(line \d+\)"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// What libtest says, if it was run.
pub(super) fn read(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let (mut is_libtest, mut target) = (false, String::new());
    // Tests of the target at hand, and how many it announced.
    let mut open: Option<(Vec<Test>, usize)> = None;
    let mut is_listing_failures = false;
    for line in lines {
        let line = line.trim_end();
        if let Some(n) = RUNNING.captures(line) {
            if open.is_some() && is_listing_failures {
                continue;
            }
            is_libtest = true;
            if open.is_some() {
                part.fault = Some("a target's tests broke off before their result");
            }
            open = Some((Vec::new(), n[1].parse().unwrap_or(usize::MAX)));
            is_listing_failures = false;
        } else if let Some(counts) = RESULT.captures(line) {
            let n = |at: usize| counts[at].parse::<usize>().unwrap_or(usize::MAX);
            let Some((tests, n_announced)) = open.take() else {
                part.fault = Some("a result of tests stands where no tests were run");
                continue;
            };
            if n(1) + n(2) + n(3) + n(4) != n_announced {
                part.fault = Some("a target's result counts other tests than it announced");
            }
            part.n_passed += n(1) + n(4);
            part.n_failed += n(2);
            part.n_skipped += n(3);
            part.tests.extend(tests);
            is_listing_failures = false;
        } else if line == "failures:" {
            // What failed tests printed follows.
            is_listing_failures = true;
        } else if let Some(found) = TARGET.captures(line) {
            let name = found.get(1).or_else(|| found.get(2)).map_or("", |it| it.as_str());
            target = name.to_owned();
        } else if let (Some((tests, _)), Some(found)) = (&mut open, TEST.captures(line))
            && !is_listing_failures
        {
            let end = match &found[2] {
                "ok" => End::Passed,
                "FAILED" => End::Failed,
                _ => End::Skipped,
            };
            let name = LINE.replace(&found[1], "");
            tests.push(Test::new(&format!("{target}: {name}"), end));
        }
    }
    if open.is_some() {
        part.fault = Some("a target's tests broke off before their result");
    }
    is_libtest.then_some(part)
}
