//! `homeostat issue merge`, `unmerge`, `suggestion`: which issues count as one.

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{MergeArgs, SuggestionArgs};
use super::context::{Context, actor};
use super::exit::Failure;
use super::issue::{find, print_issue};
use super::print;
use crate::base::id::{AliasId, IssueId};
use crate::model::issue::{Issue, IssueState};
use crate::store::types::{Alias, IssueDetail};
use crate::watch::ingest::suggestion::{Suggestion, suggestion};

/// Lets an issue count for another one.
pub(super) async fn merge(context: &Context, args: MergeArgs) -> Result<(), Failure> {
    let (issue, into) = (find(context, &args.issue).await?, find(context, &args.into).await?);
    let merged = context.store.merge_issues(&[issue.id], into.id, &actor(), context.clock.now()).await;
    print_issue(&merged.map_err(anyhow::Error::new)?, args.output.json);
    Ok(())
}

/// Takes a merge back, or the id that a new version gave; `name` is the issue's, or that id.
pub(super) async fn unmerge(context: &Context, name: &str, as_json: bool) -> Result<(), Failure> {
    let issue = find(context, name).await?;
    let alias = alias_of(context, &issue, name).await?;
    let alias = context.store.unmerge(alias, &actor(), context.clock.now()).await;
    let alias = alias.map_err(anyhow::Error::new)?;
    let shown = alias.own.map_or(alias.issue, |(own, _)| own);
    let issue = context.store.issue(shown).await.map_err(anyhow::Error::new)?;
    print_issue(&issue, as_json);
    Ok(())
}

async fn alias_of(context: &Context, issue: &Issue, name: &str) -> Result<AliasId, Failure> {
    let store = &context.store;
    let alias = if let IssueState::Merged { .. } = issue.state {
        store.alias_in_force(&issue.service, &issue.levels.identity).await.map_err(anyhow::Error::new)?
    } else {
        let detail = store.issue_detail(issue.id).await.map_err(anyhow::Error::new)?;
        let mut named =
            detail.aliases.iter().filter(|it| it.ended.is_none() && it.identity.full().starts_with(name));
        named.next().map(|it| it.id)
    };
    alias.ok_or_else(|| anyhow!("issue {} is not merged into another one", issue.id).into())
}

/// Shows what looks like an issue, and merges or dismisses it.
pub(super) async fn suggest(context: &Context, args: SuggestionArgs) -> Result<(), Failure> {
    let issue = find(context, &args.issue).await?;
    let store = &context.store;
    let detail = store.issue_detail(issue.id).await.map_err(anyhow::Error::new)?;
    let found = suggestion(&**store, &detail).await.map_err(anyhow::Error::new)?;
    let Some(found) = found else {
        if !args.output.json {
            print::note("nothing looks like this issue");
        }
        return Ok(());
    };
    let (actor, now) = (actor(), context.clock.now());
    if args.accept {
        let others: Vec<IssueId> = found.others.iter().map(|it| it.id).collect();
        let merged = store.merge_issues(&others, issue.id, &actor, now).await.map_err(anyhow::Error::new)?;
        print_issue(&merged, args.output.json);
        return Ok(());
    }
    if args.dismiss {
        let dismissed = store.dismiss_suggestion(&issue.service, &found.pattern, &actor, now).await;
        dismissed.map_err(anyhow::Error::new)?;
    }
    if args.output.json {
        print::json(&suggestion_json(&found));
        return Ok(());
    }
    print_suggestion(&found);
    Ok(())
}

/// What counts for the issue, or what it counts for, in lines for people.
pub(super) async fn print_aliases(context: &Context, detail: &IssueDetail) -> Result<(), Failure> {
    if let Some(into) = detail.issue.state.merged_into() {
        print::line(format!("  merged into {into}: its occurrences count there"));
    }
    for alias in &detail.aliases {
        let (counts, state) = match &alias.ended {
            None => ("counts", String::new()),
            Some((by, at)) => ("counted", format!(", taken back by {by} {}", at.strftime("%F %T"))),
        };
        print::line(format!(
            "  {}  {counts} here too ({}, {}): {}x{state}",
            alias.identity,
            alias.why.name().replace('_', " "),
            alias.made_by,
            alias.count
        ));
    }
    let found = suggestion(&*context.store, detail).await.map_err(anyhow::Error::new)?;
    if let Some(found) = &found {
        print_suggestion(found);
    }
    Ok(())
}

/// The same as JSON.
pub(super) async fn aliases_json(context: &Context, detail: &IssueDetail) -> Result<[Value; 2], Failure> {
    let found = suggestion(&*context.store, detail).await.map_err(anyhow::Error::new)?;
    Ok([detail.aliases.iter().map(alias_json).collect(), found.as_ref().map_or(Value::Null, suggestion_json)])
}

fn print_suggestion(found: &Suggestion) {
    print::line(format!(
        "  looks like {} others, which differ in one word: {}",
        found.others.len(),
        found.pattern
    ));
    for other in &found.others {
        print::line(format!("    {}  {:>7}x  {}", other.id, other.count, other.title));
    }
}

fn suggestion_json(found: &Suggestion) -> Value {
    let other = |it: &crate::store::types::IssueTemplate| json!({ "id": it.id.to_string(), "title": it.title, "count": it.count });
    json!({ "pattern": found.pattern, "others": found.others.iter().map(other).collect::<Value>() })
}

fn alias_json(alias: &Alias) -> Value {
    json!({
        "id": alias.id.to_string(),
        "fingerprint": alias.identity.full(),
        "issue": alias.own.as_ref().map(|(id, _)| id.to_string()),
        "why": alias.why.name(),
        "made_by": alias.made_by,
        "made_at": alias.made_at.to_string(),
        "count": alias.count,
        "ended_by": alias.ended.as_ref().map(|(by, _)| by),
        "ended_at": alias.ended.as_ref().map(|(_, at)| at.to_string()),
    })
}
