//! The stage over the store and the trackers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::id::{AttemptId, IssueId, TicketId};
use crate::base::redact::Redactor;
use crate::heal::story::ticket::Next;
use crate::heal::story::timeline::{ACTOR, Happened, tell_once};
use crate::heal::story::{attempt as attempt_story, marker, ticket as ticket_story};
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::{Issue, IssueEvent, IssueState};
use crate::model::job::{Job, JobKind, JobPayload, NewJob};
use crate::model::notice::NoticeKind;
use crate::model::occurrence::Sample;
use crate::model::service::{Service, Services};
use crate::model::stage::{JobEnd, Setback, Stage, StageContext, StageOutcome};
use crate::model::ticket::Ticket;
use crate::store::Store;
use crate::store::types::{JobFilter, TimelineEntry};
use crate::tracker::{NewTicket, Place, Tracker, TrackerError};

/// What the stage is made of.
#[derive(Debug)]
pub struct TicketParts {
    pub store: Arc<dyn Store>,
    pub services: Arc<dyn Services>,
    /// The first that accepts a service's repository keeps its tickets; the local one, last, accepts all.
    pub trackers: Vec<Arc<dyn Tracker>>,
    /// For the diff and the report of an attempt: what the agent wrote has not passed it yet.
    pub redactor: Redactor,
    pub clock: SharedClock,
    /// Address of the dashboard, without a slash at the end.
    pub public_url: String,
}

/// The stage of ticket jobs.
#[derive(Debug)]
pub struct TicketStage {
    parts: TicketParts,
    /// Held while a ticket is looked for and opened: two jobs of one issue must not both find none.
    opening: Mutex<()>,
}

/// What is remembered between two runs of one job.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// Key of the fix that this job queues; chosen before it is queued, since the next run would count that very fix.
    fix_key: Option<String>,
}

#[async_trait::async_trait]
impl Stage for TicketStage {
    fn kind(&self) -> JobKind {
        JobKind::Ticket
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        self.run_job(&context).await.unwrap_or_else(StageOutcome::from)
    }

    /// Without a ticket nobody would hear of the issue: the chat and the issue's page tell of it, and why there is no ticket.
    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        let (Some(id), JobPayload::OpenTicket { .. }, JobEnd::Dead { reason }) =
            (context.job.issue, &context.job.payload, end)
        else {
            return Vec::new();
        };
        let reason = self.parts.redactor.redact(reason);
        let happened = Happened {
            issue: id,
            event: None,
            actor: ACTOR,
            what: "ticket not opened",
            detail: reason.as_str(),
            at: self.parts.clock.now(),
        };
        match tell_once(self.parts.store.as_ref(), happened).await {
            Ok(issue) if is_muted(&issue) => return Vec::new(),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(job = %context.job.id, error = %Chain(&error), "a missing ticket could not be told");
            }
        }
        vec![NewJob::announce(id, NoticeKind::IssueOpened, None, None, &id.to_string())]
    }
}

impl TicketStage {
    /// The stage over these parts.
    pub const fn new(parts: TicketParts) -> Self {
        Self { parts, opening: Mutex::const_new(()) }
    }

    async fn run_job(&self, context: &StageContext) -> Result<StageOutcome, Setback> {
        let job = &context.job;
        let Some(issue) = job.issue else {
            return Ok(StageOutcome::failed("the job names no issue"));
        };
        match job.payload {
            JobPayload::OpenTicket { then_fix } => self.open(context, issue, then_fix).await,
            JobPayload::ReportReopened { then_fix } => self.reopen(context, issue, then_fix).await,
            JobPayload::ReportAttempt { attempt } => self.report(context, issue, attempt).await,
            JobPayload::Fix
            | JobPayload::Propose { .. }
            | JobPayload::Land { .. }
            | JobPayload::Announce { .. } => Ok(StageOutcome::failed("not a job of the ticket stage")),
        }
    }

    async fn open(
        &self,
        context: &StageContext,
        id: IssueId,
        then_fix: bool,
    ) -> Result<StageOutcome, Setback> {
        let detail = self.parts.store.issue_detail(id).await?;
        let service = self.parts.services.service(&detail.issue.service).await;
        let fixes = then_fix && service.fixable().is_some() && !is_muted(&detail.issue);
        let next = if fixes { Next::Fix } else { Next::Person };
        let ticket = self.ticket(context, &detail.issue, detail.own_sample(), &service, next).await?;
        let mut jobs = Vec::new();
        if !is_muted(&detail.issue) {
            jobs.push(NewJob::announce(id, NoticeKind::IssueOpened, None, None, &id.to_string()));
        }
        if fixes {
            self.queue_fix(context, id).await?;
        }
        Ok(StageOutcome::done(format!("ticket {}", ticket.key), jobs))
    }

    async fn reopen(
        &self,
        context: &StageContext,
        id: IssueId,
        then_fix: bool,
    ) -> Result<StageOutcome, Setback> {
        let detail = self.parts.store.issue_detail(id).await?;
        let service = self.parts.services.service(&detail.issue.service).await;
        let fixes = then_fix && service.fixable().is_some() && !is_muted(&detail.issue);
        let next = if fixes { Next::Fix } else { Next::Person };
        let sample = detail.own_sample();
        let ticket = self.ticket(context, &detail.issue, sample, &service, next).await?;
        let tracker = self.tracker_of(&ticket)?;
        let job = context.job.id;
        let body = ticket_story::reopened(&detail.issue, sample, job, next);
        context.progress.step("reopen ticket", &ticket.key).await;
        tracker.reopen(&ticket.key).await?;
        tracker.comment(&ticket.key, &marker::reopened(job), &body, context.job.created_at).await?;
        let mut jobs = Vec::new();
        if !is_muted(&detail.issue) {
            jobs.push(NewJob::announce(id, NoticeKind::IssueReopened, None, None, &job.to_string()));
        }
        if fixes {
            self.queue_fix(context, id).await?;
        }
        Ok(StageOutcome::done(format!("told on ticket {} that the error is back", ticket.key), jobs))
    }

    async fn report(
        &self,
        context: &StageContext,
        id: IssueId,
        attempt: AttemptId,
    ) -> Result<StageOutcome, Setback> {
        let store = &self.parts.store;
        let attempt = self.redacted(store.attempt(attempt).await?);
        let detail = store.issue_detail(id).await?;
        let service = self.parts.services.service(&detail.issue.service).await;
        let proposals = store.proposals(id).await?;
        let proposal = proposals.iter().find(|proposal| proposal.attempt == attempt.id);
        // The job that should have brought it further.
        let job = match (attempt.outcome, proposal) {
            (Some(Outcome::Fixed), None) => self.propose_job(id, attempt.id).await?,
            (None, None) => Some(store.job(attempt.job).await?),
            (Some(_) | None, _) => None,
        };
        if job.as_ref().is_some_and(Job::is_open) {
            return Ok(StageOutcome::done("is told when it is over", Vec::new()));
        }
        let stuck = job.and_then(|job| job.result).map(|why| self.parts.redactor.redact(&why).into_string());
        let sample = detail.own_sample();
        let ticket = self.ticket(context, &detail.issue, sample, &service, Next::Person).await?;
        let tracker = self.tracker_of(&ticket)?;
        let whole = format!("{}/attempts/{}/patch", self.parts.public_url, attempt.id);
        let (marker, body) = attempt_story::comment(&attempt, proposal, stuck.as_deref(), &whole);
        context.progress.step("report on ticket", &ticket.key).await;
        tracker.comment(&ticket.key, &marker, &body, context.job.created_at).await?;
        let attempts = store.attempts(id).await?;
        let is_followed = attempts.iter().any(|it| it.job == attempt.job && it.number > attempt.number);
        let about = match (&stuck, proposal, attempt.outcome) {
            // People are told how the last one ended.
            _ if is_followed => None,
            (Some(_), _, _) => Some(format!("{}:stuck", attempt.id)),
            // Its proposal tells.
            (None, Some(_), _) | (None, None, Some(Outcome::Fixed)) => None,
            (None, None, _) => Some(attempt.id.to_string()),
        };
        let notice =
            about.map(|about| NewJob::announce(id, NoticeKind::AttemptEnded, Some(attempt.id), None, &about));
        let summary = format!("reported attempt {} on ticket {}", attempt.number, ticket.key);
        Ok(StageOutcome::done(summary, notice.into_iter().collect()))
    }

    async fn propose_job(&self, issue: IssueId, attempt: AttemptId) -> Result<Option<Job>, Setback> {
        let filter =
            JobFilter { issue: Some(issue), kind: Some(JobKind::Propose), state: None, limit: 1_000 };
        let jobs = self.parts.store.jobs(&filter).await?;
        Ok(jobs.into_iter().find(|job| job.payload == JobPayload::Propose { attempt }))
    }

    fn redacted(&self, attempt: Attempt) -> Attempt {
        let clean = |text: &str| self.parts.redactor.redact(text).into_string();
        Attempt { patch: clean(&attempt.patch), report: clean(&attempt.report), ..attempt }
    }

    /// The issue's ticket: the store's, else the tracker's, else a new one.
    async fn ticket(
        &self,
        context: &StageContext,
        issue: &Issue,
        sample: Option<&Sample>,
        service: &Service,
        next: Next,
    ) -> Result<Ticket, Setback> {
        let store = &self.parts.store;
        let _opening = self.opening.lock().await;
        if let Some(ticket) = store.ticket(issue.id).await? {
            self.tell_ticket(&ticket).await?;
            return Ok(ticket);
        }
        let repository = service.repository.as_ref();
        let tracker = self.parts.trackers.iter().find(|tracker| tracker.accepts(repository));
        let tracker = tracker.ok_or(TrackerError::NoRepository)?;
        let place = Place { repository, since: context.job.created_at };
        let marker = marker::issue(issue.id);
        let found = tracker.find(place, &marker).await?;
        let reference = match found {
            Some(reference) => reference,
            None => {
                context.progress.step("open ticket", tracker.name()).await;
                let page = format!("{}/issues/{}", self.parts.public_url, issue.id);
                let body = ticket_story::body(issue, sample, &page, next);
                let title = ticket_story::title(issue);
                tracker.open(place, &NewTicket { marker, title, body }).await?
            }
        };
        let ticket = Ticket {
            id: TicketId::new(),
            issue: issue.id,
            tracker: tracker.name().to_owned(),
            key: reference.key,
            url: reference.url,
            opened_at: self.parts.clock.now(),
        };
        let ticket = store.save_ticket(&ticket).await?;
        self.tell_ticket(&ticket).await?;
        Ok(ticket)
    }

    async fn tell_ticket(&self, ticket: &Ticket) -> Result<(), Setback> {
        let happened = Happened {
            issue: ticket.issue,
            event: None,
            actor: ACTOR,
            what: "ticket opened",
            detail: &ticket.url,
            at: self.parts.clock.now(),
        };
        tell_once(self.parts.store.as_ref(), happened).await?;
        Ok(())
    }

    fn tracker_of(&self, ticket: &Ticket) -> Result<&Arc<dyn Tracker>, Setback> {
        let tracker = self.parts.trackers.iter().find(|tracker| tracker.name() == ticket.tracker);
        let reason =
            || format!("the ticket is kept by `{}`, which is not configured any more", ticket.tracker);
        tracker.ok_or_else(|| Setback::Failed { reason: reason() })
    }

    /// Queues the fix and moves the issue, in one transaction and once. Nothing where one waits or runs already.
    async fn queue_fix(&self, context: &StageContext, id: IssueId) -> Result<(), Setback> {
        let store = &self.parts.store;
        let filter = JobFilter { issue: Some(id), kind: Some(JobKind::Fix), state: None, limit: 1_000 };
        let fixes = store.jobs(&filter).await?;
        let fix = match remembered(&context.job).fix_key {
            // An earlier run of this job was about to queue it, and may have.
            Some(key) if fixes.iter().any(|job| job.unique_key == key) => return Ok(()),
            Some(key) => NewJob { unique_key: key, ..NewJob::fix(id, 0) },
            None => {
                let Some(fix) = NewJob::another_fix(id, &fixes) else { return Ok(()) };
                let memory = Memory { fix_key: Some(fix.unique_key.clone()) };
                let state = serde_json::to_string(&memory).expect("a struct of texts is JSON");
                context.progress.save(&state).await?;
                fix
            }
        };
        let entry = TimelineEntry {
            at: self.parts.clock.now(),
            actor: ACTOR.to_owned(),
            what: "fix queued".to_owned(),
            detail: String::new(),
        };
        store.apply_issue_event(id, IssueEvent::FixQueued, vec![fix], entry).await?;
        Ok(())
    }
}

/// What an earlier run saved; nothing where it cannot be read, since all of it can be found out again.
fn remembered(job: &Job) -> Memory {
    job.progress.as_deref().and_then(|state| serde_json::from_str(state).ok()).unwrap_or_default()
}

const fn is_muted(issue: &Issue) -> bool {
    matches!(issue.state, IssueState::Muted { .. })
}
