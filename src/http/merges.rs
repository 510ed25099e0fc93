//! Merging issues, taking that back, and what to do with a suggestion.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::actions::ACTOR;
use super::error::HttpError;
use super::path_id::PathId;
use super::state::App;
use crate::base::id::{AliasId, IssueId};
use crate::model::issue::Issue;
use crate::watch::ingest::suggestion::{Suggestion, suggestion};

type Answer = Result<Response, HttpError>;

/// What to merge into.
#[derive(Deserialize)]
pub(super) struct MergeForm {
    /// Id or fingerprint of an issue, or the start of one.
    into: String,
}

/// The suggestion as the page showed it.
#[derive(Deserialize)]
pub(super) struct SuggestionForm {
    pattern: String,
    /// How many issues it named.
    n: usize,
}

pub(super) async fn merge(State(app): State<App>, PathId(id): PathId, Form(form): Form<MergeForm>) -> Answer {
    let found = app.store.find_issues(form.into.trim()).await?;
    let [into] = <[Issue; 1]>::try_from(found).map_err(|found| {
        let words = if found.is_empty() {
            "no issue has this id or fingerprint"
        } else {
            "several issues begin like this: write more of it"
        };
        HttpError::new(StatusCode::BAD_REQUEST, words)
    })?;
    app.store.merge_issues(&[IssueId::from_uuid(id)], into.id, ACTOR, app.clock.now()).await?;
    Ok(to_issue(into.id))
}

pub(super) async fn unmerge(State(app): State<App>, PathId(id): PathId) -> Answer {
    let alias = app.store.unmerge(AliasId::from_uuid(id), ACTOR, app.clock.now()).await?;
    Ok(to_issue(alias.own.map_or(alias.issue, |(own, _)| own)))
}

/// Merges what was suggested into the issue on whose page it stood.
pub(super) async fn accept(
    State(app): State<App>,
    PathId(id): PathId,
    Form(form): Form<SuggestionForm>,
) -> Answer {
    let id = IssueId::from_uuid(id);
    let (suggestion, _) = as_shown(&app, id, &form).await?;
    let others: Vec<IssueId> = suggestion.others.iter().map(|it| it.id).collect();
    app.store.merge_issues(&others, id, ACTOR, app.clock.now()).await?;
    Ok(to_issue(id))
}

pub(super) async fn dismiss(
    State(app): State<App>,
    PathId(id): PathId,
    Form(form): Form<SuggestionForm>,
) -> Answer {
    let id = IssueId::from_uuid(id);
    let (suggestion, issue) = as_shown(&app, id, &form).await?;
    app.store.dismiss_suggestion(&issue.service, &suggestion.pattern, ACTOR, app.clock.now()).await?;
    Ok(to_issue(id))
}

/// The suggestion, if it is still the one that the page showed: nobody says yes to more than they saw.
async fn as_shown(app: &App, id: IssueId, form: &SuggestionForm) -> Result<(Suggestion, Issue), HttpError> {
    let detail = app.store.issue_detail(id).await?;
    let suggestion = suggestion(&*app.store, &detail).await?;
    let shown = suggestion.filter(|it| it.pattern == form.pattern && it.others.len() == form.n);
    let changed =
        || HttpError::new(StatusCode::CONFLICT, "the suggestion has changed since: look at it again");
    Ok((shown.ok_or_else(changed)?, detail.issue))
}

fn to_issue(id: IssueId) -> Response {
    Redirect::to(&format!("/issues/{id}")).into_response()
}
