//! One rule file to rules, with all its problems at once.
//!
//! ```toml
//! except = ['regex', …]          # optional: takes lines back from every rule of the file; `@quiet` stands for lines
//!                                # whose own level is info or less, `@warning` for those that are warnings
//!
//! [[rule]]
//! id = "python.traceback"
//! severity = "error"             # info | warning | error | critical
//! action = "issue"               # issue | count
//! route = "ticket"               # optional: ignore | ticket | fix; no further than the service's goes all the same
//! cooldown = "1h"                # optional: for so long after an issue was held to be over it is not reopened
//! runtime = "python"             # optional
//! description = "an uncaught exception"
//! any = ['regex', …]
//! only = ['regex', …]            # optional: the line must also match one of these
//! except = ['regex', …]          # optional
//! alone = false                  # optional: a line counts only as a part of a record of several lines
//! match = ["a line it must hit", …]
//! no_match = ["a line it must not hit", …]
//! ```

use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::rule::{Entry, Origin, Rule, RuleProblem};
use crate::model::detection::{Action, Course, Severity};
use crate::model::service::Route;
use crate::model::trace::Runtime;

const FILE_KEYS: [&str; 2] = ["rule", "except"];
const RULE_KEYS: [&str; 13] = [
    "id",
    "severity",
    "action",
    "route",
    "cooldown",
    "runtime",
    "description",
    "any",
    "only",
    "except",
    "alone",
    "match",
    "no_match",
];
const PATTERN_SETS: [&str; 2] = ["only", "except"];

/// The rules of one file; those with a problem are left out and the problems are returned beside them.
pub(super) fn parse(file: &str, text: &str) -> (Vec<Rule>, Vec<RuleProblem>) {
    let mut reader = Reader { file: file.into(), text, problems: Vec::new(), entries: Vec::new() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.problem(at, "toml", error.message().to_owned(), "see https://toml.io for the syntax");
    }
    // What a broken file seems to hold is not worth a word.
    if !reader.problems.is_empty() {
        return (Vec::new(), reader.problems);
    }
    let root = root.into_inner();
    reader.refuse_unknown(&root, &FILE_KEYS, "file");
    let excludes = reader.strings(&root, "except", "file").unwrap_or_default();
    let excludes: Vec<(String, Entry)> =
        excludes.into_iter().zip(std::mem::take(&mut reader.entries)).collect();
    let mut rules = Vec::new();
    for entry in reader.tables(&root) {
        reader.entries.clear();
        rules.extend(reader.rule(entry, &excludes));
    }
    (rules, reader.problems)
}

struct Reader<'t> {
    file: Arc<str>,
    text: &'t str,
    problems: Vec<RuleProblem>,
    /// What the lists of the rule in the making hold.
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn problem(
        &mut self,
        at: usize,
        key: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (file, line) = (self.file.to_string(), self.line(at));
        self.problems.push(RuleProblem {
            file,
            line,
            key: key.into(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + memchr::memchr_iter(b'\n', before).count()
    }

    fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[&str], of: &str) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let hint = format!("known here: {}", known.join(", "));
            self.problem(key.span().start, format!("{of}: {}", key.get_ref()), "unknown key", hint);
        }
    }

    fn tables<'v>(&mut self, root: &'v DeTable<'v>) -> Vec<&'v Spanned<DeValue<'v>>> {
        match root.get("rule").map(|value| (value.span().start, value.get_ref())) {
            None => Vec::new(),
            Some((_, DeValue::Array(entries))) => entries.iter().collect(),
            Some((at, _)) => {
                self.problem(at, "rule", "not a list of tables", "write `[[rule]]`");
                Vec::new()
            }
        }
    }

    fn rule(&mut self, entry: &Spanned<DeValue<'_>>, file_excludes: &[(String, Entry)]) -> Option<Rule> {
        let at = entry.span().start;
        let DeValue::Table(table) = entry.get_ref() else {
            self.problem(at, "rule", "not a table", "write `[[rule]]`");
            return None;
        };
        let n_problems = self.problems.len();
        let id = self.string(table, "id", "rule").unwrap_or_default();
        let of = if id.is_empty() { "rule".to_owned() } else { id.clone() };
        self.refuse_unknown(table, &RULE_KEYS, &of);
        if !is_id(&id) {
            let hint = "give `id = \"group.name\"` of lower-case letters, digits, `-` and `_`";
            self.problem(at, format!("{of}: id"), if id.is_empty() { "missing" } else { "not an id" }, hint);
        }
        let severity =
            self.named(table, "severity", &of, at, Severity::from_name, "info, warning, error or critical");
        let action = self.named(table, "action", &of, at, action_from_name, "issue or count");
        let course = self.course(table, action, &of);
        let runtimes = Runtime::ALL.map(Runtime::name).join(", ");
        let runtime = match table.contains_key("runtime") {
            true => self.named(table, "runtime", &of, at, Runtime::from_name, &runtimes),
            false => None,
        };
        let patterns = self.some_strings(table, "any", &of, at, "give at least one regular expression");
        let conditions = self.strings(table, "only", &of).unwrap_or_default();
        let counts_alone = self.boolean(table, "alone", &of).unwrap_or(true);
        let mut excludes = self.strings(table, "except", &of).unwrap_or_default();
        for (exclude, entry) in file_excludes {
            excludes.push(exclude.clone());
            let key = format!("except[{}]", excludes.len());
            self.entries.push(Entry { key, label: format!("{} of the file", entry.label), line: entry.line });
        }
        let examples = self.some_strings(table, "match", &of, at, "give at least one line it must hit");
        let counter_examples = self.strings(table, "no_match", &of).unwrap_or_default();
        let description = self.string(table, "description", &of).unwrap_or_default();
        (self.problems.len() == n_problems).then_some(())?;
        Some(Rule {
            id: id.into(),
            severity: severity?,
            action: action?,
            course,
            runtime,
            description,
            patterns,
            conditions,
            counts_alone,
            excludes,
            examples,
            counter_examples,
            origin: Origin {
                file: Arc::clone(&self.file),
                line: self.line(at),
                entries: std::mem::take(&mut self.entries),
            },
        })
    }

    /// What the rule names of its issues' course; one that only counts has none.
    fn course(&mut self, table: &DeTable<'_>, action: Option<Action>, of: &str) -> Course {
        let at = |key| table.get(key).map_or(0, |value: &Spanned<DeValue<'_>>| value.span().start);
        if let (Some(Action::Count), Some(key)) =
            (action, ["route", "cooldown"].into_iter().find(|key| table.contains_key(*key)))
        {
            let hint = "leave it out, or write action = \"issue\"";
            self.problem(at(key), format!("{of}: {key}"), "says nothing of a rule that only counts", hint);
        }
        let route = match table.contains_key("route") {
            true => self.named(table, "route", of, 0, Route::from_name, "ignore, ticket or fix"),
            false => None,
        };
        let cooldown = self.string(table, "cooldown", of).and_then(|text| {
            let cooldown = text.parse::<jiff::SignedDuration>().ok().and_then(|it| it.try_into().ok());
            if cooldown.is_none() {
                let hint = "write a duration, for example \"90s\" or \"1h 30m\"";
                self.problem(
                    at("cooldown"),
                    format!("{of}: cooldown"),
                    format!("`{text}` is no duration"),
                    hint,
                );
            }
            cooldown
        });
        Course { route, cooldown }
    }

    fn string(&mut self, table: &DeTable<'_>, key: &str, of: &str) -> Option<String> {
        let value = table.get(key)?;
        let DeValue::String(text) = value.get_ref() else {
            self.problem(value.span().start, format!("{of}: {key}"), "not a string", "put it in quotes");
            return None;
        };
        Some(text.clone().into_owned())
    }

    fn boolean(&mut self, table: &DeTable<'_>, key: &str, of: &str) -> Option<bool> {
        let value = table.get(key)?;
        let DeValue::Boolean(is_so) = value.get_ref() else {
            self.problem(
                value.span().start,
                format!("{of}: {key}"),
                "neither true nor false",
                "leave the quotes off",
            );
            return None;
        };
        Some(*is_so)
    }

    fn strings(&mut self, table: &DeTable<'_>, key: &str, of: &str) -> Option<Vec<String>> {
        let value = table.get(key)?;
        let DeValue::Array(entries) = value.get_ref() else {
            self.problem(value.span().start, format!("{of}: {key}"), "not a list", "write `[\"…\", \"…\"]`");
            return None;
        };
        let mut strings = Vec::new();
        for (idx, entry) in entries.iter().enumerate() {
            let DeValue::String(text) = entry.get_ref() else {
                let key = format!("{of}: {key}[{}]", idx + 1);
                self.problem(entry.span().start, key, "not a string", "put it in quotes");
                continue;
            };
            match super::levels::named(text) {
                Some(patterns) if PATTERN_SETS.contains(&key) => {
                    strings.extend(patterns.iter().map(|it| (*it).to_owned()))
                }
                None if PATTERN_SETS.contains(&key) && text.starts_with('@') => {
                    let hint = format!("one of {}", super::levels::NAMES.join(", "));
                    let key = format!("{of}: {key}[{}]", idx + 1);
                    self.problem(entry.span().start, key, "unknown set", hint);
                }
                _ => strings.push(text.clone().into_owned()),
            }
            let (label, line) = (format!("{key}[{}]", idx + 1), self.line(entry.span().start));
            for n in self.n_entries(key)..strings.len() {
                let key = format!("{key}[{}]", n + 1);
                self.entries.push(Entry { key, label: label.clone(), line });
            }
        }
        Some(strings)
    }

    /// How many entries of a list are noted.
    fn n_entries(&self, key: &str) -> usize {
        let is_of = |entry: &&Entry| entry.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('['));
        self.entries.iter().filter(is_of).count()
    }

    /// A list that must be there and have something in it.
    fn some_strings(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        of: &str,
        at: usize,
        hint: &str,
    ) -> Vec<String> {
        let n_problems = self.problems.len();
        let strings = self.strings(table, key, of).unwrap_or_default();
        if strings.is_empty() && self.problems.len() == n_problems {
            self.problem(at, format!("{of}: {key}"), "missing or empty", hint);
        }
        strings
    }

    fn named<T>(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        of: &str,
        at: usize,
        from_name: impl Fn(&str) -> Option<T>,
        names: &str,
    ) -> Option<T> {
        if !table.contains_key(key) {
            self.problem(at, format!("{of}: {key}"), "missing", format!("one of {names}"));
            return None;
        }
        let name = self.string(table, key, of)?;
        let value = from_name(&name);
        if value.is_none() {
            let at = table.get(key).map_or(at, |value| value.span().start);
            self.problem(
                at,
                format!("{of}: {key}"),
                format!("unknown {key} `{name}`"),
                format!("one of {names}"),
            );
        }
        value
    }
}

fn action_from_name(name: &str) -> Option<Action> {
    match name {
        "issue" => Some(Action::Issue),
        "count" => Some(Action::Count),
        _ => None,
    }
}

fn is_id(id: &str) -> bool {
    let is_word = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_".contains(&it))
    };
    id.len() <= 80 && id.contains('.') && id.split('.').all(is_word)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rule_may_name_the_course_of_its_issues() {
        let rule = |action: &str, more: &str| {
            let text = format!(
                "[[rule]]\nid = 'a.b'\nseverity = 'error'\naction = '{action}'\n{more}\nany = ['x']\nmatch = ['x']\n"
            );
            let (rules, problems) = parse("a.toml", &text);
            let told: Vec<String> =
                problems.iter().map(|it| format!("{}: {}: {}", it.line, it.key, it.message)).collect();
            (rules.first().map(|it| it.course), told.join("; "))
        };
        let of = |route, cooldown: Option<u64>| Course { route, cooldown: cooldown.map(Duration::from_secs) };
        let nothing_wrong = String::new();
        assert_eq!(rule("issue", ""), (Some(of(None, None)), nothing_wrong.clone()));
        let both = "route = 'ticket'\ncooldown = '1h 30m'";
        assert_eq!(rule("issue", both), (Some(of(Some(Route::Ticket), Some(5400))), nothing_wrong));
        let wrong = "route = 'mail'\ncooldown = 'soon'";
        let told = "5: a.b: route: unknown route `mail`; 6: a.b: cooldown: `soon` is no duration";
        assert_eq!(rule("issue", wrong), (None, told.to_owned()));
        let told = "5: a.b: cooldown: says nothing of a rule that only counts";
        assert_eq!(rule("count", "cooldown = '1h'"), (None, told.to_owned()));
    }
}
