//! Entries of an issue's timeline, written once however often a stage runs.

use crate::base::clock::Timestamp;
use crate::base::id::IssueId;
use crate::model::issue::{Issue, IssueEvent};
use crate::store::types::TimelineEntry;
use crate::store::{Store, StoreError};

/// Who homeostat is in a timeline.
pub const ACTOR: &str = "homeostat";

/// Something that happened to an issue. `what` and `detail` together happen once.
#[derive(Debug, Clone, Copy)]
pub struct Happened<'a> {
    pub issue: IssueId,
    /// Moves the issue's state, where it does.
    pub event: Option<IssueEvent>,
    pub actor: &'a str,
    /// Constant name.
    pub what: &'static str,
    pub detail: &'a str,
    pub at: Timestamp,
}

/// Writes the entry and moves the state, unless the timeline holds it: then an earlier run did both, in one
/// transaction. Gives the issue as it is afterwards.
pub async fn tell_once(store: &dyn Store, happened: Happened<'_>) -> Result<Issue, StoreError> {
    let Happened { issue, event, actor, what, detail, at } = happened;
    let known = store.issue_detail(issue).await?;
    if known.timeline.iter().any(|entry| entry.what == what && entry.detail == detail) {
        return Ok(known.issue);
    }
    let entry =
        TimelineEntry { at, actor: actor.to_owned(), what: what.to_owned(), detail: detail.to_owned() };
    match event {
        Some(event) => store.apply_issue_event(issue, event, Vec::new(), entry).await,
        None => {
            store.add_timeline(issue, entry).await?;
            Ok(known.issue)
        }
    }
}
