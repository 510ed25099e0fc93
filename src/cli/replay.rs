//! `homeostat replay`: what other rules would have made of logs that were written already.
//!
//! Files, and what queries of Loki gave, are read with the rules of the config and with the candidates, and what both find is compared: by issue, so by
//! fingerprint, and by rule.

mod loki;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use serde_json::json;

use super::args::{Global, ReplayArgs};
use super::exit::Failure;
use super::print;
use super::problems::all_told;
use super::run::{runtime, settings};
use super::scan::format;
use crate::base::chain::Chain;
use crate::base::clock::{Clock, SystemClock, Timestamp};
use crate::config::{self, Settings};
use crate::daemon;
use crate::model::cursor::StreamKey;
use crate::model::detection::Action;
use crate::watch::ingest::files::{FileFound, Scan};
use crate::watch::ingest::pipeline::{Found, Pipeline};
use crate::watch::ingest::services::ServiceMap;
use crate::watch::rules::{Rule, RuleSet};
use crate::watch::source::file;
use crate::watch::source::lane::{Origin, Thing};
use crate::watch::source::loki::Query;

/// What one set of rules finds of one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    rule: String,
    severity: &'static str,
    is_issue: bool,
    n: u64,
    /// First line of its first record.
    title: String,
}

/// One set of rules, and which service logs where.
#[derive(Debug)]
struct Candidate {
    pipeline: Pipeline,
    services: ServiceMap,
}

/// What one set of rules finds.
#[derive(Debug, Default)]
struct Findings {
    by_identity: BTreeMap<String, Kind>,
    by_rule: BTreeMap<String, u64>,
    /// Records of which nobody knows when they were logged.
    n_timeless: u64,
}

/// Reads the files twice and prints what is other.
pub(super) fn replay(global: &Global, args: &ReplayArgs) -> Result<(), Failure> {
    let running = settings(global)?;
    let after = candidate(&running, args)?;
    let since = since(args)?;
    let files = files(&args.files, since);
    let queries = match &args.loki {
        Some(name) => loki::named(&running.loki.queries, name).map_err(Failure::Usage)?,
        None => Vec::new(),
    };
    let queries: Vec<_> = queries.into_iter().cloned().collect();
    let before = Candidate::of(running);
    let mut n_unread = 0;
    let mut findings =
        [read(&before, &files, args, since, &mut n_unread), read(&after, &files, args, since, &mut 0)];
    if let (Some(since), false) = (since, queries.is_empty()) {
        n_unread += runtime()?.block_on(ask(&queries, since, [&before, &after], &mut findings));
    }
    let [before, after] = findings;
    let n_other = show(&before, &after, args.output.json);
    if since.is_some() && after.n_timeless > 0 {
        let n = after.n_timeless;
        print::note(format!("{n} records have no time that is known; they were taken whatever --since says"));
    }
    match (n_unread, n_other) {
        (0, 0) => Ok(()),
        (0, _) if !args.exit_code => Ok(()),
        (0, n) => Err(Failure::Failed(anyhow!("{n} issues would be other"))),
        (n, _) => Err(Failure::Failed(anyhow!(
            "{n} of {} files and queries could not be read",
            files.len() + queries.len()
        ))),
    }
}

/// Asks Loki for what the queries gave; how many could not be read.
async fn ask(
    queries: &[Query],
    since: Timestamp,
    candidates: [&Candidate; 2],
    findings: &mut [Findings; 2],
) -> usize {
    let mut n_unread = 0;
    for query in queries {
        let range = (since, SystemClock.now());
        if let Err(error) = loki::read(query, range, candidates, findings).await {
            n_unread += 1;
            print::note(format!("error: failed to read the query `{}`: {}", query.name, Chain(&error)));
        }
    }
    n_unread
}

impl Candidate {
    /// As a daemon with this config reads.
    fn of(settings: Settings) -> Self {
        let pipeline = daemon::pipeline(&settings);
        Self { pipeline, services: ServiceMap::new(settings.services) }
    }

    /// The pipeline for what stands in this file, by the service that logs there.
    fn for_file(&self, file: &Path) -> Pipeline {
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let label = path.display().to_string();
        let origin =
            Origin { stream: StreamKey(format!("file:{label}")), label, thing: Thing::File { path } };
        self.pipeline.for_service(&self.services.of(&origin).name)
    }
}

/// What is tried.
fn candidate(running: &Settings, args: &ReplayArgs) -> Result<Candidate, Failure> {
    if let Some(file) = &args.new_config {
        return config::load(Some(file)).map(Candidate::of).map_err(all_told);
    }
    let Some(folder) = &args.rules else {
        return Err(Failure::Usage("name what is tried: --rules DIR or --new-config FILE".to_owned()));
    };
    let tried = RuleSet::load_dir(folder).map_err(all_told)?;
    let ids: BTreeSet<&str> = tried.rules().iter().map(|rule| &*rule.id).collect();
    // In front, where a rule of a folder stands after the shipped ones in the config: what is tried is meant to be seen.
    let kept = running.rules.rules().iter().filter(|rule| !ids.contains(&*rule.id));
    let all: Vec<Rule> = tried.rules().iter().chain(kept).cloned().collect();
    let mut new = running.clone();
    new.rules = Arc::new(RuleSet::compile(all).map_err(all_told)?);
    for (name, of) in &mut new.service_rules {
        of.rules = Arc::new(new.rules.adjusted(name, &of.wishes).map_err(all_told)?);
    }
    Ok(Candidate::of(new))
}

fn since(args: &ReplayArgs) -> Result<Option<Timestamp>, Failure> {
    let Some(duration) = args.since else { return Ok(None) };
    let since = Duration::try_from(duration).ok().and_then(|it| SystemClock.now().checked_sub(it).ok());
    since.map(Some).ok_or_else(|| Failure::Usage(format!("`{duration:#}` is not a time up to now")))
}

/// The files, each after those that rotation made of it, oldest first, and with the name that it had when it was written; without those
/// that were last written before `since`.
fn files(named: &[PathBuf], since: Option<Timestamp>) -> Vec<(PathBuf, PathBuf)> {
    let mut all: Vec<(PathBuf, PathBuf)> = Vec::new();
    for file in named {
        let mut rotated = file::rotated(file);
        rotated.retain(|(path, at)| {
            since.is_none_or(|since| *at >= SystemTime::from(since)) && !named.contains(path)
        });
        all.extend(rotated.into_iter().map(|(path, _)| (path, file.clone())));
        all.push((file.clone(), file.clone()));
    }
    let mut seen = BTreeSet::new();
    all.retain(|(path, _)| seen.insert(path.clone()));
    all
}

fn read(
    candidate: &Candidate,
    files: &[(PathBuf, PathBuf)],
    args: &ReplayArgs,
    since: Option<Timestamp>,
    n_unread: &mut usize,
) -> Findings {
    let mut findings = Findings::default();
    for (file, name) in files {
        let mut scan = Scan::new(candidate.for_file(name), format(args.format));
        let mut take = |FileFound { found, .. }: FileFound<'_>| findings.take(&found, since);
        if let Err(error) = scan.path(file, &mut take) {
            *n_unread += 1;
            print::note(format!("error: failed to read `{}`: {}", file.display(), Chain(&error)));
        }
    }
    findings
}

impl Findings {
    fn take(&mut self, found: &Found, since: Option<Timestamp>) {
        if found.is_ignored {
            return;
        }
        match (found.at, since) {
            (Some(at), Some(since)) if at < since => return,
            (None, Some(_)) => self.n_timeless += 1,
            (Some(_) | None, _) => {}
        }
        let rule = found.detection.rule.to_string();
        *self.by_rule.entry(rule.clone()).or_default() += 1;
        let fresh = || Kind {
            rule,
            severity: found.detection.severity.name(),
            is_issue: found.detection.action == Action::Issue,
            n: 0,
            title: found.text.as_str().lines().next().unwrap_or_default().chars().take(120).collect(),
        };
        self.by_identity.entry(found.identity.fingerprint.full()).or_insert_with(fresh).n += 1;
    }

    fn n(&self) -> u64 {
        self.by_rule.values().sum()
    }
}

/// Prints what is other; how many issues are.
fn show(before: &Findings, after: &Findings, as_json: bool) -> usize {
    let identities: BTreeSet<&String> = before.by_identity.keys().chain(after.by_identity.keys()).collect();
    let (mut n_new, mut n_gone, mut n_changed) = (0, 0, 0);
    for identity in identities {
        let (old, new) = (before.by_identity.get(identity), after.by_identity.get(identity));
        let what = match (old, new) {
            (None, _) => "new",
            (_, None) => "gone",
            (Some(old), Some(new)) if is_other(old, new) => "changed",
            _ => continue,
        };
        *match what {
            "new" => &mut n_new,
            "gone" => &mut n_gone,
            _ => &mut n_changed,
        } += 1;
        show_one(what, identity, old, new, as_json);
    }
    let rules: BTreeSet<&String> = before.by_rule.keys().chain(after.by_rule.keys()).collect();
    for rule in rules {
        let count = |of: &Findings| of.by_rule.get(rule).copied().unwrap_or(0);
        let (old, new) = (count(before), count(after));
        if old != new && as_json {
            print::json(&json!({ "rule": rule, "before": old, "after": new }));
        } else if old != new {
            print::line(format!("rule {rule}: {old} records before, {new} after"));
        }
    }
    if as_json {
        print::json(
            &json!({ "new": n_new, "gone": n_gone, "changed": n_changed, "records_before": before.n(), "records_after": after.n() }),
        );
    } else {
        print::line(format!(
            "{n_new} new, {n_gone} gone, {n_changed} changed; {} records before, {} after",
            before.n(),
            after.n()
        ));
    }
    n_new + n_gone + n_changed
}

/// The words of a title may come from another record of the same fingerprint.
fn is_other(old: &Kind, new: &Kind) -> bool {
    (&old.rule, old.severity, old.is_issue, old.n) != (&new.rule, new.severity, new.is_issue, new.n)
}

fn show_one(what: &str, identity: &str, old: Option<&Kind>, new: Option<&Kind>, as_json: bool) {
    let Some(any) = new.or(old) else { return };
    if as_json {
        let side = |kind: Option<&Kind>| {
            kind.map(
                |it| json!({ "rule": it.rule, "severity": it.severity, "issue": it.is_issue, "count": it.n }),
            )
        };
        print::json(&json!({
            "what": what, "fingerprint": identity, "title": any.title, "before": side(old), "after": side(new),
        }));
        return;
    }
    let side = |kind: &Kind| {
        let action = if kind.is_issue { "issue" } else { "counted" };
        format!("{}x {} ({}, {action})", kind.n, kind.rule, kind.severity)
    };
    let sides: Vec<String> = [old, new].into_iter().flatten().map(side).collect();
    let brief: String = identity.chars().take(15).collect();
    print::line(format!("{what:7} {brief}  {}  {}", sides.join(" -> "), any.title));
}
