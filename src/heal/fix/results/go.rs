//! Go: `=== RUN`, `--- PASS: TestX (0.00s)` and a line per package. Without `-v` a package that passes counts as one test.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"=== RUN   (\S+)$"));
/// Not only at the start of a line: what a test prints without an end of line stands before it.
static DONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"--- (PASS|FAIL|SKIP): (\S+) \([\d.]+s\)$"));
static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(ok|FAIL)[ \t]+(\S+)[ \t]+(?:[\d.]+s|\(cached\)|\[(?:build|setup) failed\])(.*)$")
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// What `go test` says, if it was run.
pub(super) fn read(lines: &[&str]) -> Option<Part> {
    let mut tests = Vec::new();
    let (mut started, mut done) = (Vec::new(), Vec::new());
    let mut fault = None;
    let mut n_packages = 0;
    for line in lines {
        let line = line.trim_end();
        if let Some(run) = RUN.captures(line) {
            started.push(run[1].to_owned());
        } else if let Some(result) = DONE.captures(line) {
            let end = match &result[1] {
                "PASS" => End::Passed,
                "SKIP" => End::Skipped,
                _ => End::Failed,
            };
            done.push((result[2].to_owned(), end));
        } else if let Some(found) = PACKAGE.captures(line) {
            n_packages += 1;
            let (package, has_passed) = (&found[2], &found[1] == "ok");
            let has_failure = done.iter().any(|(_, end)| *end == End::Failed);
            if has_passed && has_failure {
                fault = Some("a package of Go is said to have passed, but a test in it failed");
            }
            let unfinished: Vec<&String> =
                started.iter().filter(|name| !done.iter().any(|(it, _)| it == *name)).collect();
            if has_passed && !unfinished.is_empty() {
                fault = Some("a package of Go is said to have passed, but a test in it did not end");
            }
            let is_empty = found[3].contains("[no tests to run]") || found[3].contains("[no test files]");
            let is_bare = done.is_empty() && unfinished.is_empty() && !is_empty;
            if is_bare || (!has_passed && !has_failure && unfinished.is_empty()) {
                // By its name alone: passed without `-v`, not built, or ended by itself.
                tests.push(Test::new(package, if has_passed { End::Passed } else { End::Error }));
            }
            tests.extend(unfinished.iter().map(|it| Test::new(&format!("{package}: {it}"), End::Error)));
            tests.extend(done.iter().map(|(it, end)| Test::new(&format!("{package}: {it}"), *end)));
            started.clear();
            done.clear();
        }
    }
    if n_packages > 0 && !(started.is_empty() && done.is_empty()) {
        fault = Some("a package of Go broke off before its result");
    }
    (n_packages > 0).then(|| Part { fault, ..Part::counted(tests) })
}
