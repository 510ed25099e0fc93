//! An issue's page: its story, its trace, the work on it, the proof and the proposal. And a local ticket's page.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{Html, IntoResponse};

use super::aliases::AliasViews;
use super::chart::{self, Chart};
use super::diff::{self, DiffLine};
use super::jobs::JobRow;
use super::show::{When, grouped, words};
use super::{Head, markdown, render};
use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId};
use crate::http::error::HttpError;
use crate::http::live;
use crate::http::path_id::PathId;
use crate::http::state::App;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::{Issue, IssueState};
use crate::model::job::{Job, JobState, JobStep};
use crate::model::proof::{CheckRun, Tests, Validation};
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::ticket::Ticket;
use crate::store::types::{JobFilter, LocalTicket};

/// Lines of a diff that are shown.
const MAX_DIFF_LINES: usize = 1500;

struct SampleView {
    origin: String,
    at: When,
    before: String,
    text: String,
    after: String,
    /// The fingerprint it came by, where that is not the issue's own.
    merged_from: Option<String>,
}

struct StoryLine {
    at: When,
    actor: String,
    what: String,
    detail: String,
}

struct Run {
    name: String,
    expected: &'static str,
    is_as_expected: bool,
    command: String,
    verdict: String,
    output: String,
}

struct AttemptView {
    /// Where the whole patch is.
    patch: String,
    number: u32,
    outcome: String,
    outcome_name: &'static str,
    model: String,
    cost: String,
    calls: String,
    started: When,
    report: String,
    diff: Vec<DiffLine>,
    has_proof: bool,
    proof_holds: bool,
    runs: Vec<Run>,
    checks: Vec<Run>,
}

struct ProposalView {
    id: String,
    branch: String,
    base_branch: String,
    state: &'static str,
    is_draft: bool,
    can_accept: bool,
    is_accepted: bool,
    /// Why the last merge failed for good.
    refused: Option<String>,
    url: String,
    is_local: bool,
    files: Vec<String>,
    title: String,
    body: String,
    opened: When,
}

struct JobView {
    row: JobRow,
    steps: Vec<JobStep>,
    is_open: bool,
}

#[derive(Template)]
#[template(path = "issue.html")]
struct IssuePage {
    head: Head,
    events: String,
    issue: Issue,
    state_words: String,
    count: String,
    first_seen: When,
    last_seen: When,
    chart: Option<Chart>,
    ticket: Option<Ticket>,
    samples: Vec<SampleView>,
    story: Vec<StoryLine>,
    attempts: Vec<AttemptView>,
    proposals: Vec<ProposalView>,
    jobs: Vec<JobView>,
    alias: AliasViews,
    is_muted: bool,
    can_retry: bool,
}

pub(in crate::http) async fn issue(
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<Html<String>, HttpError> {
    let id = IssueId::from_uuid(id);
    let now = app.clock.now();
    let store = &app.store;
    let events = live::issue_address(&app, id).await?;
    let detail = store.issue_detail(id).await?;
    let jobs = store.jobs(&JobFilter { issue: Some(id), limit: 50, ..JobFilter::default() }).await?;
    let mut job_views = Vec::new();
    for job in jobs.iter().rev() {
        let steps = store.steps(job.id, 0).await?;
        let row = JobRow::new(job, now);
        let is_open = row.can_cancel || row.state == "dead";
        job_views.push(JobView { row, steps, is_open });
    }
    let attempts = store.attempts(id).await?;
    let proposals = store.proposals(id).await?;
    let chart = chart::draw(&detail.per_minute, now);
    let alias = AliasViews::load(&app, &detail, now).await?;
    let samples = detail.samples.into_iter().map(|it| SampleView {
        origin: it.origin,
        at: When::new(it.at, now),
        before: it.around.before.into_string(),
        text: it.text.into_string(),
        after: it.around.after.into_string(),
        merged_from: it.merged_from.map(|it| it.to_string()),
    });
    let story = detail.timeline.into_iter().map(|it| StoryLine {
        at: When::new(it.at, now),
        actor: it.actor,
        what: it.what,
        detail: it.detail,
    });
    let issue = Issue { state: detail.issue.state.at(now), ..detail.issue };
    render(&IssuePage {
        head: Head::load(&app).await?,
        events,
        state_words: words(issue.state.name()),
        count: grouped(issue.count),
        first_seen: When::new(issue.first_seen, now),
        last_seen: When::new(issue.last_seen, now),
        chart,
        ticket: store.ticket(id).await?,
        samples: samples.collect(),
        story: story.collect(),
        attempts: attempts.iter().rev().map(|it| attempt_view(it, &app, &jobs, now)).collect(),
        proposals: proposals.iter().rev().map(|it| proposal_view(it, &jobs, now)).collect(),
        jobs: job_views,
        alias,
        is_muted: matches!(issue.state, IssueState::Muted { .. }),
        can_retry: matches!(
            issue.state,
            IssueState::Open | IssueState::NeedsPerson | IssueState::Landed | IssueState::Resolved
        ),
        issue,
    })
}

/// The whole patch of an attempt, to be saved. A secret in it is taken out: such a patch cannot be applied as it is.
pub(in crate::http) async fn patch(
    State(app): State<App>,
    PathId(id): PathId,
) -> Result<impl IntoResponse, HttpError> {
    let attempt = app.store.attempt(AttemptId::from_uuid(id)).await?;
    let name = format!("attachment; filename=\"attempt-{id}.patch\"");
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, app.settings.redactor.redact(&attempt.patch).into_string()))
}

fn attempt_view(attempt: &Attempt, app: &App, jobs: &[Job], now: Timestamp) -> AttemptView {
    let validation = attempt.validation.as_ref();
    let is_at_work = jobs.iter().any(|job| job.id == attempt.job && job.is_open());
    let unended = if is_at_work { "running" } else { "stopped" };
    AttemptView {
        number: attempt.number,
        outcome: attempt.outcome.map_or_else(|| unended.to_owned(), |it| words(it.name())),
        outcome_name: attempt.outcome.map_or(unended, Outcome::name),
        model: attempt.model.clone(),
        cost: attempt.cost.to_string(),
        calls: format!("{} model calls, {} tool runs", attempt.n_model_calls, attempt.n_tool_calls),
        started: When::new(attempt.started_at, now),
        report: markdown::to_html(&attempt.report),
        patch: format!("/attempts/{}/patch", attempt.id),
        diff: diff::lines(app.settings.redactor.redact(&attempt.patch).as_str(), MAX_DIFF_LINES),
        has_proof: validation.is_some(),
        proof_holds: validation.is_some_and(Validation::holds),
        runs: validation.map(proof_runs).unwrap_or_default(),
        checks: validation.map(check_runs).unwrap_or_default(),
    }
}

fn proof_runs(validation: &Validation) -> Vec<Run> {
    let proof = &validation.proof;
    let fails_right = !proof.before.passed() && proof.before_matches_issue;
    let passes_right = proof.after.passed() && proof.doubts.is_empty();
    let mut after = run("after", "with the fix: passes", &proof.after, passes_right);
    after.verdict.extend(proof.doubts.iter().map(|doubt| format!("; {doubt}")));
    vec![
        run("before", "base and the new test: fails with the logged error", &proof.before, fails_right),
        after,
        run("reverted", "with the fix taken out again: fails", &proof.reverted, !proof.reverted.passed()),
    ]
}

fn check_runs(validation: &Validation) -> Vec<Run> {
    let checks = validation.checks.iter().flat_map(|check| {
        let name = format!("{} with the patch", check.name);
        let mut patched = run(&name, "no worse than on base", &check.patched, check.is_no_worse());
        patched.verdict.extend(check.worse.iter().map(|worse| format!("; {} {worse}", check.name)));
        if !check.flaky.is_empty() {
            patched.verdict.push_str(&format!("; flaky on base: {}", check.flaky.join(", ")));
        }
        [run(&format!("{} on base", check.name), "for comparison", &check.baseline, true), patched]
    });
    checks.collect()
}

fn run(name: &str, expected: &'static str, check: &CheckRun, is_as_expected: bool) -> Run {
    let verdict = match (check.is_timed_out, check.passed()) {
        (true, _) => "timed out".to_owned(),
        (false, true) => format!("passed in {:.1} s", check.took.as_secs_f64()),
        (false, false) => format!("failed ({}) in {:.1} s", check.exit_code, check.took.as_secs_f64()),
    };
    let verdict = match &check.tests {
        Some(tests) => {
            let Tests { n_passed, n_failed, n_skipped, .. } = tests;
            format!("{verdict}: {n_passed} passed, {n_failed} failed, {n_skipped} skipped")
        }
        None => verdict,
    };
    Run {
        name: name.to_owned(),
        expected,
        is_as_expected,
        command: check.command.clone(),
        verdict,
        output: check.output.clone(),
    }
}

/// `jobs` are the issue's, newest first.
fn proposal_view(proposal: &Proposal, jobs: &[Job], now: Timestamp) -> ProposalView {
    let is_local = proposal.forge == "local";
    let is_open = proposal.state == ProposalState::Open;
    let land = jobs.iter().find(|job| job.is_land_of(proposal.id));
    let is_accepted = land.is_some_and(Job::is_open);
    let refused = land.filter(|job| job.state == JobState::Dead).and_then(|job| job.result.clone());
    ProposalView {
        id: proposal.id.to_string(),
        branch: proposal.branch.clone(),
        base_branch: proposal.base_branch.clone(),
        state: proposal.state.name(),
        is_draft: proposal.is_draft,
        can_accept: is_local && is_open && !proposal.is_draft && !is_accepted,
        is_accepted: is_accepted && is_open,
        refused: refused.filter(|_| is_open),
        url: proposal.url.clone(),
        is_local,
        files: proposal.files.clone(),
        title: proposal.title.clone(),
        body: markdown::to_html(&proposal.body),
        opened: When::new(proposal.opened_at, now),
    }
}

struct CommentView {
    at: When,
    body: String,
}

#[derive(Template)]
#[template(path = "ticket.html")]
struct TicketPage {
    head: Head,
    events: String,
    ticket: LocalTicket,
    body: String,
    opened: When,
    comments: Vec<CommentView>,
}

pub(in crate::http) async fn ticket(
    State(app): State<App>,
    Path(number): Path<i64>,
) -> Result<Html<String>, HttpError> {
    let now = app.clock.now();
    let events = live::overview_address(&app).await?;
    let ticket = app.store.local_ticket(number).await?;
    let comments = ticket.comments.iter();
    let comments =
        comments.map(|it| CommentView { at: When::new(it.at, now), body: markdown::to_html(&it.body) });
    render(&TicketPage {
        head: Head::load(&app).await?,
        events,
        body: markdown::to_html(&ticket.body),
        opened: When::new(ticket.opened_at, now),
        comments: comments.collect(),
        ticket,
    })
}
