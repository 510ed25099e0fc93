//! What one service wants other of some rules: left out, another severity or action, more lines taken back.

use globset::GlobMatcher;
use regex_automata::util::syntax::parse_with;

use super::rule::{Rule, RuleProblem};
use super::set::{RuleSet, one_line, syntax};
use crate::model::detection::{Action, Course, Severity};

/// A wish about the rules that `rules` name.
#[derive(Debug, Clone)]
pub struct Adjustment {
    /// Globs for ids.
    pub rules: Vec<GlobMatcher>,
    /// They are left out.
    pub is_off: bool,
    pub severity: Option<Severity>,
    pub action: Option<Action>,
    /// What it names is taken over.
    pub course: Course,
    /// Regular expressions for lines that they do not hit; all of them passed [`check_pattern`].
    pub excludes: Vec<String>,
}

impl Adjustment {
    /// Whether it is about this rule.
    pub fn is_about(&self, id: &str) -> bool {
        self.rules.iter().any(|glob| glob.is_match(id))
    }
}

/// What is wrong with a pattern, in words.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    parse_with(pattern, &syntax()).map(|_| ()).map_err(|error| one_line(&error.to_string()))
}

impl RuleSet {
    /// The same rules with the wishes of a service; later wishes come on top of earlier ones.
    ///
    /// # Errors
    /// The excludes are too large to compile.
    pub fn adjusted(&self, service: &str, wishes: &[Adjustment]) -> Result<Self, Vec<RuleProblem>> {
        let mut rules = Vec::new();
        for rule in self.rules() {
            let about: Vec<&Adjustment> = wishes.iter().filter(|it| it.is_about(&rule.id)).collect();
            if !about.iter().any(|it| it.is_off) {
                rules.push(with(rule.clone(), service, &about));
            }
        }
        Self::compile(rules)
    }
}

fn with(mut rule: Rule, service: &str, wishes: &[&Adjustment]) -> Rule {
    for wish in wishes {
        rule.severity = wish.severity.unwrap_or(rule.severity);
        rule.action = wish.action.unwrap_or(rule.action);
        rule.course.route = wish.course.route.or(rule.course.route);
        rule.course.cooldown = wish.course.cooldown.or(rule.course.cooldown);
        if !wish.excludes.is_empty() {
            rule.excludes.extend(wish.excludes.iter().cloned());
            // Not as it was shipped any more: what cannot be built is told now.
            rule.origin.file = format!("service {service}: {}", rule.origin.file).into();
        }
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::redact::Clean;

    fn wish(glob: &str) -> Adjustment {
        let rules = vec![globset::Glob::new(glob).unwrap().compile_matcher()];
        Adjustment {
            rules,
            is_off: false,
            severity: None,
            action: None,
            course: Course::default(),
            excludes: Vec::new(),
        }
    }

    fn check(wishes: &[Adjustment], line: &str, expected: Option<(&str, Severity, Action)>) {
        let rules = RuleSet::builtin().adjusted("shop", wishes).unwrap();
        let found = rules.detect(&Clean::trusted(line));
        let found = found.as_ref().map(|it| (&*it.rule, it.severity, it.action));
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn a_service_has_its_own_rules() {
        let line = "upstream returned 502 Bad Gateway";
        check(&[], line, Some(("http.5xx", Severity::Error, Action::Count)));
        check(&[Adjustment { is_off: true, ..wish("http.*") }], line, None);
        let loud = Adjustment {
            severity: Some(Severity::Critical),
            action: Some(Action::Issue),
            ..wish("http.5xx")
        };
        check(std::slice::from_ref(&loud), line, Some(("http.5xx", Severity::Critical, Action::Issue)));
        let quiet = Adjustment { excludes: vec!["(?i)bad gateway".to_owned()], ..wish("http.*") };
        check(&[loud, quiet.clone()], line, None);
        check(&[quiet], "upstream returned 503", Some(("http.5xx", Severity::Error, Action::Count)));
        // What the better rule leaves is the next one's.
        let off = Adjustment { is_off: true, ..wish("postgres.*") };
        check(&[off], "ERROR:  deadlock detected", Some(("database.error", Severity::Error, Action::Issue)));
    }

    #[test]
    fn a_pattern_is_checked_in_words() {
        assert_eq!(check_pattern("a+"), Ok(()));
        assert_eq!(check_pattern("("), Err("unclosed group".to_owned()));
    }
}
