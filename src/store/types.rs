//! What goes into the store and comes out of it besides the model's own values.

use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::id::{AliasId, AttemptId, IssueId, JobId, LeaseToken, ReservationId};
use crate::model::fingerprint::Fingerprint;
use crate::model::issue::{Issue, IssueState};
use crate::model::job::{JobKind, JobState};
use crate::model::money::NanoUsd;
use crate::model::occurrence::Sample;
use crate::model::stage::Setback;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or out of space: the same call may succeed later.
    #[error("failed to {action}: the database is not available")]
    Unavailable {
        action: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database answered that the call can never be right (a broken row, a schema from the future, a bug).
    #[error("failed to {action}")]
    Broken {
        action: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The lease is expired, completed or someone else's.
    #[error("the lease of job {job} is lost")]
    LeaseLost { job: JobId },
    /// There is no such row.
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    /// What was asked for must not be done as things stand; for people.
    #[error("{reason}")]
    Refused { reason: String },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Broken { .. } | Self::LeaseLost { .. } | Self::NotFound { .. } | Self::Refused { .. } => {
                false
            }
        }
    }
}

/// A stage that cannot reach the store is retried; one whose lease is lost writes nothing more.
impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        let reason = Chain(&error).to_string();
        match error {
            StoreError::Unavailable { .. } => Self::Retry { reason, after: None },
            StoreError::LeaseLost { .. } => Self::Released,
            StoreError::Broken { .. } | StoreError::NotFound { .. } | StoreError::Refused { .. } => {
                Self::Failed { reason }
            }
        }
    }
}

/// What a commit did for one group, in the order of the batch (deliveries' groups after the plain ones). There is none for a
/// group whose decision is `Drop` and for those of a repeated delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedGroup {
    pub service: String,
    pub identity: Fingerprint,
    pub issue: IssueId,
    /// Whether this commit created the issue.
    pub is_new: bool,
    /// The issue's state after the commit.
    pub state: IssueState,
    /// All occurrences so far.
    pub count: u64,
    pub n_jobs_queued: u32,
}

/// Answer to a commit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommitReceipt {
    pub groups: Vec<CommittedGroup>,
    /// Deliveries left out because their key was there already.
    pub n_repeated_deliveries: u32,
}

/// What triage needs to know of an issue; small, since it is cached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IssueBrief {
    pub id: IssueId,
    pub state: IssueState,
    /// When it came into this state; triage gives an old version some time after a fix has landed.
    pub state_since: Timestamp,
    pub last_seen: Timestamp,
    /// When a ticket or fix job was last queued for it.
    pub last_acted_at: Option<Timestamp>,
}

/// Which issues to list. Newest `last_seen` first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct IssueFilter {
    pub service: Option<String>,
    /// Name of a state, see [`IssueState::name`]. Issues that are merged are listed by the name `merged` only.
    pub state: Option<String>,
    /// Tell states as they count at this time. Without it they are as stored: a mute whose time is over stays `muted` until the next
    /// occurrence.
    pub at: Option<Timestamp>,
    /// Whether issues of rules with the action `count` are listed too.
    pub with_counted: bool,
    /// Text that the title contains, without regard to case.
    pub text: Option<String>,
    /// 0 stands for [`DEFAULT_LIMIT`], here and in every list.
    pub limit: u32,
    pub offset: u32,
}

/// Everything an issue's page shows that is not a job.
#[derive(Debug, Clone, PartialEq)]
pub struct IssueDetail {
    pub issue: Issue,
    /// Newest first, at most [`MAX_SAMPLES`].
    pub samples: Vec<Sample>,
    /// Occurrences per minute, oldest first; minutes without any are left out. The newest [`MAX_MINUTES`].
    pub per_minute: Vec<(Timestamp, u64)>,
    /// Oldest first; the newest [`MAX_TIMELINE`].
    pub timeline: Vec<TimelineEntry>,
    /// Fingerprints that count for it, or did; newest first, at most [`MAX_ALIASES`].
    pub aliases: Vec<Alias>,
}

impl IssueDetail {
    /// The newest record of the issue's own fingerprint: what tickets show and fixes begin with, also where others count for it.
    pub fn own_sample(&self) -> Option<&Sample> {
        self.samples.iter().find(|it| it.merged_from.is_none())
    }
}

/// Aliases that an issue's page is given.
pub const MAX_ALIASES: u32 = 200;

/// Occurrences of (service, fingerprint) count for an issue that has another fingerprint. No id is ever rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub id: AliasId,
    pub service: String,
    pub identity: Fingerprint,
    /// The issue they count for, or for the one that it is merged into.
    pub issue: IssueId,
    pub why: AliasWhy,
    /// Who made it: a person's name, or `homeostat`.
    pub made_by: String,
    pub made_at: Timestamp,
    /// Occurrences counted by it.
    pub count: u64,
    /// Who took it back, and when; kept as history.
    pub ended: Option<(String, Timestamp)>,
    /// The issue of the fingerprint itself, with its title; a new version's id has none.
    pub own: Option<(IssueId, String)>,
}

/// Why there is an alias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasWhy {
    /// A person said that both are one.
    Merged,
    /// A new version of the algorithm gives the same records another id.
    NewVersion,
}

impl AliasWhy {
    /// The name used in the store and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::NewVersion => "new_version",
        }
    }

    /// The reason with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Merged, Self::NewVersion].into_iter().find(|it| it.name() == name)
    }
}

/// What an issue of records without a trace says, for comparing it with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueTemplate {
    pub id: IssueId,
    pub template: String,
    pub title: String,
    pub count: u64,
    /// The issue it is merged into.
    pub merged_into: Option<IssueId>,
}

/// Samples kept per issue: the first three and the newest seventeen.
pub const MAX_SAMPLES: u32 = 20;
/// How many of these are the first.
pub const FIRST_SAMPLES: u32 = 3;
/// Minutes with occurrences that an issue's page is given: a week, if there were some in each.
pub const MAX_MINUTES: u32 = 7 * 24 * 60;
/// Entries of a timeline that an issue's page is given.
pub const MAX_TIMELINE: u32 = 1000;
/// How many rows a list has whose caller says nothing.
pub const DEFAULT_LIMIT: u32 = 100;

/// One line of an issue's story: written with the change it tells of, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    pub at: Timestamp,
    /// Who: `homeostat`, or a person's name.
    pub actor: String,
    /// Constant name, for example `issue opened`, `ticket opened`, `muted`.
    pub what: String,
    pub detail: String,
}

/// Which jobs to list. Newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobFilter {
    pub issue: Option<IssueId>,
    pub kind: Option<JobKind>,
    pub state: Option<JobState>,
    pub limit: u32,
}

/// The lease that a write goes under. Once it is lost, the write is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub job: JobId,
    pub token: LeaseToken,
    /// The lease must not have expired by then.
    pub now: Timestamp,
}

/// Money asked for before a model call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReservation {
    pub id: ReservationId,
    pub attempt: AttemptId,
    pub issue: IssueId,
    pub service: String,
    pub model: String,
    /// The most that the call can cost.
    pub amount: NanoUsd,
    pub at: Timestamp,
}

/// Limits that a reservation must keep, all checked in the same transaction that reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendLimits {
    pub per_call: NanoUsd,
    pub per_attempt: NanoUsd,
    pub per_issue: NanoUsd,
    /// Of one service, since midnight UTC.
    pub per_service_day: NanoUsd,
    /// Since midnight UTC, over everything.
    pub per_day: NanoUsd,
    /// Since the first of the month (UTC), over everything.
    pub per_month: NanoUsd,
}

impl SpendLimits {
    /// No limit at all.
    pub const NONE: Self = {
        let none = NanoUsd(i64::MAX);
        Self {
            per_call: none,
            per_attempt: none,
            per_issue: none,
            per_service_day: none,
            per_day: none,
            per_month: none,
        }
    };

    /// (name, amount) of each, the narrowest first.
    pub const fn named(&self) -> [(&'static str, NanoUsd); 6] {
        [
            ("call", self.per_call),
            ("attempt", self.per_attempt),
            ("issue", self.per_issue),
            ("service", self.per_service_day),
            ("day", self.per_day),
            ("month", self.per_month),
        ]
    }
}

impl Default for SpendLimits {
    fn default() -> Self {
        Self {
            per_call: NanoUsd::from_usd(3.0),
            per_attempt: NanoUsd::from_usd(3.0),
            per_issue: NanoUsd::from_usd(10.0),
            per_service_day: NanoUsd::from_usd(50.0),
            per_day: NanoUsd::from_usd(50.0),
            per_month: NanoUsd::from_usd(1000.0),
        }
    }
}

/// What spending is summed up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpendBy {
    Day,
    Month,
    Service,
    Issue,
    Attempt,
    Model,
}

/// What was reserved from `since` on and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpendSpan {
    pub since: Timestamp,
    pub until: Timestamp,
}

impl SpendSpan {
    /// All there is.
    pub const ALL: Self = Self { since: Timestamp::MIN, until: Timestamp::MAX };
}

/// Spending of one day, service, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpendRow {
    /// `2026-11-22`, `2026-11`, a name or an id.
    pub key: String,
    pub totals: SpendTotals,
    /// Of the calls whose usage was seen.
    pub usage: Usage,
}

/// A call whose usage is not known: cut off, or still under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSpend {
    pub id: ReservationId,
    pub attempt: AttemptId,
    pub issue: IssueId,
    pub service: String,
    pub model: String,
    /// What counts for it: its reservation.
    pub amount: NanoUsd,
    pub at: Timestamp,
    /// Whether the call was cut off; otherwise it is under way.
    pub is_cut_off: bool,
}

/// Answer to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    Granted,
    /// The call could pass this limit, so it must not be made.
    Refused {
        limit: &'static str,
        limit_amount: NanoUsd,
        spent: NanoUsd,
    },
}

/// Tokens a call used, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub input_tokens: u64,
    pub cache_write_tokens: u64,
    pub cache_read_tokens: u64,
    pub output_tokens: u64,
}

/// What was spent. An unsettled reservation counts in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpendTotals {
    pub settled: NanoUsd,
    /// Reserved for calls that are under way.
    pub reserved: NanoUsd,
    /// Calls cut off before their usage was seen, settled at their reservation.
    pub unsettled: NanoUsd,
    pub n_calls: u64,
}

impl SpendTotals {
    /// Everything that was or may have to be paid.
    pub fn total(&self) -> NanoUsd {
        self.settled + self.reserved + self.unsettled
    }
}

/// Numbers for the dashboard's head, `status` and `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// (state name, how many), for issues of rules with the action `issue`.
    pub issues_by_state: Vec<(String, u64)>,
    /// (kind name, state name, how many).
    pub jobs: Vec<(String, String, u64)>,
    pub n_occurrences: u64,
    pub n_gaps: u64,
    pub spend_today: SpendTotals,
    /// Since the first of the month (UTC).
    pub spend_month: SpendTotals,
    pub is_paused: bool,
}

/// A comment on a ticket of the local tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalComment {
    /// Says which event it tells of; writing the same marker twice keeps the first.
    pub marker: String,
    pub at: Timestamp,
    /// Markdown.
    pub body: String,
}

/// A ticket of the local tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTicket {
    pub number: i64,
    /// The issue's marker; unique.
    pub marker: String,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub is_open: bool,
    pub opened_at: Timestamp,
    pub comments: Vec<LocalComment>,
}

/// One row of the audit chain. `hash` covers the row and the hash before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub seq: i64,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
    pub hash: String,
}
