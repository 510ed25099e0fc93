//! What people do with aliases: merging issues, taking that back, and dismissing what is suggested.
//!
//! They take turns, so that no ring of issues that count for each other can come about. An issue at work is not merged: what runs for it
//! would go on beside the other's. Tickets and notices that wait are cancelled with the merge.

use std::collections::HashMap;

use super::aliases::{self, AliasRow};
use super::stories;
use super::{audit, issues, jobs, proposals, queue};
use crate::base::clock::Timestamp;
use crate::base::id::{AliasId, IssueId};
use crate::model::issue::{Issue, IssueState};
use crate::model::job::{Job, JobKind, JobState};
use crate::model::proposal::ProposalState;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{Alias, AliasWhy, IssueTemplate, JobFilter, TimelineEntry};
use crate::store::value::{Row, args};

statements! {
    LOCK = for_update!("-- lock_aliases\nselect value from meta where key = 'alias_lock'");
    END = Sql::both("-- end_alias\nupdate aliases set ended_by = $2, ended_at = $3 where id = $1");
    SET_MERGED = Sql::both("-- set_merged\nupdate issues set merged_into = $2, updated_at = $3 where id = $1");
    TOUCH = Sql::both("-- touch_issue\nupdate issues set updated_at = $2 where id = $1");
    TEMPLATES = Sql::both(
        "-- templates
select id, template, title, count, merged_into from issues
where service = $1 and runtime = 'message' and action = 'issue' and rule <> 'storm' order by identity limit $2"
    );
    DISMISS = Sql::both(
        "-- dismiss
insert into dismissals (service, pattern, actor, at) values ($1, $2, $3, $4) on conflict (service, pattern) do nothing"
    );
    DISMISSED = Sql::both("-- dismissed\nselect pattern from dismissals where service = $1 and pattern = $2");
}

/// Lets the occurrences of issues count for another one from now on.
pub(in crate::store) async fn merge(
    session: &mut Session,
    sources: &[IssueId],
    target: IssueId,
    actor: &str,
    now: Timestamp,
) -> Result<Issue, Fault> {
    session.one(&LOCK, args![]).await?;
    let mut ids: Vec<IssueId> = sources.iter().copied().chain([target]).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut locked = HashMap::new();
    for id in ids {
        locked.insert(id, issues::lock(session, id).await?);
    }
    let into = &locked[&target];
    if let Some(into) = into.state.merged_into() {
        return Err(Fault::refused(format!("issue {target} is itself merged: merge into {into}")));
    }
    for source in sources {
        let source = &locked[source];
        let IssueState::Merged { into: merged } = source.state else {
            merge_one(session, source, into, actor, now).await?;
            continue;
        };
        if merged != target {
            return Err(Fault::refused(format!("issue {} is merged into {merged} already", source.id)));
        }
    }
    session.run(&TOUCH, args![target, now]).await?;
    issues::one(session, target).await
}

async fn merge_one(
    session: &mut Session,
    source: &Issue,
    into: &Issue,
    actor: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    if let Some(reason) = unfit(source, into) {
        return Err(Fault::refused(reason));
    }
    let mut jobs = Vec::new();
    for state in [JobState::Queued, JobState::Running] {
        let filter = JobFilter { issue: Some(source.id), kind: None, state: Some(state), limit: 1000 };
        jobs.extend(jobs::list(session, &filter).await?);
    }
    if let Some(job) = jobs.iter().find(|job| must_end(job)) {
        return Err(Fault::refused(format!(
            "a {} of issue {} is {}: cancel job {} or let it end before merging",
            job.kind(),
            source.id,
            job.state.name(),
            job.id
        )));
    }
    let proposals = proposals::of_issue(session, source.id).await?;
    if let Some(proposal) = proposals.iter().find(|it| it.state == ProposalState::Open) {
        return Err(Fault::refused(format!(
            "issue {} has an open proposal, {}: merge or close that first",
            source.id, proposal.branch
        )));
    }
    for job in &jobs {
        queue::cancel(session, job.id, actor, now).await?;
    }
    let identity = source.levels.identity;
    let alias = AliasRow::new(&source.service, identity, into.id, AliasWhy::Merged, actor);
    aliases::add(session, &[alias], now).await?;
    session.run(&SET_MERGED, args![source.id, into.id, now]).await?;
    let said = |other: &Issue| format!("{} {}", other.levels.identity, other.title);
    tell(session, source.id, ["merged into", &said(into)], actor, now).await?;
    tell(session, into.id, ["merged with", &said(source)], actor, now).await?;
    let detail = format!("into issue {}", into.id);
    audit::append(session, actor, "merge issue", &format!("issue {}", source.id), &detail, now).await
}

/// Why one issue cannot count for another.
fn unfit(source: &Issue, into: &Issue) -> Option<String> {
    if source.id == into.id {
        return Some(format!("issue {} cannot be merged into itself", source.id));
    }
    if source.service != into.service {
        let (one, other) = (&source.service, &into.service);
        return Some(format!("only issues of one service can be merged: these are of `{one}` and `{other}`"));
    }
    let storm = [source, into].into_iter().find(|it| it.rule == "storm")?;
    Some(format!("issue {} stands for many errors at once and cannot be merged", storm.id))
}

/// Whether a job must come to its end before its issue can be merged. Tickets and notices that wait are cancelled instead.
fn must_end(job: &Job) -> bool {
    match job.kind() {
        JobKind::Fix | JobKind::Propose | JobKind::Land => job.is_open(),
        JobKind::Ticket | JobKind::Announce => job.state == JobState::Running,
    }
}

/// Takes an alias back: occurrences from now on count for the fingerprint's own issue.
pub(in crate::store) async fn unmerge(
    session: &mut Session,
    id: AliasId,
    actor: &str,
    now: Timestamp,
) -> Result<Alias, Fault> {
    session.one(&LOCK, args![]).await?;
    let alias = aliases::one(session, id).await?;
    if let Some((by, at)) = &alias.ended {
        let at = at.strftime("%F %H:%M UTC");
        return Err(Fault::refused(format!("{by} has taken the alias of {} back at {at}", alias.identity)));
    }
    let mut ids: Vec<IssueId> = alias.own.iter().map(|(own, _)| *own).chain([alias.issue]).collect();
    ids.sort_unstable();
    for id in ids {
        issues::lock(session, id).await?;
    }
    session.run(&END, args![id, actor, now]).await?;
    session.run(&TOUCH, args![alias.issue, now]).await?;
    let said = alias.identity.to_string();
    tell(session, alias.issue, ["unmerged", &said], actor, now).await?;
    if let Some((own, _)) = &alias.own {
        session.run(&SET_MERGED, args![*own, None::<IssueId>, now]).await?;
        tell(session, *own, ["unmerged", ""], actor, now).await?;
    }
    let (subject, detail) = (format!("issue {}", alias.issue), alias.identity.full());
    audit::append(session, actor, "unmerge issue", &subject, &detail, now).await?;
    aliases::one(session, id).await
}

async fn tell(
    session: &mut Session,
    issue: IssueId,
    [what, detail]: [&str; 2],
    actor: &str,
    at: Timestamp,
) -> Result<(), Fault> {
    let (what, detail) = (what.to_owned(), detail.to_owned());
    stories::add(session, issue, &TimelineEntry { at, actor: actor.to_owned(), what, detail }).await
}

pub(in crate::store) async fn templates(
    session: &mut Session,
    service: &str,
    limit: u32,
) -> Result<Vec<IssueTemplate>, Fault> {
    let rows = session.all(&TEMPLATES, args![service, limit]).await?;
    let template_of = |row: &Row| {
        Ok(IssueTemplate {
            id: IssueId::from_uuid(row.get("id")?),
            template: row.text("template")?,
            title: row.text("title")?,
            count: row.count("count")?,
            merged_into: row.get::<Option<_>>("merged_into")?.map(IssueId::from_uuid),
        })
    };
    rows.iter().map(template_of).collect()
}

pub(in crate::store) async fn is_dismissed(
    session: &mut Session,
    service: &str,
    pattern: &str,
) -> Result<bool, Fault> {
    Ok(session.first(&DISMISSED, args![service, pattern]).await?.is_some())
}

pub(in crate::store) async fn dismiss(
    session: &mut Session,
    service: &str,
    pattern: &str,
    actor: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    session.run(&DISMISS, args![service, pattern, actor, now]).await?;
    audit::append(session, actor, "dismiss suggestion", &format!("service {service}"), pattern, now).await
}
