//! Durable steps: what is queued, who may run it, and how it ended.

use std::fmt;

use super::notice::NoticeKind;
use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, JobId, LeaseToken, ProposalId};

/// The stages of healing that exist as jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobKind {
    /// Open the issue's ticket, or add a report to it.
    Ticket,
    /// Reproduce, attempt and validate.
    Fix,
    /// Push the branch and open the proposal.
    Propose,
    /// Merge an accepted proposal (local forge).
    Land,
    /// Tell people.
    Announce,
}

impl JobKind {
    pub const ALL: [Self; 5] = [Self::Ticket, Self::Fix, Self::Propose, Self::Land, Self::Announce];

    /// The name used in the store, in metrics and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::Fix => "fix",
            Self::Propose => "propose",
            Self::Land => "land",
            Self::Announce => "announce",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a job is to do. The kind follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobPayload {
    /// Open the issue's ticket, then announce it, then queue the fix if `then_fix`.
    OpenTicket { then_fix: bool },
    /// Tell on the ticket how an attempt ended.
    ReportAttempt { attempt: AttemptId },
    /// Tell on the ticket that the error is back, then queue the fix if `then_fix`.
    ReportReopened { then_fix: bool },
    /// Reproduce, attempt, validate.
    Fix,
    /// Push the branch of a validated attempt and open its proposal.
    Propose { attempt: AttemptId },
    /// Merge a proposal that `actor` accepted.
    Land { proposal: ProposalId, actor: String },
    /// Tell people.
    Announce { kind: NoticeKind, attempt: Option<AttemptId>, proposal: Option<ProposalId> },
}

impl JobPayload {
    /// The stage that runs it.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::OpenTicket { .. } | Self::ReportAttempt { .. } | Self::ReportReopened { .. } => {
                JobKind::Ticket
            }
            Self::Fix => JobKind::Fix,
            Self::Propose { .. } => JobKind::Propose,
            Self::Land { .. } => JobKind::Land,
            Self::Announce { .. } => JobKind::Announce,
        }
    }
}

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// `None` in a commit batch means "the issue of this group"; the store fills it in.
    pub issue: Option<IssueId>,
    /// Only one job with a key is ever made, so a key says what makes its job new (see the constructors). In a commit
    /// batch the placeholder `{issue}` is replaced by the issue's id.
    pub unique_key: String,
    /// Higher runs first.
    pub priority: i32,
    /// Not before; `None` is at once.
    pub run_at: Option<Timestamp>,
    pub payload: JobPayload,
}

/// Placeholder for the id of the issue that a commit is about to find or create.
pub const ISSUE_PLACEHOLDER: &str = "{issue}";

impl NewJob {
    fn new(issue: Option<IssueId>, unique_key: String, priority: i32, payload: JobPayload) -> Self {
        Self { issue, unique_key, priority, run_at: None, payload }
    }

    /// Opens the ticket of the commit's own issue; once per issue.
    pub fn open_ticket(then_fix: bool) -> Self {
        Self::new(None, format!("ticket:{ISSUE_PLACEHOLDER}"), 10, JobPayload::OpenTicket { then_fix })
    }

    /// Tells on the ticket that the error is back; once per time it came back.
    pub fn report_reopened(then_fix: bool, seen_again_at: Timestamp) -> Self {
        let key = format!("reopened:{ISSUE_PLACEHOLDER}:{}", seen_again_at.as_millisecond());
        Self::new(None, key, 10, JobPayload::ReportReopened { then_fix })
    }

    /// Tells people that a storm of new errors began in the service of the commit's own (storm) issue; once per storm.
    pub fn announce_storm(started_at: Timestamp) -> Self {
        let kind = NoticeKind::StormStarted;
        let key = format!("announce:{}:{ISSUE_PLACEHOLDER}:{}", kind.name(), started_at.as_second());
        Self::new(None, key, 5, JobPayload::Announce { kind, attempt: None, proposal: None })
    }

    /// Starts a fix; `round` counts the fixes of an issue (0 for the first).
    pub fn fix(issue: IssueId, round: u32) -> Self {
        Self::new(Some(issue), format!("fix:{issue}:{round}"), 0, JobPayload::Fix)
    }

    /// Starts a fix, the first or another: a person asks for it, or the error is back; `fixes` are all fix jobs of the issue so far.
    /// `None` while one of them waits or runs. The key counts jobs, not attempts: a fix that died early left a key behind but no attempt.
    pub fn another_fix(issue: IssueId, fixes: &[Job]) -> Option<Self> {
        if fixes.iter().any(Job::is_open) {
            return None;
        }
        if fixes.is_empty() {
            return Some(Self::fix(issue, 0));
        }
        let key = format!("fix:{issue}:again:{}", fixes.len());
        Some(Self::new(Some(issue), key, 0, JobPayload::Fix))
    }

    /// Tells on the ticket how an attempt ended; once per attempt.
    pub fn report_attempt(issue: IssueId, attempt: AttemptId) -> Self {
        Self::new(Some(issue), format!("report:{attempt}"), 10, JobPayload::ReportAttempt { attempt })
    }

    /// Proposes a validated attempt; once per attempt.
    pub fn propose(issue: IssueId, attempt: AttemptId) -> Self {
        Self::new(Some(issue), format!("propose:{attempt}"), 10, JobPayload::Propose { attempt })
    }

    /// Merges an accepted proposal; `lands` are all land jobs of the issue so far. `None` while one of this proposal waits or runs, so that
    /// accepting it twice merges it once; one that was refused (a conflict, say) is followed by another.
    pub fn land(
        issue: IssueId,
        proposal: ProposalId,
        actor: impl Into<String>,
        lands: &[Job],
    ) -> Option<Self> {
        let mut n_before = 0;
        for job in lands.iter().filter(|job| job.is_land_of(proposal)) {
            if job.is_open() {
                return None;
            }
            n_before += 1;
        }
        let key = match n_before {
            0 => format!("land:{proposal}"),
            n => format!("land:{proposal}:again:{n}"),
        };
        Some(Self::new(Some(issue), key, 20, JobPayload::Land { proposal, actor: actor.into() }))
    }

    /// Tells people; once per `about` (the id of what happened).
    pub fn announce(
        issue: IssueId,
        kind: NoticeKind,
        attempt: Option<AttemptId>,
        proposal: Option<ProposalId>,
        about: &str,
    ) -> Self {
        let key = format!("announce:{}:{about}", kind.name());
        Self::new(Some(issue), key, 5, JobPayload::Announce { kind, attempt, proposal })
    }

    /// The stage that runs it.
    pub const fn kind(&self) -> JobKind {
        self.payload.kind()
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Waits for `run_at`, a worker, and the pause switch.
    Queued,
    /// Leased.
    Running,
    Done,
    /// Out of attempts or failed for good: stays for a person to look at and requeue.
    Dead,
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Dead, Self::Cancelled];

    /// The name used in the store and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A job as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub issue: Option<IssueId>,
    pub unique_key: String,
    pub priority: i32,
    pub run_at: Timestamp,
    pub state: JobState,
    /// Leases that ended in a failure. A release (shutdown, pause) or an expired lease is not counted as a failure, but see `n_leases`.
    pub n_failures: u32,
    /// How often it was leased.
    pub n_leases: u32,
    pub payload: JobPayload,
    /// JSON saved by the stage on its way, so that the next lease goes on from there.
    pub progress: Option<String>,
    /// One line about the end or the last failure.
    pub result: Option<String>,
    pub is_cancel_requested: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Job {
    /// The stage that runs it.
    pub const fn kind(&self) -> JobKind {
        self.payload.kind()
    }

    /// Whether it waits or runs.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, JobState::Queued | JobState::Running)
    }

    /// Whether it merges this proposal.
    pub fn is_land_of(&self, id: ProposalId) -> bool {
        matches!(&self.payload, JobPayload::Land { proposal, .. } if *proposal == id)
    }
}

/// The right to run a job until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub job: Job,
    pub token: LeaseToken,
    pub expires_at: Timestamp,
}

/// The store's answer to a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// Go on.
    Extended,
    /// A person cancelled the job: stop and complete as cancelled.
    CancelRequested,
    /// The pause switch is on: stop and release.
    Paused,
    /// The lease expired and may be someone else's: stop and write nothing.
    Lost,
}

/// One visible step of a job, for the issue's page and `job show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStep {
    pub job: JobId,
    /// Counts from 1 per job.
    pub seq: i64,
    pub at: Timestamp,
    /// A constant name, for example `model call`.
    pub name: String,
    /// Redacted, one or a few lines.
    pub detail: String,
}
