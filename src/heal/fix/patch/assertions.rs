//! Existing tests that a patch changes: which lose assertions, ask for less, or expect something else now.
//!
//! It compares what a hunk takes away with what it puts in its place. What only adds (a comma after the last row of a table, a name
//! among the imports) takes nothing away.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use crate::heal::policy::{Finding, Language, Rules, TestLines, code_of};
use crate::repo::patch::{Change, FilePatch, Hunk, Line};

/// Most findings of one rule that are told of a file.
const MAX_PER_RULE: usize = 3;

/// Looks at one file. `last` is its text after the patch.
pub(super) fn examine(file: &FilePatch, tests: &TestLines, last: Option<&str>, findings: &mut Vec<Finding>) {
    let rules = Rules::builtin();
    let is_test = tests.is_whole(&file.path);
    match file.change {
        Change::Added => {}
        Change::Deleted if is_test => findings.push(rules.finding("tests.file_removed", &file.path, "")),
        Change::Deleted => return,
        Change::Modified if file.is_binary && is_test => {
            findings.push(rules.finding("tests.fixture_changed", &file.path, ""));
        }
        Change::Modified => {
            let mut found: Vec<(&str, u32)> = Vec::new();
            for run in file.hunks.iter().flat_map(runs) {
                if is_test || tests.has(&file.path, run.at) || tests.has(&file.path, run.at.saturating_sub(1))
                {
                    of_run(file, &run, &mut found);
                } else if drops_check(file, &run) {
                    found.push(("code.check_dropped", run.at));
                }
            }
            for (at, (rule, number)) in found.iter().enumerate() {
                if found[..at].iter().filter(|(it, _)| it == rule).count() < MAX_PER_RULE {
                    findings.push(rules.finding(rule, format!("{}:{number}", file.path), ""));
                }
            }
        }
    }
    if is_test && let Some(last) = last {
        let places = shadowed(file, last).into_iter().map(|number| format!("{}:{number}", file.path));
        findings.extend(places.map(|place| rules.finding("tests.shadowed", place, "")));
    }
}

/// Lines that are taken away at one place, and those that come there.
struct Run<'a> {
    /// First line after the patch, counted from 1.
    at: u32,
    removed: Vec<&'a str>,
    added: Vec<&'a str>,
}

fn runs(hunk: &Hunk) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut number = hunk.new.0.max(1);
    let mut is_open = false;
    for line in &hunk.lines {
        if let Line::Context(_) = line {
            (number, is_open) = (number + 1, false);
            continue;
        }
        // A line taken away after one that was added begins another place.
        let begins = matches!(line, Line::Removed(_)) && runs.last().is_some_and(|run| !run.added.is_empty());
        if !is_open || begins {
            runs.push(Run { at: number, removed: Vec::new(), added: Vec::new() });
            is_open = true;
        }
        let Some(run) = runs.last_mut() else { continue };
        match line {
            Line::Removed(text) => run.removed.push(text),
            Line::Added(text) => {
                run.added.push(text);
                number += 1;
            }
            Line::Context(_) => {}
        }
    }
    runs
}

fn of_run(file: &FilePatch, run: &Run<'_>, found: &mut Vec<(&str, u32)>) {
    let language = Language::of(&file.path);
    let (removed, mut added) = without_kept(&run.removed, &run.added);
    for line in removed {
        let code = code_of(language, line).trim();
        if code.chars().all(|c| !c.is_alphanumeric()) {
            continue;
        }
        let rule = if language == Language::Other {
            "tests.fixture_changed"
        } else if let Some(name) = test_name(code) {
            let is_kept = file.added_lines().filter_map(test_name).any(|other| other == name);
            if is_kept { "tests.changed" } else { "tests.removed" }
        } else if is_assertion(code) {
            match partner(code, &mut added, language) {
                None => "tests.assertion_removed",
                Some(other) => compared(code, &other),
            }
        } else {
            "tests.changed"
        };
        found.push((rule, run.at));
    }
}

/// Whether an assertion is gone or another one in a file that is no known test but whose name says that it checks something.
/// Elsewhere a fix may well replace an assertion: what it refused is handled now.
fn drops_check(file: &FilePatch, run: &Run<'_>) -> bool {
    static NAMES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)(^|[^a-z])(self_?|smoke_?)?(check|verify|test|smoke|sanity)s?([^a-z]|$)")
            .expect("a constant pattern")
    });
    static CHECKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:debug_)?assert(?:_\w+)?!?\s*[( ]|^(?:console\.)?assert\.?\w*\(|^self\.assert\w+\(")
            .expect("a constant pattern")
    });
    if !NAMES.is_match(&file.path) {
        return false;
    }
    let language = Language::of(&file.path);
    let (removed, _) = without_kept(&run.removed, &run.added);
    removed.into_iter().any(|line| CHECKS.is_match(code_of(language, line).trim()))
}

/// What is left of both sides without the lines that are still there: as they were, with a comma after them, or with more names imported.
fn without_kept<'a>(removed: &[&'a str], added: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut left = Vec::new();
    let mut rest: Vec<&str> = added.to_vec();
    let mut from = 0;
    for line in removed {
        let kept = rest[from..].iter().position(|other| is_kept(line, other));
        match kept {
            Some(at) => {
                rest.remove(from + at);
                from += at;
            }
            None => left.push(*line),
        }
    }
    (left, rest)
}

fn is_kept(before: &str, after: &str) -> bool {
    let (before, after) = (before.trim_end(), after.trim_end());
    before == after
        || after.strip_suffix(',').is_some_and(|rest| rest == before)
        || imports_more(before, after)
}

/// Whether both import from the same place, the second all that the first does.
fn imports_more(before: &str, after: &str) -> bool {
    static IMPORT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\s*(import|from|use|using|require|#include)\b|^\s*(const|let|var)\b.*\brequire\(")
            .expect("a constant pattern")
    });
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""[^"]*"|'[^']*'"#).expect("a constant pattern"));
    if !(IMPORT.is_match(before) && IMPORT.is_match(after)) {
        return false;
    }
    let quoted = |line: &str| -> BTreeSet<String> {
        QUOTED.find_iter(line).map(|found| found.as_str().to_owned()).collect()
    };
    let head =
        ["import ", "{", "::"].iter().filter_map(|mark| before.rfind(mark).map(|at| at + mark.len())).max();
    let words = |line: &str| -> Vec<String> {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let mut later = words(after).into_iter();
    head.is_some_and(|head| after.starts_with(&before[..head]))
        && quoted(before) == quoted(after)
        && words(before).into_iter().all(|word| later.any(|other| other == word))
}

/// The name of the test that a line begins, as far as it stands on the line.
fn test_name(line: &str) -> Option<String> {
    static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"^\s*(?:(?:async\s+)?def\s+(test\w*|it_\w+)|class\s+(Test\w*|\w+Test)\b|func\s+(Test\w+|Fuzz\w+)|(?:public\s+)?function\s+(test\w+)|@test\s+("[^"]*")|(?:it|test|describe|context|specify|suite)\s*\(?\s*(["'`].*?["'`])|(#\[(?:\w+::)?test\b|@Test\b|@ParameterizedTest\b|\[(?:Fact|Theory|Test|TestMethod|TestCase)\b))"#,
        )
        .expect("a constant pattern")
    });
    let found = BEGINS.captures(line)?;
    found.iter().skip(1).flatten().next().map(|name| name.as_str().to_owned())
}

fn is_assertion(code: &str) -> bool {
    static ASSERTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)\bassert|\bexpect|\bshould|\b(t|tb)\.(error|fatal|fail)|\brequire\.\w|\b(check|require)(_\w+)?\(|\bmust_\w|\brefute|\braises\(|\bverify\(|\bfail\(|^if\b.*(!=|==|<|>)|^\[\[? |^test |\bgrep -q|\bdiff\b|\bcmp\b|_eq!?\(|\bpanic!\(",
        )
        .expect("a constant pattern")
    });
    ASSERTS.is_match(code)
}

/// The added assertion that is most like this one; it is taken out, so that it stands for one only.
fn partner(code: &str, added: &mut Vec<&str>, language: Language) -> Option<String> {
    let likeness = |other: &str| {
        let prefix = code.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let suffix = code.bytes().rev().zip(other.bytes().rev()).take_while(|(a, b)| a == b).count();
        let shared = words(code).iter().filter(|word| words(other).contains(word)).count();
        prefix + suffix + 4 * shared
    };
    let codes = added.iter().map(|line| code_of(language, line).trim());
    let (at, _) = codes
        .enumerate()
        .filter(|(_, other)| {
            is_assertion(other)
                || words(code).iter().any(|word| word.len() > 2 && words(other).contains(word))
        })
        .max_by_key(|(at, other)| (likeness(other), std::cmp::Reverse(*at)))?;
    let other = code_of(language, added.remove(at)).trim().to_owned();
    is_assertion(&other).then_some(other)
}

fn words(code: &str) -> Vec<&str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect()
}

/// What became of an assertion.
fn compared(before: &str, after: &str) -> &'static str {
    static VALUES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|\b\d[\w.]*|\b(?:True|False|None|true|false|null|nil|undefined|NaN)\b|[-+]|\s"#).expect("a constant pattern")
    });
    static BROAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\b(Base)?Exception\b|\bThrowable\b|\bStandardError\b|(raises?|throws?|raise_error|toThrow|rejects)\w*\(\s*(Error\s*)?\)|should_panic\]?$").expect("a constant pattern")
    });
    if strictness(after) < strictness(before) || (BROAD.is_match(after) && !BROAD.is_match(before)) {
        "tests.assertion_loosened"
    } else if VALUES.replace_all(before, "") == VALUES.replace_all(after, "") {
        "tests.expected_rewritten"
    } else {
        "tests.changed"
    }
}

/// How much an assertion asks for: a certain value, something about it, that it is there.
fn strictness(code: &str) -> u32 {
    static EXACT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)==|!=\s*want|\bif\b.*!=|assert_?(count|list|dict|tuple|set|multiline)?equals?\b|assert_eq|\bto(strict)?(equal|be)\(|(strict|deep)equal|assertsame|\bequals?\(|\beq[( ]|must_equal|expect_eq|isequalto|shouldbe\b|are(equal|same)\(|json_?eq|-eq\b| = ").expect("a constant pattern")
    });
    static PARTIAL: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)\bin\b|contain|match|regex|includ|approx|almost|close|delta|>=?|<=?|greater|less|isinstance|instance_?of|any\(|start_?s?_?with|subset|raises|throw").expect("a constant pattern")
    });
    let is_negated = Regex::is_match(negated(), code);
    match (EXACT.is_match(code) && !is_negated, PARTIAL.is_match(code)) {
        (true, _) => 3,
        (false, true) => 2,
        (false, false) => 1,
    }
}

/// Says only what a value is not.
fn negated() -> &'static Regex {
    static NEGATED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)assert_?not|notequal|\bassert\b[^=]*!=|\bis not\b|\.not\b|notnil|refute|not_to\b|_ne\b",
        )
        .expect("a constant pattern")
    });
    &NEGATED
}

/// Lines of tests that take the name of another one in their file: of the languages where the last one wins.
fn shadowed(file: &FilePatch, last: &str) -> Vec<u32> {
    if !matches!(Language::of(&file.path), Language::Python | Language::Ruby) {
        return Vec::new();
    }
    let is_new: BTreeSet<&str> = file.added_lines().collect();
    let mut group = "";
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (line, number) in last.lines().zip(1_u32..) {
        let start = line.trim_start();
        if start.starts_with("class ") || start.starts_with("describe ") {
            group = line;
        } else if start.starts_with("def test") || start.starts_with("async def test") {
            let name = start.split(['(', ' ', ':']).find(|word| word.starts_with("test")).unwrap_or_default();
            // What stands at the margin is in no class.
            let group = if start.len() == line.len() { "" } else { group };
            if !seen.insert((group, name)) && is_new.iter().any(|it| it.contains(&format!("def {name}("))) {
                found.push(number);
            }
        }
    }
    found
}
