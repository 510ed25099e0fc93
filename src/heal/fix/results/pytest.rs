//! pytest: the block `short test summary info` and the last line, both asked for by `-rfEsxXp`.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static LAST: LazyLock<Regex> = LazyLock::new(|| {
    let kind =
        r"\d+ (?:failed|passed|skipped|deselected|xfailed|xpassed|warnings?|errors?|rerun|subtests passed)";
    Regex::new(&format!(
        r"^(?:=+ )?(no tests (?:ran|collected)|{kind}(?:, {kind})*)(?: \(\d+ deselected\))? in [\d.]+s(?: \([\d:]+\))?(?: =+)?$"
    ))
    .expect("a constant pattern")
});

/// What pytest says, if it was run.
pub(super) fn read(lines: &[&str]) -> Option<Part> {
    let mut part = Part::default();
    let mut block: Option<Vec<Test>> = None;
    let mut is_pytest = false;
    for line in lines {
        let line = line.trim_end();
        if line.contains("= short test summary info =") {
            // A test's own output may hold such a block; it is followed by the real one.
            block = Some(Vec::new());
            continue;
        }
        if let Some(counts) = LAST.captures(line) {
            is_pytest = true;
            count(&counts[1], &mut part);
            part.tests.extend(block.take().unwrap_or_default());
        } else if let Some(tests) = &mut block {
            tests.extend(test_of(line));
        }
    }
    if block.is_some() {
        part.fault = Some("pytest broke off before its last line");
        is_pytest = true;
    }
    is_pytest.then_some(part)
}

fn count(counts: &str, part: &mut Part) {
    for item in counts.split(", ") {
        let Some((number, kind)) = item.split_once(' ') else { continue };
        let Ok(n) = number.parse::<usize>() else { continue };
        match kind {
            "passed" | "xpassed" => part.n_passed += n,
            "skipped" | "xfailed" => part.n_skipped += n,
            "failed" | "error" | "errors" => part.n_failed += n,
            _ => {}
        }
    }
}

/// `FAILED tests/test_a.py::test_x - ValueError: …`
fn test_of(line: &str) -> Option<Test> {
    let (word, rest) = line.split_once(' ')?;
    let end = match word {
        "PASSED" | "XPASS" => End::Passed,
        "FAILED" => End::Failed,
        "ERROR" => End::Error,
        "SKIPPED" | "XFAIL" => End::Skipped,
        _ => return None,
    };
    let name = if word == "PASSED" { rest } else { without_reason(rest) };
    Some(Test::new(name.trim_end(), end))
}

/// Parameters in brackets may hold the very separator of the reason.
fn without_reason(text: &str) -> &str {
    let bracket = text.find('[').filter(|at| text.find(" - ").is_none_or(|reason| *at < reason));
    match bracket.and_then(|at| text[at..].find("] - ").map(|end| at + end + 1)) {
        Some(end) => &text[..end],
        None if bracket.is_some() && text.ends_with(']') => text,
        None => text.split_once(" - ").map_or(text, |(name, _)| name),
    }
}
