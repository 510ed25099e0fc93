//! The lists of jobs and of gaps.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::show::When;
use super::{Head, render};
use crate::base::clock::Timestamp;
use crate::http::error::HttpError;
use crate::http::live;
use crate::http::state::App;
use crate::model::cursor::Gap;
use crate::model::job::{Job, JobState};
use crate::store::types::JobFilter;

/// A job as a row; also used on the issue's page.
pub(super) struct JobRow {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) state: &'static str,
    pub(super) issue: Option<String>,
    pub(super) result: String,
    pub(super) updated: When,
    pub(super) n_failures: u32,
    pub(super) can_cancel: bool,
    pub(super) can_requeue: bool,
}

impl JobRow {
    pub(super) fn new(job: &Job, now: Timestamp) -> Self {
        Self {
            id: job.id.to_string(),
            kind: job.kind().name(),
            state: job.state.name(),
            issue: job.issue.map(|it| it.to_string()),
            result: job.result.clone().unwrap_or_default(),
            updated: When::new(job.updated_at, now),
            n_failures: job.n_failures,
            can_cancel: matches!(job.state, JobState::Queued | JobState::Running),
            can_requeue: matches!(job.state, JobState::Dead | JobState::Cancelled),
        }
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    head: Head,
    events: String,
    jobs: Vec<JobRow>,
}

pub(in crate::http) async fn jobs(State(app): State<App>) -> Result<Html<String>, HttpError> {
    let now = app.clock.now();
    let events = live::overview_address(&app).await?;
    let jobs = app.store.jobs(&JobFilter { limit: 200, ..JobFilter::default() }).await?;
    render(&JobsPage {
        head: Head::load(&app).await?,
        events,
        jobs: jobs.iter().map(|job| JobRow::new(job, now)).collect(),
    })
}

struct GapRow {
    gap: Gap,
    noticed: When,
}

#[derive(Template)]
#[template(path = "gaps.html")]
struct GapsPage {
    head: Head,
    events: String,
    gaps: Vec<GapRow>,
}

pub(in crate::http) async fn gaps(State(app): State<App>) -> Result<Html<String>, HttpError> {
    let now = app.clock.now();
    let events = live::overview_address(&app).await?;
    let gaps = app.store.gaps(200).await?;
    render(&GapsPage {
        head: Head::load(&app).await?,
        events,
        gaps: gaps.into_iter().map(|gap| GapRow { noticed: When::new(gap.noticed_at, now), gap }).collect(),
    })
}
