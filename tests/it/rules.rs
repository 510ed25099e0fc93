//! The shipped rules against their own examples, and against ordinary and bad lines of many programs.

use std::collections::BTreeSet;

use homeostat::base::redact::Clean;
use homeostat::watch::rules::{Cost, RuleSet};

fn detected(line: &str) -> String {
    let detection = RuleSet::builtin().detect(&Clean::trusted(line));
    detection.map_or_else(|| "-".to_owned(), |it| it.rule.to_string())
}

#[test]
fn every_shipped_rule_keeps_its_word() {
    let problems: Vec<String> = RuleSet::builtin().check_examples().iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_shipped_rule_shows_what_it_does_not_match_and_says_why_it_is_there() {
    let rules = RuleSet::builtin();
    let poor = rules.rules().iter().filter(|it| it.counter_examples.is_empty() || it.description.is_empty());
    assert_eq!(poor.map(|it| it.id.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn ordinary_lines_are_left_alone() {
    let wrong: Vec<String> = include_str!("../fixtures/rules/quiet.log")
        .lines()
        .filter_map(|line| Some((detected(line), line)).filter(|(rule, _)| rule != "-"))
        .map(|(rule, line)| format!("{rule}: {line}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn bad_lines_are_found_by_the_rule_that_says_most() {
    let wrong: Vec<String> = include_str!("../fixtures/rules/loud.log")
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(expected, line)| (expected, detected(line), line))
        .filter(|(expected, found, _)| found != expected)
        .map(|(expected, found, line)| format!("{expected}, not {found}: {line}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_shipped_rule_slows_the_scan() {
    let rules = RuleSet::builtin();
    let slow: BTreeSet<_> = rules
        .rules()
        .iter()
        .zip(rules.costs())
        .filter(|(_, cost)| *cost != Cost::Prefiltered)
        .map(|(rule, cost)| format!("{} {}", rule.id, cost.name()))
        .collect();
    assert_eq!(slow, BTreeSet::new());
}

#[test]
fn there_are_rules_for_every_kind_of_program() {
    let rules = RuleSet::builtin();
    assert!(rules.rules().len() >= 250, "{}", rules.rules().len());
    let silent: Vec<_> = (0..rules.rules().len()).filter(|idx| rules.hits(*idx, "")).collect();
    assert_eq!(silent, Vec::<usize>::new(), "rules that hit the empty line");
}

/// A rule of which every example is another rule's is dead: a better one took its place, or it stands too late.
#[test]
fn every_shipped_rule_is_the_best_for_one_of_its_examples() {
    let rules = RuleSet::builtin();
    let is_own = |id: &str, text: &String| detected(text) == id;
    let dead = rules.rules().iter().filter(|it| !it.examples.iter().any(|text| is_own(&it.id, text)));
    assert_eq!(dead.map(|it| it.id.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
}
