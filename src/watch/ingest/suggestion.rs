//! Which issues look like one: a suggestion for a person, worked out when it is asked for and never acted upon by itself.

use crate::model::issue::Issue;
use crate::model::trace::Runtime;
use crate::store::types::{IssueDetail, IssueTemplate};
use crate::store::{Store, StoreError};
use crate::watch::fingerprint::slots;

/// Issues of a service that are compared.
const MAX_COMPARED: u32 = 2_000;

/// Issues that differ from one in the same word only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What they have in common, the word that differs shown as `<*>`.
    pub pattern: String,
    /// Those that do not count for it yet; at least one.
    pub others: Vec<IssueTemplate>,
}

/// What may be merged into an issue, if anything. What is merged into it already is taken for evidence; what a person took back, and a
/// pattern that a person dismissed, is not suggested again.
///
/// # Errors
/// The store cannot be asked.
pub async fn suggestion(store: &dyn Store, detail: &IssueDetail) -> Result<Option<Suggestion>, StoreError> {
    let issue = &detail.issue;
    if issue.runtime != Runtime::Message || issue.state.merged_into().is_some() {
        return Ok(None);
    }
    let mut all = store.issue_templates(&issue.service, MAX_COMPARED).await?;
    if !all.iter().any(|it| it.id == issue.id) {
        all.push(own(issue));
    }
    let Some(suggestion) = among(detail, all) else { return Ok(None) };
    let is_dismissed = store.is_suggestion_dismissed(&issue.service, &suggestion.pattern).await?;
    Ok(Some(suggestion).filter(|_| !is_dismissed))
}

fn own(issue: &Issue) -> IssueTemplate {
    IssueTemplate {
        id: issue.id,
        template: issue.levels.template.clone(),
        title: issue.title.clone(),
        count: issue.count,
        merged_into: None,
    }
}

fn among(detail: &IssueDetail, all: Vec<IssueTemplate>) -> Option<Suggestion> {
    let texts: Vec<&str> = all.iter().map(|it| it.template.as_str()).collect();
    let own = all.iter().position(|it| it.id == detail.issue.id)?;
    let group = slots(&texts).into_iter().find(|group| group.members.contains(&own))?;
    let taken_back = |it: &IssueTemplate| {
        let mut ended = detail.aliases.iter().filter(|alias| alias.ended.is_some());
        ended.any(|alias| alias.own.as_ref().is_some_and(|(id, _)| *id == it.id))
    };
    let is_offered =
        |it: &IssueTemplate| it.id != detail.issue.id && it.merged_into.is_none() && !taken_back(it);
    let members = (0..).zip(all).filter(|(place, _)| group.members.binary_search(place).is_ok());
    let others: Vec<IssueTemplate> = members.map(|(_, it)| it).filter(is_offered).collect();
    (!others.is_empty()).then_some(Suggestion { pattern: group.pattern, others })
}
