//! The `spec` reporter of Node's own runner: a mark per test, suites around them, and the counts at the end.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^( *)([✔✖﹣⚠▶]) (.*?)(?: \([\d.]+ms\))?( # .*)?$"));
static TIMED: LazyLock<Regex> = LazyLock::new(|| pattern(r" \([\d.]+ms\)(?: # .*)?$"));
static COUNT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^ℹ (tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$"));

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// What Node's runner says, if it was run with this reporter.
pub(super) fn node_spec(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let (mut n_tests, mut n_summaries) = (0, 0);
    // Suites around, by level, and whether a test in them failed.
    let mut around: Vec<(String, bool)> = Vec::new();
    let mut is_after_place = false;
    for line in lines {
        let line = line.trim_end();
        if let Some(count) = COUNT.captures(line) {
            let n: usize = count[2].parse().unwrap_or(usize::MAX);
            match &count[1] {
                "tests" => (n_tests, n_summaries) = (n_tests + n, n_summaries + 1),
                "suites" => part.n_groups += n,
                "pass" => part.n_passed += n,
                "fail" | "cancelled" => part.n_failed += n,
                _ => part.n_skipped += n,
            }
        } else if line.starts_with("test at ") {
            // The failures are told once more at the end, each after its place.
            is_after_place = true;
            continue;
        } else if let Some(found) = LINE.captures(line)
            && !is_after_place
        {
            let level = found[1].len() / 2;
            let is_timed = TIMED.is_match(line);
            if &found[3] == "failing tests:" && !is_timed {
                around.clear();
                continue;
            }
            if &found[2] == "▶" && !is_timed {
                around.truncate(level);
                around.push((found[3].to_owned(), false));
                continue;
            }
            // The line that closes a suite stands on the level of the one that opened it.
            let has_failure = around.get(level).is_some_and(|(name, failed)| *failed && *name == found[3]);
            let end = match &found[2] {
                "✖" => End::Failed,
                "▶" if has_failure => End::Failed,
                "﹣" => End::Skipped,
                _ if found.get(4).is_some_and(|it| it.as_str().contains("# TODO")) => End::Skipped,
                "⚠" => End::Skipped,
                _ => End::Passed,
            };
            around.truncate(level);
            if end == End::Failed {
                around.iter_mut().for_each(|(_, failed)| *failed = true);
            }
            let path: Vec<&str> = around.iter().map(|(name, _)| name.as_str()).chain([&found[3]]).collect();
            part.tests.push(Test::new(&path.join(" > "), end));
        }
        is_after_place = false;
    }
    if n_tests != part.n_passed + part.n_failed + part.n_skipped {
        part.fault = Some("the counts of Node's runner do not add up");
    }
    (n_summaries > 0).then_some(part)
}
