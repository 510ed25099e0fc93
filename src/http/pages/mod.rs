//! The dashboard's pages: each asks the store and fills a template.

mod aliases;
mod chart;
mod diff;
mod issue;
mod issues;
mod jobs;
mod markdown;
mod show;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Html;

use super::error::HttpError;
use super::state::App;
use crate::store::StoreError;
use crate::store::types::Overview;

pub(super) use issue::{issue, patch, ticket};
pub(super) use issues::issues;
pub(super) use jobs::{gaps, jobs};

/// What the head of every page shows.
#[derive(Debug)]
struct Head {
    is_paused: bool,
    n_open: u64,
    n_running: u64,
    n_dead: u64,
    n_gaps: u64,
    spent_today: String,
}

impl Head {
    async fn load(app: &App) -> Result<Self, StoreError> {
        let overview = app.store.overview(app.clock.now()).await?;
        let jobs_in =
            |state: &str| overview.jobs.iter().filter(|(_, it, _)| it == state).map(|(_, _, n)| n).sum();
        Ok(Self {
            is_paused: overview.is_paused,
            n_open: open_issues(&overview),
            n_running: jobs_in("running"),
            n_dead: jobs_in("dead"),
            n_gaps: overview.n_gaps,
            spent_today: format!("${:.2}", overview.spend_today.total().usd()),
        })
    }
}

/// Issues that are not over, not muted and not merged.
fn open_issues(overview: &Overview) -> u64 {
    let over = ["landed", "resolved", "muted", "merged"];
    overview.issues_by_state.iter().filter(|(state, _)| !over.contains(&state.as_str())).map(|(_, n)| n).sum()
}

fn render(template: &impl Template) -> Result<Html<String>, HttpError> {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "failed to render a page");
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be rendered; homeostat's log says why",
        )
    });
    html.map(Html)
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    status: u16,
    message: &'a str,
}

/// The page of a failed request; needs no store.
pub(super) fn error_page(status: StatusCode, message: &str) -> String {
    ErrorPage { status: status.as_u16(), message }.render().unwrap_or_else(|_| message.to_owned())
}

pub(super) async fn not_found() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is no such page")
}
