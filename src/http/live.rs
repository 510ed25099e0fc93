//! Server-sent events that say "something changed": the page's script then asks for the page again.
//!
//! A page carries a hash of what it shows in the address of its stream, so that nothing is missed between the two.
//! The store is asked twice a second per open page, with queries that are cheap; nothing is kept between requests, so
//! the pages are right beside any number of daemons on one store.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;

use super::error::HttpError;
use super::path_id::PathId;
use super::state::App;
use crate::base::id::IssueId;
use crate::store::StoreError;
use crate::store::types::JobFilter;

const EVERY: Duration = Duration::from_millis(500);

/// What is watched.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Overview,
    Issue(IssueId),
}

/// What the address says after `?`.
#[derive(Debug, Deserialize)]
pub(super) struct Since {
    /// What the page shows; without it the stream begins with what there is when it is opened.
    #[serde(default)]
    seen: Option<u64>,
}

pub(super) async fn overview(State(app): State<App>, Query(since): Query<Since>) -> Response {
    follow(app, Subject::Overview, since.seen)
}

pub(super) async fn issue(
    State(app): State<App>,
    PathId(id): PathId,
    Query(since): Query<Since>,
) -> Response {
    follow(app, Subject::Issue(IssueId::from_uuid(id)), since.seen)
}

/// Address of the stream for a page that shows lists. To be asked for before the page's own queries.
pub(super) async fn overview_address(app: &App) -> Result<String, StoreError> {
    Ok(format!("/events?seen={}", overview_state(app).await?))
}

/// Address of the stream for an issue's page. To be asked for before the page's own queries.
pub(super) async fn issue_address(app: &App, id: IssueId) -> Result<String, StoreError> {
    Ok(format!("/issues/{id}/events?seen={}", issue_state(app, id).await?))
}

fn follow(app: App, subject: Subject, seen: Option<u64>) -> Response {
    let Ok(permit) = app.streams().try_acquire_owned() else {
        return HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many open pages; this one does not refresh itself",
        )
        .into_response();
    };
    let start = (app, permit, seen);
    let changes = stream::unfold(start, move |(app, permit, mut seen)| async move {
        loop {
            let state = match subject {
                Subject::Overview => overview_state(&app).await,
                Subject::Issue(id) => issue_state(&app, id).await,
            };
            // A store that is away for a moment is no change; the page's own request will say so.
            if let Ok(state) = state
                && seen.replace(state).is_some_and(|before| before != state)
            {
                let event = Event::default().event("changed").data("1");
                return Some((Ok::<_, Infallible>(event), (app, permit, seen)));
            }
            if !app.shutdown.sleep(EVERY).await {
                return None;
            }
        }
    });
    Sse::new(changes).keep_alive(KeepAlive::default()).into_response()
}

async fn overview_state(app: &App) -> Result<u64, StoreError> {
    let overview = app.store.overview(app.clock.now()).await?;
    let mut hasher = DefaultHasher::new();
    overview.issues_by_state.hash(&mut hasher);
    overview.jobs.hash(&mut hasher);
    (overview.n_occurrences, overview.n_gaps, overview.is_paused).hash(&mut hasher);
    Ok(hasher.finish())
}

async fn issue_state(app: &App, id: IssueId) -> Result<u64, StoreError> {
    let issue = app.store.issue(id).await?;
    let jobs = app.store.jobs(&JobFilter { issue: Some(id), limit: 50, ..JobFilter::default() }).await?;
    let mut hasher = DefaultHasher::new();
    (issue.updated_at.as_microsecond(), issue.count, issue.state.name()).hash(&mut hasher);
    for job in &jobs {
        (job.id, job.state, job.updated_at.as_microsecond()).hash(&mut hasher);
        let steps = app.store.steps(job.id, 0).await?;
        steps.last().map(|step| step.seq).hash(&mut hasher);
    }
    Ok(hasher.finish())
}
