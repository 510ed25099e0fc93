//! The rules of `rules/policy.toml`, compiled.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use globset::{Glob, GlobSet, GlobSetBuilder};
use regex::Regex;
use serde::Deserialize;

use super::finding::{Finding, Level};
use super::language::Language;
use super::lines::{Lines, PatchLine, Place};

/// As written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRules {
    #[serde(default)]
    check: Vec<RawCheck>,
    #[serde(default)]
    path: Vec<RawPath>,
    #[serde(default)]
    line: Vec<RawLine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    id: String,
    level: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPath {
    id: String,
    level: String,
    reason: String,
    globs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    id: String,
    level: String,
    reason: String,
    #[serde(default, rename = "in")]
    place: Where,
    #[serde(default)]
    languages: Vec<Language>,
    #[serde(default)]
    comments: bool,
    #[serde(default)]
    joined: bool,
    patterns: Vec<String>,
    #[serde(default)]
    unless: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests alone"))]
    #[serde(default)]
    bad: Vec<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the tests alone"))]
    #[serde(default)]
    good: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Where {
    #[default]
    Any,
    Source,
    Test,
    NewTest,
    OldTest,
}

impl Where {
    const fn takes(self, place: Place) -> bool {
        match self {
            Self::Any => true,
            Self::Source => matches!(place, Place::Source),
            Self::Test => matches!(place, Place::NewTest | Place::OldTest),
            Self::NewTest => matches!(place, Place::NewTest),
            Self::OldTest => matches!(place, Place::OldTest),
        }
    }
}

/// All rules.
#[derive(Debug)]
pub struct Rules {
    /// Level and reason of every rule, by id.
    known: BTreeMap<String, (Level, String)>,
    paths: Vec<PathRule>,
    lines: Vec<LineRule>,
}

#[derive(Debug)]
struct PathRule {
    id: String,
    globs: GlobSet,
}

#[derive(Debug)]
struct LineRule {
    id: String,
    reason: String,
    place: Where,
    languages: Vec<Language>,
    comments: bool,
    joined: bool,
    patterns: Regex,
    unless: Option<Regex>,
}

impl Rules {
    /// The shipped rules.
    pub fn builtin() -> &'static Self {
        static BUILT: LazyLock<Rules> = LazyLock::new(|| {
            let text = include_str!("../../../rules/policy.toml");
            Rules::parse(text).expect("the shipped rules are tested")
        });
        &BUILT
    }

    fn parse(text: &str) -> Result<Self, String> {
        let raw: RawRules = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut known = BTreeMap::new();
        let mut know = |id: &str, level: &str, reason: &str| {
            let level =
                Level::from_name(level).ok_or_else(|| format!("{id}: no level is called `{level}`"))?;
            let (kept, _) = known.entry(id.to_owned()).or_insert((level, reason.to_owned()));
            if *kept == level { Ok(()) } else { Err(format!("{id}: two levels")) }
        };
        for rule in &raw.check {
            know(&rule.id, &rule.level, &rule.reason)?;
        }
        for rule in &raw.path {
            know(&rule.id, &rule.level, &rule.reason)?;
        }
        for rule in &raw.line {
            know(&rule.id, &rule.level, &rule.reason)?;
        }
        let paths = raw.path.into_iter().map(PathRule::compile).collect::<Result<_, _>>()?;
        let lines = raw.line.into_iter().map(LineRule::compile).collect::<Result<_, _>>()?;
        Ok(Self { known, paths, lines })
    }

    /// Ids of all rules, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// A finding of a rule whose looking is code; with its reason, or with more than that.
    ///
    /// # Panics
    /// Without such a rule: the ids in the code are constants.
    pub fn finding(&'static self, id: &str, place: impl Into<String>, detail: &str) -> Finding {
        let (rule, (level, reason)) = self.known.get_key_value(id).expect("a rule of rules/policy.toml");
        let reason = if detail.is_empty() { reason.clone() } else { format!("{reason}: {detail}") };
        Finding { level: *level, rule, place: place.into(), reason }
    }

    /// What the path of a file meets.
    pub fn of_path(&'static self, path: &str) -> Vec<Finding> {
        let lower = path.to_lowercase();
        let rules = self.paths.iter().filter(|rule| rule.globs.is_match(&lower));
        rules.map(|rule| self.finding(&rule.id, path, "")).collect()
    }

    /// What the added lines meet, rules in the order of their file.
    pub fn of_lines(&'static self, lines: &Lines<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for rule in &self.lines {
            if rule.joined {
                self.joined(rule, lines, &mut findings);
                continue;
            }
            let met = lines.0.iter().filter(|line| rule.takes(line) && rule.is_met_by(line));
            findings.extend(met.map(|line| self.of_line(rule, line.shown())));
        }
        findings
    }

    fn of_line(&'static self, rule: &'static LineRule, place: String) -> Finding {
        Finding { reason: rule.reason.clone(), ..self.finding(&rule.id, place, "") }
    }

    /// A rule over the text of all lines of a file that it takes, pieces of text put together.
    fn joined(&'static self, rule: &'static LineRule, lines: &Lines<'_>, findings: &mut Vec<Finding>) {
        let mut taken: BTreeMap<&str, Vec<&PatchLine<'_>>> = BTreeMap::new();
        for line in lines.0.iter().filter(|line| rule.takes(line)) {
            taken.entry(line.path).or_default().push(line);
        }
        for lines in taken.into_values() {
            let by_line = lines.iter().filter(|line| rule.is_met_by(line)).map(|line| line.shown());
            let mut places: Vec<String> = by_line.collect();
            if places.is_empty() && rule.patterns.is_match(&put_together(&lines)) {
                places.extend(lines.first().map(|line| line.shown()));
            }
            findings.extend(places.into_iter().map(|place| self.of_line(rule, place)));
        }
    }
}

/// The text of lines without what stands between two pieces of text that are put together: `"a" + "b"`, `'a' 'b'`, `"a",`.
pub fn put_together(lines: &[&PatchLine<'_>]) -> String {
    static BETWEEN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("[\"'`]\\s*(?:\\+|\\.|,|<<|\\.\\.|&|~|\\\\)?\\s*[rbfu]?[\"'`]")
            .expect("a constant pattern")
    });
    let text: Vec<&str> = lines.iter().map(|line| line.text).collect();
    BETWEEN.replace_all(&text.join("\n"), "").into_owned()
}

impl PathRule {
    fn compile(raw: RawPath) -> Result<Self, String> {
        let wrong = |error: globset::Error| format!("{}: {error}", raw.id);
        let mut builder = GlobSetBuilder::new();
        for glob in &raw.globs {
            builder.add(Glob::new(&glob.to_lowercase()).map_err(wrong)?);
        }
        Ok(Self { globs: builder.build().map_err(wrong)?, id: raw.id })
    }
}

impl LineRule {
    fn compile(raw: RawLine) -> Result<Self, String> {
        let any = |patterns: &[String]| {
            let all: Vec<String> = patterns.iter().map(|pattern| format!("(?:{pattern})")).collect();
            regex::RegexBuilder::new(&all.join("|")).multi_line(true).size_limit(32 << 20).build()
        };
        let wrong = |error: regex::Error| format!("{}: {error}", raw.id);
        let unless = if raw.unless.is_empty() { None } else { Some(any(&raw.unless).map_err(wrong)?) };
        Ok(Self {
            patterns: any(&raw.patterns).map_err(wrong)?,
            unless,
            id: raw.id,
            reason: raw.reason,
            place: raw.place,
            languages: raw.languages,
            comments: raw.comments,
            joined: raw.joined,
        })
    }

    fn takes(&self, line: &PatchLine<'_>) -> bool {
        // Code that was there says nothing of the patch; a mark of a test is one wherever it stands.
        let is_known = line.is_moved && line.place == Place::Source;
        !is_known
            && self.place.takes(line.place)
            && (self.languages.is_empty() || self.languages.contains(&line.language))
    }

    fn is_met_by(&self, line: &PatchLine<'_>) -> bool {
        let text = if self.comments { line.text } else { line.code };
        let window = format!("{text}\n{}", line.below);
        let begins_here =
            |regex: &Regex| regex.find(&window).is_some_and(|found| found.start() <= text.len());
        begins_here(&self.patterns) && !self.unless.as_ref().is_some_and(|unless| unless.is_match(text))
    }
}

#[cfg(test)]
mod tests;
