//! What happens to an issue by the hand of a person or a stage: new state, jobs, timeline and audit row together.

use super::issues::{self, Move};
use super::jobs::{self, Queued};
use super::{audit, stories};
use crate::base::id::IssueId;
use crate::model::issue::{Issue, IssueEvent};
use crate::model::job::NewJob;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::types::TimelineEntry;

pub(in crate::store) async fn apply(
    session: &mut Session,
    id: IssueId,
    event: IssueEvent,
    new_jobs: &[NewJob],
    entry: &TimelineEntry,
) -> Result<Issue, Fault> {
    let now = entry.at;
    let issue = issues::lock(session, id).await?;
    issues::refuse_merged(id, issue.state)?;
    let prepared =
        new_jobs.iter().map(|job| jobs::prepare(job, Some(id), now)).collect::<Result<Vec<_>, _>>()?;
    let inserted = jobs::insert(session, &prepared, now).await?;
    let mut queued = Queued::default();
    for job in prepared.iter().filter(|job| inserted.contains(&job.id)) {
        queued.add(job.kind);
    }
    let mut to = issue.state.at(now).after(event);
    if let Some(event) = queued.event() {
        to = to.after(event);
    }
    issues::set_states(session, &[Move { issue: id, to, is_acted: queued.is_acted() }], now).await?;
    stories::add(session, id, entry).await?;
    let subject = format!("issue {id}");
    audit::append(session, &entry.actor, &entry.what, &subject, &entry.detail, now).await?;
    issues::one(session, id).await
}
