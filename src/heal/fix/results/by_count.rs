//! Runners that say how many, and name what failed: a table of patterns.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::told::{End, Part, Test};

/// How a runner sums up. Groups of `counts`: `total`, `passed`, `failed`, `errors`, `skipped`, `more`.
#[derive(Debug)]
pub(super) struct Summary {
    counts: &'static [&'static str],
    /// Group 1 is the name of a failed test. With `name_after`, it stands in the line after one that fits that.
    failed: &'static str,
    name_after: Option<&'static str>,
    /// Group 1 is the name of a test, group 2 its end by the letters below.
    named: Option<&'static str>,
}

pub(super) static MINITEST: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^(?<total>\d+) runs, \d+ assertions, (?<failed>\d+) failures, (?<errors>\d+) errors, (?<skipped>\d+) skips$",
        ],
        failed: r"^(\S+#.+?)(?: \[.*\])?:$",
        name_after: Some(r"^\s*\d+\) (?:Failure|Error):$"),
        named: Some(r"^(\S+#.+?) = [\d.]+ s = ([.S])$"),
    })
});

pub(super) static TEST_UNIT: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^(?<total>\d+) tests, \d+ assertions, (?<failed>\d+) failures, (?<errors>\d+) errors, (?<skipped>\d+) pendings, (?<more>\d+) omissions, \d+ notifications$",
        ],
        failed: r"^(?:Failure|Error): (\S+\([\w:]+\))",
        name_after: None,
        named: None,
    })
});

pub(super) static RSPEC: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^(?<total>\d+) examples?, (?<failed>\d+) failures?(?:, (?<skipped>\d+) pending)?(?:, (?<out>\d+) errors? occurred outside of examples)?$",
        ],
        failed: r"^rspec \S+ # (.+)$",
        name_after: None,
        named: None,
    })
});

pub(super) static PHPUNIT: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^OK \((?<total>\d+) tests?, \d+ assertions?\)$",
            r"^Tests: (?<total>\d+), Assertions: \d+(?:, Errors: (?<errors>\d+))?(?:, Failures: (?<failed>\d+))?(?:, (?:PHPUnit )?(?:Warnings|Deprecations|Notices): \d+)*(?:, Skipped: (?<skipped>\d+))?(?:, Incomplete: (?<more>\d+))?(?:, Risky: (?<risky>\d+))?\.$",
        ],
        failed: r"^\d+\) ([\w\\]+::\w+.*)$",
        name_after: None,
        named: None,
    })
});

pub(super) static JEST: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^Tests:\s+(?:(?<failed>\d+) failed, )?(?:(?<skipped>\d+) skipped, )?(?:(?<more>\d+) todo, )?(?:(?<passed>\d+) passed, )?(?<total>\d+) total$",
            r"^Test Suites:\s+(?<suites>\d+) failed, .*total$",
        ],
        failed: r"^  ● (.+ › .+|Test suite failed to run)$",
        name_after: None,
        named: None,
    })
});

pub(super) static VITEST: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^\s+Tests\s+(?:(?<failed>\d+) failed)?(?: \| )?(?:(?<passed>\d+) passed)?(?: \| )?(?:(?<skipped>\d+) skipped)?(?: \| )?(?:(?<more>\d+) todo)? ?\((?<total>\d+)\)$",
        ],
        failed: r"^ FAIL  (\S+ > .+)$",
        name_after: None,
        named: None,
    })
});

pub(super) static MOCHA: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^\s+(?<passed>\d+) passing(?: \(.*\))?$",
            r"^\s+(?<failed>\d+) failing$",
            r"^\s+(?<skipped>\d+) pending$",
        ],
        failed: r"^\s+\d+\) (\S.*?):?$",
        name_after: None,
        named: None,
    })
});

pub(super) static DOTNET: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[
            r"^(?:Passed|Failed)!\s+- Failed:\s+(?<failed>\d+), Passed:\s+(?<passed>\d+), Skipped:\s+(?<skipped>\d+), Total:\s+(?<total>\d+)",
        ],
        failed: r"^\s*Failed (\S.*?) \[[^\]]*\]$",
        name_after: None,
        named: None,
    })
});

pub(super) static CTEST: LazyLock<Reader> = LazyLock::new(|| {
    Reader::new(&Summary {
        counts: &[r"^\d+% tests passed, (?<failed>\d+) tests failed out of (?<total>\d+)$"],
        failed: r"^\s+\d+ - (\S+) \(\w[\w ]*\)$",
        name_after: None,
        named: None,
    })
});

/// A [`Summary`] with its patterns compiled.
#[derive(Debug)]
pub(super) struct Reader {
    counts: Vec<Regex>,
    failed: Regex,
    name_after: Option<Regex>,
    named: Option<Regex>,
}

impl Reader {
    fn new(summary: &Summary) -> Self {
        let pattern = |text: &str| Regex::new(text).expect("a constant pattern");
        Self {
            counts: summary.counts.iter().map(|text| pattern(text)).collect(),
            failed: pattern(summary.failed),
            name_after: summary.name_after.map(pattern),
            named: summary.named.map(pattern),
        }
    }
}

/// What the runner says, if it was run.
pub(super) fn read(reader: &Reader, lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let mut failed = BTreeSet::new();
    let (mut is_in, mut n_suites) = (false, 0);
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_end();
        if let Some(counts) = reader.counts.iter().find_map(|regex| regex.captures(line)) {
            is_in = true;
            n_suites += count(&counts, &mut part);
        } else if let Some(name) = reader.failed.captures(line) {
            let is_there = reader
                .name_after
                .as_ref()
                .is_none_or(|before| at > 0 && before.is_match(lines[at - 1].trim_end()));
            if is_there {
                failed.insert(name[1].to_owned());
            }
        } else if let Some(named) = reader.named.as_ref().and_then(|regex| regex.captures(line)) {
            let end = if &named[2] == "." { End::Passed } else { End::Skipped };
            part.tests.push(Test::new(&named[1], end));
        }
    }
    // A suite that could not be loaded has no tests to count.
    if part.n_failed == 0 {
        part.n_failed = n_suites;
    }
    // Names of failures are a help; some runners put other numbered text in the same form.
    failed.iter().take(part.n_failed).for_each(|name| part.tests.push(Test::new(name, End::Failed)));
    is_in.then_some(part)
}

/// Adds what a line counts. Gives the number of suites that failed, where the line counts those.
fn count(counts: &Captures<'_>, part: &mut Part) -> usize {
    let n = |name: &str| -> Option<usize> { counts.name(name)?.as_str().parse().ok() };
    let sum = |names: &[&str]| -> usize { names.iter().filter_map(|name| n(name)).sum() };
    let n_failed = sum(&["failed", "errors"]);
    let n_skipped = sum(&["skipped", "more", "risky"]);
    part.n_passed += match (n("passed"), n("total")) {
        (Some(n_passed), _) => n_passed,
        (None, Some(n_total)) => n_total.saturating_sub(n_failed + n_skipped),
        (None, None) => 0,
    };
    part.n_failed += n_failed + sum(&["out"]);
    part.n_skipped += n_skipped;
    n("suites").unwrap_or(0)
}
