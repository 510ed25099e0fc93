//! Tells from a test run's output that something it needs is not in the image.
//!
//! The sandbox has no network, so this is no bug that an agent could fix: a person has to put the dependency into the image. It
//! counts only where no test passed at all, as a project may well have a test for something optional.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::proof::CheckRun;

static MISSING: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?m)(?:ModuleNotFoundError|ImportError): No module named '([^'\n]{1,80})'",
        r"(?m)Cannot find (?:module|package) '([^'./\n][^'\n]{0,80})'",
        r"(?m)no matching package named `([^`\n]{1,80})` found",
        r"(?m)failed to (?:download|get) `([^`\n]{1,80})`",
        r"(?m)(?:cannot find module providing package|no required module provides package) ([^\s:;]{1,120})",
        r"(?m)module lookup disabled by GOPROXY=off.*?([^\s:]{1,120})$",
        r"(?m)^go: ([^\s:]{1,120}@[^\s:]{1,60}): (?:module lookup disabled|dial tcp)",
        r"(?m)Cannot access \S+ \(\S+\) in offline mode and the artifact ([^\s]{1,120}) has not been downloaded",
        r"(?m)Could not (?:resolve|find) ([a-z][\w.-]{1,60}:[\w.-]{1,60}:[\w.-]{1,40})",
        r"(?m)cannot load such file -- ([\w./-]{1,80}) \(LoadError\)",
        r"(?m)^Could not find ([\w.-]{1,80}) in (?:any of the sources|locally installed gems|cached gems)",
        r"(?m)can't find gem ([\w.-]{1,80}) ",
        r#"(?m)Uncaught Error: Class "([\w\\]{1,80})" not found"#,
        r"(?m)(?:require|include)(?:_once)?\(.{0,200}(vendor/autoload\.php)\): Failed to open stream",
        r"(?m)error NU1101: Unable to find package ([\w.-]{1,80})\.",
        r"(?m)error CS0246: The type or namespace name '([\w.]{1,80})' could not be found",
        r"(?m)error: package ([a-z][\w.]{1,80}) does not exist$",
        r"(?m)(?:^|: )([\w./+-]{1,80}): (?:command )?not found$",
        r"(?m)make(?:\[\d+\])?: ([\w./+-]{1,80}): No such file or directory$",
    ]
    .iter()
    .map(|pattern| Regex::new(pattern).expect("a constant pattern"))
    .collect()
});

static PASSED: LazyLock<Regex> = LazyLock::new(|| {
    let signs = [
        r"\b[1-9]\d* passed\b",
        r"^# pass [1-9]",
        r"^ok\s+\S+\s+[\d.]+s",
        r"^test result: (?:ok|FAILED)\. [1-9]\d* passed",
        r"\.\.\. ok$",
        r"^\.+[.EFsx]*$",
        r"^\d+ (?:runs|tests), [1-9]\d* assertions",
        r"^[1-9]\d* examples?, 0 failures",
        r"^OK \([1-9]\d* tests?",
        r"Passed:\s+[1-9]\d*",
        r"Tests run: [1-9]\d*, Failures: 0, Errors: 0",
    ];
    Regex::new(&format!("(?m){}", signs.join("|"))).expect("a constant pattern")
});

/// The name of what is missing, if that is why no test of a run passed.
pub fn missing_dependency(run: &CheckRun, is_own: impl Fn(&str) -> bool) -> Option<String> {
    if run.passed() || run.is_timed_out || PASSED.is_match(&run.output) {
        return None;
    }
    let mut found = MISSING.iter().filter_map(|regex| regex.captures(&run.output)).map(|it| it[1].to_owned());
    found.find(|name| !is_own(name))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(exit_code: i64, output: &str, expected: Option<&str>) {
        let run = CheckRun {
            command: "t".to_owned(),
            exit_code,
            is_timed_out: false,
            output: output.to_owned(),
            took: Duration::ZERO,
            tests: None,
        };
        assert_eq!(missing_dependency(&run, |name| name == "shop").as_deref(), expected, "{output}");
    }

    #[test]
    fn names_what_is_missing() {
        check(
            1,
            "ImportError while importing\nE   ModuleNotFoundError: No module named 'flask'\n",
            Some("flask"),
        );
        check(1, "ModuleNotFoundError: No module named 'shop'\n", None);
        check(1, "Error: Cannot find module 'express'\nRequire stack:", Some("express"));
        check(1, "Error: Cannot find module './orders'\n", None);
        check(127, "sh: 1: npm: not found\n", Some("npm"));
        check(127, "sh: line 1: mvn: command not found\n", Some("mvn"));
        check(101, "error: no matching package named `serde` found\n", Some("serde"));
        check(
            1,
            "a.go:3:8: no required module provides package github.com/x/y; to add it:\n",
            Some("github.com/x/y"),
        );
        check(1, "test.rb:1:in `require': cannot load such file -- sinatra (LoadError)\n", Some("sinatra"));
        check(10, "Could not find rack-3.0.8 in locally installed gems\n", Some("rack-3.0.8"));
        check(
            255,
            "PHP Fatal error:  Uncaught Error: Class \"Monolog\\Logger\" not found in x.php:3\n",
            Some("Monolog\\Logger"),
        );
        check(1, "error NU1101: Unable to find package Serilog. No packages exist\n", Some("Serilog"));
        check(2, "CartTest.java:1: error: package org.junit does not exist\n", Some("org.junit"));
        check(
            1,
            "Cannot access central (https://repo) in offline mode and the artifact org.x:y:jar:1.0 has not been downloaded from it before",
            Some("org.x:y:jar:1.0"),
        );
    }

    #[test]
    fn a_run_with_passed_tests_lacks_nothing() {
        check(1, "E   ModuleNotFoundError: No module named 'flask'\n1 failed, 3 passed in 0.1s\n", None);
        check(0, "ModuleNotFoundError: No module named 'flask'\n", None);
        check(1, "..E.\nModuleNotFoundError: No module named 'flask'\n", None);
        check(1, "AssertionError: 1 != 2\n", None);
    }
}
