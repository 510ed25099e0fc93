//! `[docker]`, `[rules]`, `[redact]` and `[triage]`: which containers are watched, for what, and what a hit means.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use globset::GlobMatcher;

use super::super::document::Section;
use crate::base::redact::{ExtraPattern, Redactor};
use crate::model::service::Route;
use crate::watch::rules::{Rule, RuleProblem, RuleSet};
use crate::watch::source::docker;
use crate::watch::triage;

pub(super) const ROUTES: [(&str, Route); 3] =
    [("ignore", Route::Ignore), ("ticket", Route::Ticket), ("fix", Route::Fix)];

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads `[docker]`; `None` if it is off.
pub(in crate::config) fn docker(root: &Section<'_>) -> Option<docker::Settings> {
    let section = root.section("docker");
    let default = docker::Settings::default();
    let is_enabled = section.flag("enabled", true);
    let settings = docker::Settings {
        host: section.engine_address("host"),
        include: patterns(&section, "include"),
        exclude: patterns(&section, "exclude"),
        lookback: section.duration("look_back", Duration::ZERO..=365 * DAY, default.lookback),
        list_every: section.duration("list_every", Duration::from_secs(1)..=DAY, default.list_every),
        stall_check: default.stall_check,
        reads_files: default.reads_files,
    };
    section.finish();
    is_enabled.then_some(settings)
}

fn patterns(docker: &Section<'_>, key: &'static str) -> docker::Patterns {
    let section = docker.section(key);
    let labels = section.texts("labels");
    let mut pairs = Vec::new();
    for label in labels.as_ref().map(|found| found.value.as_slice()).unwrap_or_default() {
        let (name, value) = label.split_once('=').unwrap_or((label, "*"));
        match globset::Glob::new(value) {
            Ok(glob) => pairs.push((name.to_owned(), glob.compile_matcher())),
            Err(error) => {
                let message = format!("`{label}` has no glob after the `=`: {}", error.kind());
                section.wrong("labels", labels.as_ref(), message, "write \"key\" or \"key=glob\"");
            }
        }
    }
    let patterns = docker::Patterns {
        names: globs(&section, "names"),
        images: globs(&section, "images"),
        labels: pairs,
    };
    section.finish();
    patterns
}

/// Globs, checked and compiled; those that are none are told of and left out.
pub(super) fn globs(section: &Section<'_>, key: &'static str) -> Vec<GlobMatcher> {
    let globs = section.globs(key).unwrap_or_default();
    globs.iter().filter_map(|it| globset::Glob::new(it).ok()).map(|it| it.compile_matcher()).collect()
}

/// Reads `[rules]` and the rule files it names. The rules' own examples are run by `check`, not at every start.
pub(in crate::config) fn rules(root: &Section<'_>) -> Arc<RuleSet> {
    let section = root.section("rules");
    let is_shipped = section.flag("shipped", true);
    let (folders, are_all_there) = folders(&section);
    let disable = section.texts("disable");
    let disabled = disable.as_ref().map(|found| found.value.as_slice()).unwrap_or_default();
    let shipped = RuleSet::builtin();
    for id in disabled {
        if !shipped.rules().iter().any(|rule| *rule.id == **id) {
            let hint = "the ids stand in rules/*.toml";
            section.wrong("disable", disable.as_ref(), format!("there is no shipped rule `{id}`"), hint);
        }
    }
    let rules = if is_shipped && folders.is_empty() && disabled.is_empty() {
        Ok(Arc::clone(&shipped))
    } else {
        compile(if is_shipped { shipped.rules() } else { &[] }, disabled, &folders)
    };
    let rules = rules.unwrap_or_else(|problems| {
        for problem in problems {
            section.add(problem.into());
        }
        shipped
    });
    if rules.rules().is_empty() && are_all_there {
        section.wrong::<()>(
            "folders",
            None,
            "there is no rule at all",
            "set `shipped = true`, or name a folder",
        );
    }
    section.finish();
    rules
}

/// The folders of `[rules]`, as far as they can be read: to notice when something in them changes.
pub(in crate::config) fn rule_folders(root: &Section<'_>) -> Vec<PathBuf> {
    let found = root.section("rules").texts("folders");
    found.map(|found| found.value.into_iter().map(PathBuf::from).collect()).unwrap_or_default()
}

/// The folders with rule files, and whether all of them are there; one that cannot be opened is a mistake of this file, not of a rule
/// file.
fn folders(section: &Section<'_>) -> (Vec<String>, bool) {
    let Some(found) = section.texts("folders") else { return (Vec::new(), true) };
    let mut folders = Vec::new();
    for folder in &found.value {
        match std::fs::read_dir(folder) {
            Ok(_) => folders.push(folder.clone()),
            Err(error) => section.wrong(
                "folders",
                Some(&found),
                format!("failed to read the folder `{folder}`: {error}"),
                "name a folder with rule files (*.toml) that the daemon's user may read",
            ),
        }
    }
    let are_all_there = folders.len() == found.value.len();
    (folders, are_all_there)
}

fn compile(
    shipped: &[Rule],
    disabled: &[String],
    folders: &[String],
) -> Result<Arc<RuleSet>, Vec<RuleProblem>> {
    let is_kept = |rule: &&Rule| !disabled.iter().any(|id| **id == *rule.id);
    let mut rules: Vec<Rule> = shipped.iter().filter(is_kept).cloned().collect();
    let mut problems = Vec::new();
    for folder in folders {
        match RuleSet::load_dir(Path::new(folder)) {
            Ok(set) => rules.extend(set.rules().iter().cloned()),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    RuleSet::compile(rules).map(Arc::new)
}

/// Reads `[redact]`.
pub(in crate::config) fn redactor(root: &Section<'_>) -> Redactor {
    let section = root.section("redact");
    let mut redactor = Redactor::builtin();
    let mut extra = Vec::new();
    for entry in section.sections("pattern") {
        let (name, pattern) = (entry.text("name"), entry.text("pattern"));
        for (key, is_there) in [("name", name.is_some()), ("pattern", pattern.is_some())] {
            if !is_there && !entry.has(key) {
                entry.wrong::<()>(key, None, "is missing", "a pattern needs `name` and `pattern`");
            }
        }
        if let (Some(name), Some(found)) = (name, pattern) {
            let one = ExtraPattern { name: name.value, pattern: found.value.clone() };
            match Redactor::with_extra(std::slice::from_ref(&one)) {
                Ok(_) => extra.push(one),
                Err(problems) => {
                    for problem in problems {
                        let reason = why_no_expression(&found.value).unwrap_or(problem.reason);
                        entry.wrong(
                            "pattern",
                            Some(&found),
                            reason,
                            "see https://docs.rs/regex for the syntax",
                        );
                    }
                }
            }
        }
        entry.finish();
    }
    if let Ok(with_extra) = Redactor::with_extra(&extra) {
        redactor = with_extra;
    }
    section.finish();
    redactor
}

/// What the syntax of an expression lacks, in a few words.
fn why_no_expression(pattern: &str) -> Option<String> {
    let error = regex::Regex::new(pattern).err()?.to_string();
    let why = error.lines().last()?.strip_prefix("error: ")?;
    Some(format!("not a regular expression: {why}"))
}

/// Reads `[triage]`: its settings, and the route of services without one.
pub(in crate::config) fn triage(root: &Section<'_>) -> (triage::Settings, Route) {
    let section = root.section("triage");
    let default = triage::Settings::default();
    let storm = section.number("storm_fingerprints", 1..=100_000, u64::from(default.storm_fingerprints));
    let settings = triage::Settings {
        landing_grace: section.duration("landing_grace", Duration::ZERO..=7 * DAY, default.landing_grace),
        storm_fingerprints: u32::try_from(storm).unwrap_or(default.storm_fingerprints),
        storm_window: section.duration("storm_window", Duration::from_secs(1)..=DAY, default.storm_window),
    };
    let route = section.choice("route", &ROUTES, Route::Ticket);
    section.finish();
    (settings, route)
}
