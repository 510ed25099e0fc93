//! What people can ask for.

use super::path_id::PathId;
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use uuid::Uuid;

use super::error::HttpError;
use super::state::App;
use crate::base::id::{IssueId, JobId, ProposalId};
use crate::model::issue::IssueEvent;
use crate::model::job::{JobKind, NewJob};
use crate::model::proposal::{Proposal, ProposalState};
use crate::store::types::{JobFilter, TimelineEntry};

/// Who is named in stories and in the audit chain. The dashboard has one token and so knows no names.
pub(super) const ACTOR: &str = "dashboard";

type Answer = Result<Response, HttpError>;

/// How long to mute.
#[derive(Deserialize)]
pub(super) struct MuteForm {
    /// Hours; empty or absent is until unmuted.
    #[serde(default)]
    hours: Option<String>,
}

pub(super) async fn mute(State(app): State<App>, PathId(id): PathId, Form(form): Form<MuteForm>) -> Answer {
    let hours = form.hours.filter(|it| !it.is_empty());
    let until = match hours {
        None => None,
        Some(hours) => {
            let hours = hours.parse::<i64>().ok().filter(|it| (1..=24 * 365).contains(it));
            let hours = hours.ok_or_else(|| HttpError::new(StatusCode::BAD_REQUEST, "hours: 1 to 8760"))?;
            app.clock.now().checked_add(jiff::SignedDuration::from_hours(hours)).ok()
        }
    };
    let detail = until
        .map_or_else(|| "until unmuted".to_owned(), |it| format!("until {}", it.strftime("%F %H:%M UTC")));
    apply(&app, id, IssueEvent::Muted { until }, Vec::new(), "muted", detail).await
}

pub(super) async fn unmute(State(app): State<App>, PathId(id): PathId) -> Answer {
    apply(&app, id, IssueEvent::Unmuted, Vec::new(), "unmuted", String::new()).await
}

pub(super) async fn retry(State(app): State<App>, PathId(id): PathId) -> Answer {
    let issue = IssueId::from_uuid(id);
    let proposals = app.store.proposals(issue).await?;
    if let Some(open) = Proposal::open_of(&proposals) {
        return Err(HttpError::new(StatusCode::CONFLICT, open.in_the_way()));
    }
    let filter = JobFilter { issue: Some(issue), kind: Some(JobKind::Fix), state: None, limit: 1000 };
    let fixes = app.store.jobs(&filter).await?;
    let Some(fix) = NewJob::another_fix(issue, &fixes) else {
        return Err(HttpError::new(StatusCode::CONFLICT, "a fix of this issue is queued or running already"));
    };
    apply(&app, id, IssueEvent::FixQueued, vec![fix], "retry asked for", String::new()).await
}

/// Queues the merge of a proposal; the `land` job looks again whether it still can be merged.
pub(super) async fn accept(State(app): State<App>, PathId(id): PathId) -> Answer {
    let proposal = app.store.proposal(ProposalId::from_uuid(id)).await?;
    if proposal.forge != "local" {
        return Err(HttpError::new(StatusCode::CONFLICT, "this proposal is merged at its forge, not here"));
    }
    if proposal.state != ProposalState::Open {
        return Err(HttpError::new(
            StatusCode::CONFLICT,
            format!("this proposal is {}", proposal.state.name()),
        ));
    }
    let (now, issue) = (app.clock.now(), proposal.issue);
    let filter = JobFilter { issue: Some(issue), kind: Some(JobKind::Land), state: None, limit: 1000 };
    let lands = app.store.jobs(&filter).await?;
    // A second click while the first is at work changes nothing; after a merge that was refused it is another try.
    if let Some(land) = NewJob::land(issue, proposal.id, ACTOR, &lands) {
        app.store.enqueue(land, now).await?;
        let entry = entry(&app, "proposal accepted", proposal.branch.clone());
        app.store.add_timeline(issue, entry).await?;
        app.store.audit(ACTOR, "accept proposal", &proposal.id.to_string(), &proposal.branch, now).await?;
    }
    Ok(Redirect::to(&format!("/issues/{}", proposal.issue)).into_response())
}

/// Gives a proposal up: its issue may be fixed anew. At a forge elsewhere it is closed there.
pub(super) async fn close(State(app): State<App>, PathId(id): PathId) -> Answer {
    let proposal = app.store.proposal(ProposalId::from_uuid(id)).await?;
    if proposal.state != ProposalState::Open {
        let text = format!("this proposal is {}", proposal.state.name());
        return Err(HttpError::new(StatusCode::CONFLICT, text));
    }
    let (now, issue) = (app.clock.now(), proposal.issue);
    app.store.set_proposal_state(proposal.id, ProposalState::Closed, now).await?;
    let entry = entry(&app, "proposal closed", proposal.branch.clone());
    app.store.apply_issue_event(issue, IssueEvent::ProposalClosed, Vec::new(), entry).await?;
    app.store.audit(ACTOR, "close proposal", &proposal.id.to_string(), &proposal.branch, now).await?;
    Ok(back(Some(issue)).into_response())
}

pub(super) async fn cancel_job(State(app): State<App>, PathId(id): PathId) -> Answer {
    let job = app.store.cancel_job(JobId::from_uuid(id), ACTOR, app.clock.now()).await?;
    Ok(back(job.issue).into_response())
}

pub(super) async fn requeue_job(State(app): State<App>, PathId(id): PathId) -> Answer {
    let job = app.store.requeue_job(JobId::from_uuid(id), ACTOR, app.clock.now()).await?;
    Ok(back(job.issue).into_response())
}

pub(super) async fn pause(State(app): State<App>) -> Answer {
    app.store.set_paused(true, ACTOR, app.clock.now()).await?;
    Ok(Redirect::to("/").into_response())
}

pub(super) async fn resume(State(app): State<App>) -> Answer {
    app.store.set_paused(false, ACTOR, app.clock.now()).await?;
    Ok(Redirect::to("/").into_response())
}

async fn apply(
    app: &App,
    id: Uuid,
    event: IssueEvent,
    jobs: Vec<NewJob>,
    what: &str,
    detail: String,
) -> Answer {
    let id = IssueId::from_uuid(id);
    app.store.apply_issue_event(id, event, jobs, entry(app, what, detail)).await?;
    Ok(back(Some(id)).into_response())
}

fn entry(app: &App, what: &str, detail: String) -> TimelineEntry {
    TimelineEntry { at: app.clock.now(), actor: ACTOR.to_owned(), what: what.to_owned(), detail }
}

fn back(issue: Option<IssueId>) -> Redirect {
    issue.map_or_else(|| Redirect::to("/jobs"), |id| Redirect::to(&format!("/issues/{id}")))
}
