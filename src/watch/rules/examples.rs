//! Every rule against its own examples.

use super::rule::RuleProblem;
use super::set::{RuleSet, problem};

impl RuleSet {
    /// Examples that a rule should hit and does not, and the other way round. Empty when all is well.
    pub fn check_examples(&self) -> Vec<RuleProblem> {
        let mut problems = Vec::new();
        for (idx, rule) in self.rules().iter().enumerate() {
            for (example, text) in rule.examples.iter().enumerate().filter(|(_, text)| !self.hits(idx, text))
            {
                let key = format!("match[{}]", example + 1);
                let (message, hint) = match self.is_taken_back(idx, text) {
                    true => (
                        format!("taken back: `{text}`"),
                        "an `except`, `only` or `alone` of the rule or its file says so",
                    ),
                    false => (format!("not hit: `{text}`"), "mend the pattern or the example"),
                };
                problems.push(problem(rule, &key, message, hint));
            }
            for (example, text) in
                rule.counter_examples.iter().enumerate().filter(|(_, text)| self.hits(idx, text))
            {
                let key = format!("no_match[{}]", example + 1);
                problems.push(problem(
                    rule,
                    &key,
                    format!("hit: `{text}`"),
                    "narrow the pattern or add an `except`",
                ));
            }
        }
        problems
    }
}
