//! `[[fingerprint]]`: what people decided about some errors.

use regex::Regex;

use super::super::document::{Found, Section};
use super::super::problem::{Problem, ProblemKind};
use super::service_rules::SEVERITIES;
use super::watch::globs;
use crate::base::redact::Clean;
use crate::watch::fingerprint::{Effect, Fingerprinter, Part, UserRule, UserRules, Verdict};

/// People's rules about fingerprints, with the examples that show what they match.
#[derive(Debug, Clone, Default)]
pub struct Fingerprints {
    pub rules: UserRules,
    examples: Vec<Examples>,
}

/// Of one rule.
#[derive(Debug, Clone)]
struct Examples {
    rule: UserRule,
    /// Records that it matches, and such that it does not.
    matches: Vec<String>,
    others: Vec<String>,
    /// For what is wrong with one.
    problem: Problem,
}

/// Reads all rules; those of which something is wrong are left out.
pub(in crate::config) fn fingerprints(root: &Section<'_>) -> Fingerprints {
    let mut examples = Vec::new();
    for section in root.sections("fingerprint") {
        let name = section.key("").trim_end_matches('.').to_owned();
        let texts = |key| section.texts(key).map(|it| it.value).unwrap_or_default();
        let (matches, others) = (texts("match"), texts("no_match"));
        let problem = Problem {
            file: section.file(),
            line: section.line_of("match").or_else(|| section.line_of("no_match")),
            key: name.clone(),
            message: String::new(),
            hint: String::new(),
            kind: ProblemKind::Config,
        };
        if let Some(rule) = rule(&section, name) {
            examples.push(Examples { rule, matches, others, problem });
        }
        section.finish();
    }
    Fingerprints { rules: UserRules::new(examples.iter().map(|it| it.rule.clone()).collect()), examples }
}

fn rule(section: &Section<'_>, name: String) -> Option<UserRule> {
    let message = section.text("message");
    let effect = effect(section);
    let rule = UserRule {
        name: section.text("name").map_or(name, |it| it.value),
        services: globs(section, "service"),
        types: globs(section, "type"),
        message: message.as_ref().and_then(|it| pattern(section, it)),
        functions: globs(section, "function"),
        paths: globs(section, "path"),
        effect: effect?,
    };
    let names_frames = section.has("function") || section.has("path");
    let names_any = names_frames || ["service", "type", "message"].iter().any(|key| section.has(key));
    if !names_any {
        let hint = "name some with service, type, message, function or path; `*` is for all";
        section.wrong::<()>("type", None, "does not say which errors it is about", hint);
    }
    if let Effect::InApp(_) = rule.effect {
        if message.is_some() {
            let hint = "name them with service, type, function and path";
            section.wrong("message", message.as_ref(), "frames are not told by messages", hint);
        }
        if !names_frames {
            section.wrong::<()>("in_app", None, "does not say which frames", "add function or path");
        }
    }
    Some(rule)
}

fn pattern(section: &Section<'_>, found: &Found<String>) -> Option<Regex> {
    let wrong = |error: regex::Error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let message = format!("`{}` is not a regular expression: {why}", found.value);
        section.wrong("message", Some(found), message, "see https://docs.rs/regex for the syntax");
    };
    Regex::new(&found.value).map_err(wrong).ok()
}

/// What the rule does; `None` where that is wrong, which is told.
fn effect(section: &Section<'_>) -> Option<Effect> {
    const DECISIONS: [&str; 3] = ["fingerprint", "ignore", "severity"];
    let parts = section.texts("fingerprint");
    let severities = SEVERITIES;
    let verdict = Verdict {
        is_ignored: section.flag("ignore", false),
        severity: section.choice("severity", &severities, None),
    };
    let in_app = section.flag("in_app", false);
    let decides = DECISIONS.iter().any(|key| section.has(key));
    match (section.has("in_app"), decides) {
        (true, false) => Some(Effect::InApp(in_app)),
        (true, true) => {
            let hint = "write two rules: one marks frames, the other decides over the record";
            section.wrong::<()>("in_app", None, "cannot stand beside fingerprint, ignore or severity", hint);
            None
        }
        (false, false) => {
            let hint = "add fingerprint, ignore = true, severity or in_app";
            section.wrong::<()>("fingerprint", None, "says nothing about these errors", hint);
            None
        }
        (false, true) => {
            let parts = match parts {
                Some(found) => Some(read_parts(section, &found)?),
                None => None,
            };
            Some(Effect::Decide { parts, verdict })
        }
    }
}

fn read_parts(section: &Section<'_>, found: &Found<Vec<String>>) -> Option<Vec<Part>> {
    let hint = "write texts of your own, {{default}}, {{type}}, {{function}}, {{path}} or {{template}}";
    if found.value.iter().all(|it| it.trim().is_empty()) {
        section.wrong("fingerprint", Some(found), "is empty", hint);
        return None;
    }
    let read = |text: &String| {
        let wrong = |name| {
            section.wrong("fingerprint", Some(found), format!("there is no part `{{{{{name}}}}}`"), hint);
        };
        Part::read(text).map_err(wrong).ok()
    };
    found.value.iter().map(read).collect()
}

impl Fingerprints {
    /// Examples that a rule should match and does not, and the other way round.
    pub(in crate::config) fn check_examples(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Examples { rule, matches, others, problem } in &self.examples {
            let mut check = |key: &str, texts: &[String], expected: bool, message: &str, hint: &str| {
                for (n, text) in texts.iter().enumerate() {
                    if Fingerprinter::is_match(rule, &Clean::trusted(text)) != expected {
                        let first = text.lines().next().unwrap_or_default();
                        problems.push(Problem {
                            key: format!("{}.{key}[{}]", problem.key, n + 1),
                            message: format!("{message}: `{first}`"),
                            hint: hint.to_owned(),
                            ..problem.clone()
                        });
                    }
                }
            };
            let hint = "`homeostat explain` shows its type, message and frames";
            check("match", matches, true, "not matched", hint);
            check("no_match", others, false, "matched", "name the errors more narrowly");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{check as check_file, parse};

    fn check(text: &str, expected: &[&str]) {
        let text = format!("[[fingerprint]]\n{text}\n");
        let problems = parse(Path::new("a.toml"), &text).err().unwrap_or_default();
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn rules_are_checked_with_their_places() {
        check("type = [\"*.Timeout\"]\nfingerprint = [\"db\", \"{{type}}\"]", &[]);
        check("service = [\"shop\"]\nmessage = 'order \\d+'\nignore = true\nseverity = \"warning\"", &[]);
        check("path = [\"*/vendored/*\"]\nin_app = false", &[]);
        check(
            "ignore = true",
            &[
                "a.toml:1: fingerprint[1].type: does not say which errors it is about; name some with service, type, message, function or path; `*` is for all",
            ],
        );
        check(
            "type = [\"a\"]",
            &[
                "a.toml:1: fingerprint[1].fingerprint: says nothing about these errors; add fingerprint, ignore = true, severity or in_app",
            ],
        );
        check(
            "type = [\"a\"]\nin_app = true\nignore = true",
            &[
                "a.toml:3: fingerprint[1].in_app: cannot stand beside fingerprint, ignore or severity; write two rules: one marks frames, the other decides over the record",
            ],
        );
        check(
            "message = 'a('\nin_app = true",
            &[
                "a.toml:2: fingerprint[1].message: `a(` is not a regular expression: unclosed group; see https://docs.rs/regex for the syntax",
                "a.toml:2: fingerprint[1].message: frames are not told by messages; name them with service, type, function and path",
                "a.toml:3: fingerprint[1].in_app: does not say which frames; add function or path",
            ],
        );
        check(
            "type = [\"a\"]\nfingerprint = [\"{{what}}\"]",
            &[
                "a.toml:3: fingerprint[1].fingerprint: there is no part `{{what}}`; write texts of your own, {{default}}, {{type}}, {{function}}, {{path}} or {{template}}",
            ],
        );
    }

    #[test]
    fn examples_are_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        let text = "[[fingerprint]]\nname = \"stock\"\nmessage = 'no stock'\nfingerprint = [\"stock\"]\nmatch = [\"ERROR: no stock of 7\", \"ERROR: no money\"]\nno_match = [\"ERROR: no stock left\"]\n";
        std::fs::write(&file, text).unwrap();
        let (settings, problems) = check_file(Some(&file));
        assert!(settings.is_some());
        let told: Vec<String> =
            problems.iter().map(|it| it.to_string().split_off(folder.path().as_os_str().len())).collect();
        let expected = [
            "/a.toml:5: fingerprint[1].match[2]: not matched: `ERROR: no money`; `homeostat explain` shows its type, message and frames",
            "/a.toml:5: fingerprint[1].no_match[1]: matched: `ERROR: no stock left`; name the errors more narrowly",
        ];
        assert_eq!(told, expected);
    }
}
