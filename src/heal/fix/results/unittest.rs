//! Python's unittest: a line per test (`-v`), a block per failure, `Ran 7 tests` and `OK` or `FAILED (…)`.
//!
//! What a test prints stands between a test's name and its result, so a result may be lines away from its name.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static RAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Ran (\d+) tests? in [\d.]+s$"));
static VERDICT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$"));
static HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:ERROR|FAIL): (\S.*)$"));
static NAME: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(\w+ \([\w.<>]+\))"));
static RESULT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(ok|FAIL|ERROR|skipped .*|expected failure|unexpected success)$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// What unittest says, if it was run.
pub(super) fn read(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let mut run = Run::default();
    let mut is_unittest = false;
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_end();
        if let Some(counts) = RAN.captures(line) {
            is_unittest = true;
            let verdict = lines[at + 1..].iter().find(|line| !line.trim().is_empty());
            let verdict = verdict.and_then(|line| VERDICT.captures(line.trim_end()));
            let n_ran = counts[1].parse().unwrap_or(usize::MAX);
            match verdict {
                Some(verdict) => {
                    let named = verdict.get(2).map_or("", |it| it.as_str());
                    run.end(n_ran, &verdict[1], named, &mut part);
                }
                None => part.fault = Some("unittest broke off before its verdict"),
            }
            run = Run::default();
        } else {
            let is_head = at > 0 && lines[at - 1].starts_with("=====");
            run.line(line, is_head);
        }
    }
    is_unittest.then_some(part)
}

/// One run of the runner.
#[derive(Default)]
struct Run {
    passed: Vec<String>,
    skipped: Vec<String>,
    failed: BTreeSet<String>,
    /// A test whose result has not come yet.
    open: Option<String>,
    /// Whether the blocks of the failures have begun.
    is_over: bool,
}

impl Run {
    fn line(&mut self, line: &str, is_head: bool) {
        if is_head && let Some(head) = HEAD.captures(line) {
            self.is_over = true;
            self.failed.insert(name_of(&head[1]).to_owned());
            return;
        }
        if self.is_over {
            return;
        }
        let rest = match NAME.captures(line) {
            Some(name) => {
                self.open = Some(name[1].to_owned());
                line[name[1].len()..].trim_start()
            }
            None => line,
        };
        let Some(result) = RESULT.captures(rest) else { return };
        let Some(name) = self.open.take() else { return };
        match &result[1] {
            "ok" | "unexpected success" => self.passed.push(name),
            // Named by their blocks.
            "FAIL" | "ERROR" => {}
            _ => self.skipped.push(name),
        }
    }

    fn end(self, n_ran: usize, verdict: &str, counts: &str, part: &mut Part) {
        let count = |kind: &str| -> usize {
            let number = |item: &str| item.strip_prefix(kind)?.strip_prefix('=')?.parse().ok();
            counts.split(", ").find_map(number).unwrap_or(0)
        };
        let n_failures = count("failures") + count("errors") + count("unexpected successes");
        let n_skipped = count("skipped") + count("expected failures");
        if (verdict == "FAILED") != (n_failures > 0) || self.failed.len() > n_failures {
            part.fault = Some("unittest's verdict and its failures differ");
        }
        // One test may fail several times, in its subtests; and a fixture of a whole class that fails is no test.
        let n_failed = if self.failed.is_empty() { n_failures } else { self.failed.len() };
        let n_failed_tests =
            self.failed.iter().filter(|name| NAME.is_match(name) && !is_fixture(name)).count();
        let n_failed_tests = if self.failed.is_empty() { n_failures } else { n_failed_tests };
        part.n_failed += n_failed;
        part.n_skipped += n_skipped;
        part.n_passed += n_ran.saturating_sub(n_failed_tests + n_skipped);
        let failed = self.failed.iter().map(|name| {
            let is_load = name.contains("_FailedTest") || is_fixture(name);
            Test::new(name, if is_load { End::Error } else { End::Failed })
        });
        part.tests.extend(failed);
        part.tests.extend(self.passed.iter().map(|name| Test::new(name, End::Passed)));
        part.tests.extend(self.skipped.iter().map(|name| Test::new(name, End::Skipped)));
    }
}

/// Without what tells subtests apart.
fn name_of(head: &str) -> &str {
    NAME.find(head).map_or(head, |found| found.as_str())
}

fn is_fixture(name: &str) -> bool {
    ["setUpClass ", "setUpModule ", "tearDownClass ", "tearDownModule "]
        .iter()
        .any(|fixture| name.starts_with(fixture))
}
