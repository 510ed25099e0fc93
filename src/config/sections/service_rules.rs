//! `[[service.rule]]`: what a service wants other of some rules.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::document::Section;
use super::watch::{ROUTES, globs};
use crate::model::detection::{Action, Course, Severity};
use crate::watch::rules::{Adjustment, RuleSet, check_pattern};

pub(super) const SEVERITIES: [(&str, Option<Severity>); 4] = [
    ("info", Some(Severity::Info)),
    ("warning", Some(Severity::Warning)),
    ("error", Some(Severity::Error)),
    ("critical", Some(Severity::Critical)),
];
const ACTIONS: [(&str, Option<Action>); 2] = [("issue", Some(Action::Issue)), ("count", Some(Action::Count))];

/// The rules of one service.
#[derive(Debug, Clone)]
pub struct ServiceRules {
    /// What it wants other.
    pub wishes: Vec<Adjustment>,
    /// The rules of the config with that.
    pub rules: Arc<RuleSet>,
}

/// Reads the wishes of all services; of each that has some, the wishes and the rules as it wants them.
pub(in crate::config) fn service_rules(
    root: &Section<'_>,
    rules: &RuleSet,
) -> BTreeMap<String, ServiceRules> {
    let mut all = BTreeMap::new();
    for service in root.sections("service") {
        let Some(name) = service.text("name") else { continue };
        let wishes: Vec<Adjustment> =
            service.sections("rule").into_iter().map(|section| wish(section, rules)).collect();
        if wishes.is_empty() {
            continue;
        }
        match rules.adjusted(&name.value, &wishes) {
            Ok(own) => {
                all.insert(name.value, ServiceRules { wishes, rules: Arc::new(own) });
            }
            Err(problems) => problems.into_iter().for_each(|problem| service.add(problem.into())),
        }
    }
    all
}

fn wish(section: Section<'_>, rules: &RuleSet) -> Adjustment {
    let found = section.texts("rules");
    let adjustment = Adjustment {
        rules: globs(&section, "rules"),
        is_off: section.flag("off", false),
        severity: section.choice("severity", &SEVERITIES, None),
        action: section.choice("action", &ACTIONS, None),
        course: course(&section),
        excludes: excludes(&section),
    };
    if !section.has("rules") {
        section.wrong::<()>("rules", None, "is missing", "name rules by id or glob: rules = [\"http.*\"]");
    }
    for glob in &adjustment.rules {
        if !rules.rules().iter().any(|rule| glob.is_match(&*rule.id)) {
            let message = format!("no rule is called `{}`", glob.glob());
            section.wrong(
                "rules",
                found.as_ref(),
                message,
                "the ids stand in rules/*.toml and in your own rule files",
            );
        }
    }
    let wants_nothing = !adjustment.is_off
        && adjustment.severity.is_none()
        && adjustment.action.is_none()
        && adjustment.course == Course::default()
        && adjustment.excludes.is_empty();
    if wants_nothing
        && !["off", "severity", "action", "route", "cooldown", "except"].iter().any(|key| section.has(key))
    {
        let hint = "add off = true, severity, action, route, cooldown or except";
        section.wrong("rules", found.as_ref(), "says nothing about these rules", hint);
    }
    section.finish();
    adjustment
}

/// Reads `route` and `cooldown`. A wish may be about rules of either action, so neither is held against it.
fn course(section: &Section<'_>) -> Course {
    let routes = ROUTES.map(|(name, route)| (name, Some(route)));
    let cooldown =
        section.duration("cooldown", Duration::ZERO..=Duration::from_secs(365 * 24 * 3600), Duration::ZERO);
    Course {
        route: section.choice("route", &routes, None),
        cooldown: section.has("cooldown").then_some(cooldown),
    }
}

fn excludes(section: &Section<'_>) -> Vec<String> {
    let Some(found) = section.texts("except") else { return Vec::new() };
    let mut right = Vec::new();
    for pattern in &found.value {
        match check_pattern(pattern) {
            Ok(()) => right.push(pattern.clone()),
            Err(why) => section.wrong(
                "except",
                Some(&found),
                format!("`{pattern}` is not a regular expression: {why}"),
                "see https://docs.rs/regex for the syntax",
            ),
        }
    }
    right
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn check(text: &str, expected: &[&str]) {
        let text = format!("[[service]]\nname = \"shop\"\n[[service.rule]]\n{text}\n");
        let problems = crate::config::parse(Path::new("a.toml"), &text).err().unwrap_or_default();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn wishes_are_checked_with_their_places() {
        check("rules = [\"http.*\"]\noff = true", &[]);
        check("rules = [\"http.*\"]\nroute = \"ticket\"\ncooldown = \"1h\"", &[]);
        check(
            "rules = [\"http.*\"]\nroute = \"mail\"",
            &[
                "a.toml:5: service[1].rule[1].route: the text `mail` is not allowed here; write one of \"ignore\", \"ticket\", \"fix\"",
            ],
        );
        check("rules = [\"http.5xx\", \"level.*\"]\nseverity = \"warning\"\nexcept = ['a+']", &[]);
        check(
            "rules = [\"htp.*\"]\noff = true",
            &[
                "a.toml:4: service[1].rule[1].rules: no rule is called `htp.*`; the ids stand in rules/*.toml and in your own rule files",
            ],
        );
        check(
            "rules = [\"http.*\"]\nexcept = ['(']",
            &[
                "a.toml:5: service[1].rule[1].except: `(` is not a regular expression: unclosed group; see https://docs.rs/regex for the syntax",
            ],
        );
        check(
            "rules = [\"http.*\"]",
            &[
                "a.toml:4: service[1].rule[1].rules: says nothing about these rules; add off = true, severity, action, route, cooldown or except",
            ],
        );
    }
}
