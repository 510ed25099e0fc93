//! `homeostat issue`: list, show, mute, unmute, retry; merging stands in `merge`. Works on the store, so it does so beside a running daemon and without one.

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{IssueCommand, IssueListArgs, MuteArgs};
use super::context::{Context, actor};
use super::exit::Failure;
use super::{merge, print};
use crate::base::redact::Clean;
use crate::model::attempt::Attempt;
use crate::model::issue::{Issue, IssueEvent, IssueState};
use crate::model::job::{JobKind, NewJob};
use crate::model::proposal::Proposal;
use crate::store::types::{IssueDetail, IssueFilter, JobFilter, TimelineEntry};

/// Runs an `issue` command.
pub(super) async fn run(context: &Context, command: IssueCommand) -> Result<(), Failure> {
    match command {
        IssueCommand::List(args) => list(context, args).await,
        IssueCommand::Show(args) => show(context, &args.issue, args.output.json).await,
        IssueCommand::Mute(args) => mute(context, args).await,
        IssueCommand::Unmute(args) => {
            let issue = find(context, &args.issue).await?;
            let issue = apply(context, &issue, IssueEvent::Unmuted, Vec::new(), "unmuted", "").await?;
            print_issue(&issue, args.output.json);
            Ok(())
        }
        IssueCommand::Merge(args) => merge::merge(context, args).await,
        IssueCommand::Unmerge(args) => merge::unmerge(context, &args.issue, args.output.json).await,
        IssueCommand::Suggestion(args) => merge::suggest(context, args).await,
        IssueCommand::Retry(args) => {
            let issue = find(context, &args.issue).await?;
            let filter =
                JobFilter { issue: Some(issue.id), kind: Some(JobKind::Fix), state: None, limit: 1000 };
            let proposals = context.store.proposals(issue.id).await.map_err(anyhow::Error::new)?;
            if let Some(open) = Proposal::open_of(&proposals) {
                return Err(anyhow!("{}", open.in_the_way()).into());
            }
            let fixes = context.store.jobs(&filter).await.map_err(anyhow::Error::new)?;
            let Some(fix) = NewJob::another_fix(issue.id, &fixes) else {
                return Err(anyhow!("a fix of this issue is queued or running already").into());
            };
            let issue =
                apply(context, &issue, IssueEvent::FixQueued, vec![fix], "retry asked for", "").await?;
            print_issue(&issue, args.output.json);
            Ok(())
        }
    }
}

async fn list(context: &Context, args: IssueListArgs) -> Result<(), Failure> {
    if let Some(state) = &args.state
        && !IssueState::NAMES.contains(&state.as_str())
    {
        let names = IssueState::NAMES.join(", ");
        return Err(Failure::Usage(format!("`{state}` is no state: {names}")));
    }
    let filter = IssueFilter {
        service: args.service,
        state: args.state,
        at: Some(context.clock.now()),
        with_counted: args.all,
        limit: args.limit,
        ..IssueFilter::default()
    };
    let issues = context.store.issues(&filter).await.map_err(anyhow::Error::new)?;
    if issues.is_empty() && !args.output.json {
        print::note("no issues");
    }
    for issue in &issues {
        print_issue(issue, args.output.json);
    }
    Ok(())
}

async fn show(context: &Context, issue: &str, as_json: bool) -> Result<(), Failure> {
    let issue = find(context, issue).await?;
    let store = &context.store;
    let mut detail = store.issue_detail(issue.id).await.map_err(anyhow::Error::new)?;
    detail.issue.state = detail.issue.state.at(context.clock.now());
    let mut attempts = store.attempts(issue.id).await.map_err(anyhow::Error::new)?;
    for attempt in &mut attempts {
        attempt.patch = context.redactor.redact(&attempt.patch).into_string();
    }
    let proposals = store.proposals(issue.id).await.map_err(anyhow::Error::new)?;
    if as_json {
        let mut value = detail_json(&detail, &attempts, &proposals);
        let [aliases, suggestion] = merge::aliases_json(context, &detail).await?;
        (value["aliases"], value["suggestion"]) = (aliases, suggestion);
        print::json(&value);
        return Ok(());
    }
    print_issue(&detail.issue, false);
    merge::print_aliases(context, &detail).await?;
    for entry in &detail.timeline {
        print::line(format!(
            "  {}  {} {} {}",
            entry.at.strftime("%F %T"),
            entry.actor,
            entry.what,
            entry.detail
        ));
    }
    for attempt in &attempts {
        let outcome = attempt.outcome.map_or("running", crate::model::attempt::Outcome::name);
        print::line(format!(
            "  attempt {}: {outcome}, {} with {}",
            attempt.number, attempt.cost, attempt.model
        ));
    }
    for proposal in &proposals {
        print::line(format!("  proposal {} ({}): {}", proposal.branch, proposal.state.name(), proposal.url));
    }
    if let Some(sample) = detail.samples.first() {
        print::line("");
        let around = |lines: &Clean| lines.as_str().lines().for_each(|it| print::line(format!("  | {it}")));
        around(&sample.around.before);
        print::line(sample.text.as_str());
        around(&sample.around.after);
    }
    Ok(())
}

async fn mute(context: &Context, args: MuteArgs) -> Result<(), Failure> {
    let until = match args.duration {
        None => None,
        Some(duration) if duration.is_positive() => {
            let until = context.clock.now().checked_add(duration);
            Some(until.map_err(|_| Failure::Usage(format!("`{duration:#}` is too long")))?)
        }
        Some(duration) => return Err(Failure::Usage(format!("`{duration:#}` is not a time from now on"))),
    };
    let issue = find(context, &args.issue).await?;
    let detail =
        until.map_or_else(|| "until unmuted".to_owned(), |it| format!("until {}", it.strftime("%F %T UTC")));
    let issue = apply(context, &issue, IssueEvent::Muted { until }, Vec::new(), "muted", &detail).await?;
    print_issue(&issue, args.output.json);
    Ok(())
}

async fn apply(
    context: &Context,
    issue: &Issue,
    event: IssueEvent,
    jobs: Vec<NewJob>,
    what: &str,
    detail: &str,
) -> Result<Issue, Failure> {
    let entry = TimelineEntry {
        at: context.clock.now(),
        actor: actor(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    };
    Ok(context.store.apply_issue_event(issue.id, event, jobs, entry).await.map_err(anyhow::Error::new)?)
}

/// The one issue that `prefix` names.
pub(super) async fn find(context: &Context, prefix: &str) -> Result<Issue, Failure> {
    let issues = context.store.find_issues(prefix).await.map_err(anyhow::Error::new)?;
    match <[Issue; 1]>::try_from(issues) {
        Ok([issue]) => Ok(issue),
        Err(issues) if issues.is_empty() => {
            Err(anyhow!("no issue begins with `{prefix}`: see `homeostat issue list --all`").into())
        }
        Err(issues) => {
            let names: Vec<String> = issues.iter().map(|issue| issue.id.to_string()).collect();
            Err(anyhow!("`{prefix}` names several issues: {}", names.join(", ")).into())
        }
    }
}

pub(super) fn print_issue(issue: &Issue, as_json: bool) {
    if as_json {
        print::json(&issue_json(issue));
        return;
    }
    print::line(format!(
        "{}  {:12}  {:8}  {:>7}x  {}  {}: {}",
        issue.levels.identity,
        issue.state.name(),
        issue.severity,
        issue.count,
        issue.last_seen.strftime("%F %T"),
        issue.service,
        issue.title
    ));
}

fn issue_json(issue: &Issue) -> Value {
    json!({
        "id": issue.id.to_string(),
        "fingerprint": issue.levels.identity.full(),
        "service": issue.service,
        "title": issue.title,
        "state": issue.state.name(),
        "severity": issue.severity.name(),
        "rule": issue.rule,
        "runtime": issue.runtime.name(),
        "count": issue.count,
        "first_seen": issue.first_seen.to_string(),
        "last_seen": issue.last_seen.to_string(),
        "merged_into": issue.state.merged_into().map(|it| it.to_string()),
    })
}

fn detail_json(detail: &IssueDetail, attempts: &[Attempt], proposals: &[Proposal]) -> Value {
    let mut value = issue_json(&detail.issue);
    value["samples"] = detail
        .samples
        .iter()
        .map(|it| {
            json!({
                "at": it.at.to_string(),
                "origin": it.origin,
                "merged_from": it.merged_from.map(|it| it.full()),
                "before": it.around.before.as_str(),
                "text": it.text.as_str(),
                "after": it.around.after.as_str(),
            })
        })
        .collect();
    value["timeline"] = detail
        .timeline
        .iter()
        .map(|it| json!({ "at": it.at.to_string(), "actor": it.actor, "what": it.what, "detail": it.detail }))
        .collect();
    value["attempts"] = attempts
        .iter()
        .map(|it| {
            json!({
                "id": it.id.to_string(),
                "number": it.number,
                "model": it.model,
                "outcome": it.outcome.map(crate::model::attempt::Outcome::name),
                "cost_usd": it.cost.usd(),
                "report": it.report,
                "patch": it.patch,
            })
        })
        .collect();
    value["proposals"] = proposals
        .iter()
        .map(|it| json!({ "branch": it.branch, "state": it.state.name(), "url": it.url, "files": it.files }))
        .collect();
    value
}
