//! What is odd about a set of rules as a whole: rules that can never be the best, patterns that can never be found, rules that
//! say the same. Each rule by itself may be right.

use std::collections::HashMap;
use std::sync::Arc;

use super::rule::{Rule, RuleProblem};
use super::set::{RuleSet, parse_all, problem};
use crate::base::redact::Clean;

impl RuleSet {
    /// Patterns that can never be found, rules that are dead because others take all their examples, and patterns that stand
    /// in two rules. Empty when all is well. It looks at examples, so it is as good as they are.
    pub fn oddities(&self) -> Vec<RuleProblem> {
        let mut odd = Vec::new();
        let mut seen = HashMap::new();
        for (idx, rule) in self.rules().iter().enumerate() {
            odd.extend(impossible(rule));
            odd.extend(self.dead(idx, rule));
            odd.extend(repeated(rule, &mut seen));
        }
        odd
    }

    /// Which rule takes every example of this one, where it gets none itself.
    fn dead(&self, idx: usize, rule: &Rule) -> Option<RuleProblem> {
        let mut takers: Vec<Arc<str>> = Vec::new();
        for text in rule.examples.iter().filter(|text| self.hits(idx, text)) {
            let best = self.detect(&Clean::trusted(text.as_str()))?.rule;
            if best == rule.id {
                return None;
            }
            if !takers.contains(&best) {
                takers.push(best);
            }
        }
        let names: Vec<String> = takers.iter().map(|id| format!("`{id}`")).collect();
        (!names.is_empty()).then(|| {
            let message = format!("dead: all that its examples show is found by {} first", names.join(", "));
            problem(
                rule,
                "id",
                message,
                "narrow that rule, put this one before it, raise its severity, or leave it out",
            )
        })
    }
}

fn impossible(rule: &Rule) -> Vec<RuleProblem> {
    let mut odd = Vec::new();
    for (key, patterns) in [("any", &rule.patterns), ("only", &rule.conditions), ("except", &rule.excludes)] {
        let parsed = parse_all(rule, key, patterns, &mut Vec::new());
        for (n, pattern) in (1..).zip(&parsed) {
            // Nothing has no shortest match.
            if pattern.properties().minimum_len().is_none() {
                let hint = "look for an empty class such as `[^\\s\\S]`";
                odd.push(problem(rule, &format!("{key}[{n}]"), "can never be found in a line", hint));
            }
        }
    }
    odd
}

/// What a pattern is found under: alone it may mean another thing than with other conditions or excludes.
type Meaning<'r> = (&'r str, &'r [String], &'r [String], bool);

fn repeated<'r>(rule: &'r Rule, seen: &mut HashMap<Meaning<'r>, &'r Rule>) -> Vec<RuleProblem> {
    let mut odd = Vec::new();
    for (n, pattern) in (1..).zip(&rule.patterns) {
        let meaning =
            (pattern.as_str(), rule.conditions.as_slice(), rule.excludes.as_slice(), rule.counts_alone);
        match seen.get(&meaning) {
            Some(other) => {
                let message =
                    format!("stands in `{}` ({}:{}) too", other.id, other.origin.file, other.origin.line);
                odd.push(problem(rule, &format!("any[{n}]"), message, "leave it in one of them"));
            }
            None => {
                seen.insert(meaning, rule);
            }
        }
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &[(&str, &str, &str)], expected: &[&str]) {
        let text: String = rules
            .iter()
            .map(|(id, pattern, example)| {
                format!("[[rule]]\nid='{id}'\nseverity='error'\naction='issue'\nany=['{pattern}']\nmatch=['{example}']\n")
            })
            .collect();
        let odd = RuleSet::from_texts([("a.toml", text.as_str())]).unwrap().oddities();
        assert_eq!(odd.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_odd_is_named_with_its_place() {
        check(&[("a.x", "boom", "boom"), ("a.y", "bang", "bang")], &[]);
        check(
            &[("a.x", "boom", "boom"), ("a.y", "big boom", "big boom")],
            &[
                "a.toml:7: a.y: id: dead: all that its examples show is found by `a.x` first (narrow that rule, put this one before it, raise its severity, or leave it out)",
            ],
        );
        check(
            &[("a.x", "boom [^\\s\\S]", "boom")],
            &[
                "a.toml:5: a.x: any[1]: can never be found in a line (look for an empty class such as `[^\\s\\S]`)",
            ],
        );
        check(
            &[("a.x", "boom", "boom"), ("a.y", "boom", "boom")],
            &[
                "a.toml:7: a.y: id: dead: all that its examples show is found by `a.x` first (narrow that rule, put this one before it, raise its severity, or leave it out)",
                "a.toml:11: a.y: any[1]: stands in `a.x` (a.toml:1) too (leave it in one of them)",
            ],
        );
    }
}
