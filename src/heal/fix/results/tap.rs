//! The Test Anything Protocol: `ok 1 - name`, `not ok 2 - name`, and the plan `1..2`. <https://testanything.org>
//!
//! Node's form names a test before its subtests (`# Subtest: name`), indented by four spaces a level.

use std::sync::LazyLock;

use regex::Regex;

use super::told::{End, Part, Test};

static POINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^( *)(not )?ok\b(?: +\d+)?(?: +- +| +|$)(.*)$").expect("a constant pattern")
});
static PLAN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^1\.\.(\d+)(?: *#.*)?$").expect("a constant pattern"));

/// What TAP says, if the output is in it.
pub(super) fn read(lines: &[&str]) -> Option<Part> {
    let mut tests = Vec::new();
    // Names of the tests around, by level.
    let mut around: Vec<String> = Vec::new();
    let (mut n_planned, mut n_points, mut n_plans) = (0_usize, 0_usize, 0_usize);
    let mut is_in_yaml = false;
    let mut fault = None;
    for line in lines {
        let line = line.trim_end();
        let text = line.trim_start();
        if is_in_yaml || text == "---" {
            is_in_yaml = text != "...";
        } else if let Some(plan) = PLAN.captures(line) {
            n_planned = n_planned.saturating_add(plan[1].parse().unwrap_or(usize::MAX));
            n_plans += 1;
        } else if let Some(name) = text.strip_prefix("# Subtest: ") {
            around.truncate((line.len() - text.len()) / 4);
            around.push(name.to_owned());
        } else if let Some(point) = POINT.captures(line) {
            let level = point[1].len() / 4;
            n_points += usize::from(level == 0);
            let (name, directive) = point[3].split_once('#').unwrap_or((&point[3], ""));
            let directive = directive.trim_start().to_ascii_uppercase();
            let end = if directive.starts_with("SKIP") || directive.starts_with("TODO") {
                End::Skipped
            } else if point.get(2).is_some() {
                End::Failed
            } else {
                End::Passed
            };
            around.truncate(level);
            let mut path = around.clone();
            path.push(name.trim().to_owned());
            tests.push(Test::new(&path.join(" > "), end));
        } else if text.starts_with("Bail out!") {
            fault = Some("TAP was broken off by `Bail out!`");
        }
    }
    if n_plans == 0 || (n_points == 0 && n_planned > 0) {
        // Lines that begin like this are no protocol without a plan; a plan alone is any text.
        return None;
    }
    if n_planned != n_points {
        fault = Some("TAP has another number of results than its plan");
    }
    Some(Part { fault, ..Part::counted(tests) })
}
