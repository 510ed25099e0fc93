//! Code that gives a test what it asks for, and mends nothing: the test's own values as a case of their own, or the issue's error taken
//! away unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::heal::policy::{Finding, Lines, PatchLine, Rules};

/// What a value may be without telling anything: what right code answers where there is nothing.
const PLAIN: &[&str] = &[
    "0", "1", "-1", "0.0", "1.0", "\"\"", "''", "[]", "{}", "()", "None", "null", "nil", "True", "False",
    "true", "false",
];

/// Looks at the added lines; `record` is what the service logged.
pub(super) fn examine(lines: &Lines<'_>, record: &str, findings: &mut Vec<Finding>) {
    let rules = Rules::builtin();
    let asked: Vec<BTreeSet<&str>> =
        lines.0.iter().filter(|line| line.is_test()).map(|line| values(line.code).collect()).collect();
    let kinds = kinds(record);
    let mut n_cases: BTreeMap<&str, usize> = BTreeMap::new();
    for line in lines.0.iter().filter(|line| !line.is_test() && !line.is_moved) {
        if answers(line, &asked) {
            let n = n_cases.entry(line.path).or_default();
            *n += 1;
            if *n <= 3 {
                findings.push(rules.finding("proof.answers_test", line.shown(), ""));
            }
        }
        if swallows(line, &kinds) {
            findings.push(rules.finding("proof.swallows", line.shown(), ""));
        }
    }
}

/// Whether a line compares with a value of a test and answers with the value that the same line of the test expects.
fn answers(line: &PatchLine<'_>, asked: &[BTreeSet<&str>]) -> bool {
    static COMPARES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"==|\bcase\b|\.equals?\(|\beql\?|\s-eq\s|\bwhen\b|=>|->|\bis\s+\d|\[\[? .* = ")
            .expect("a constant pattern")
    });
    static ANSWERS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(?:return|then|echo|yield)\b|=>|->|\?|:\s").expect("a constant pattern")
    });
    if !COMPARES.is_match(line.code) {
        return false;
    }
    let window = format!("{}\n{}", line.code, line.below);
    let Some(answer) = ANSWERS.find(&window) else { return false };
    let given: BTreeSet<&str> = values(line.code).collect();
    let answered: BTreeSet<&str> = values(&window[answer.end()..]).filter(|it| !PLAIN.contains(it)).collect();
    asked.iter().any(|asked| {
        let both = answered.iter().filter(|value| asked.contains(*value));
        // One value that is both asked and answered says nothing: `if x == 7: return 7`.
        both.into_iter().any(|answer| given.iter().any(|value| value != answer && asked.contains(value)))
    })
}

/// Texts, numbers and lists of them, as they are written.
fn values(code: &str) -> impl Iterator<Item = &str> {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\[[^\[\]()]{1,80}\]|"(?:[^"\\]|\\.)+"|'(?:[^'\\]|\\.)+'|-?\b\d[\d_]*(?:\.\d+)?\b"#)
            .expect("a constant pattern")
    });
    VALUE.find_iter(code).map(|found| found.as_str())
}

/// Types of the errors that the record names, without their modules.
fn kinds(record: &str) -> BTreeSet<&str> {
    static KIND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?m)^\W*(?:[\w.]+\.)?(\w*(?:Error|Exception|Fault|Warning))\b")
            .expect("a constant pattern")
    });
    KIND.captures_iter(record).filter_map(|found| found.get(1)).map(|it| it.as_str()).collect()
}

/// Whether the issue's own error is caught and nothing is done about it.
fn swallows(line: &PatchLine<'_>, kinds: &BTreeSet<&str>) -> bool {
    static CAUGHT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*except\b([^:\n]*):\s*(?:pass|\.\.\.|continue)\s*$|\bsuppress\(([^)\n]*)\)")
            .expect("a constant pattern")
    });
    let window = format!("{}\n{}", line.code.trim_end(), line.below);
    let Some(found) = CAUGHT.captures(&window) else { return false };
    let caught = found.iter().skip(1).flatten().next().map(|it| it.as_str()).unwrap_or_default();
    caught.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|name| kinds.contains(name))
}
