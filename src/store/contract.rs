//! The trait every database implements, method by method.

use std::time::Duration;

use super::types::{
    Alias, AuditEntry, CommitReceipt, Held, IssueBrief, IssueDetail, IssueFilter, IssueTemplate, JobFilter,
    LocalComment, LocalTicket, NewReservation, OpenSpend, Overview, Reserved, SpendBy, SpendLimits, SpendRow,
    SpendSpan, SpendTotals, StoreError, TimelineEntry, Usage,
};
use crate::base::clock::Timestamp;
use crate::base::id::{AliasId, AttemptId, IssueId, JobId, LeaseToken, ProposalId, ReservationId};
use crate::model::attempt::Attempt;
use crate::model::cursor::{Cursor, Gap, StreamKey};
use crate::model::fingerprint::Fingerprint;
use crate::model::issue::{Issue, IssueEvent};
use crate::model::job::{Heartbeat, Job, JobKind, JobStep, Lease, NewJob};
use crate::model::money::NanoUsd;
use crate::model::occurrence::CommitBatch;
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::stage::StageOutcome;
use crate::model::ticket::Ticket;

type Result<T> = std::result::Result<T, StoreError>;

/// Everything durable. Every method is one transaction: all of it or nothing. Times are passed in, so that the
/// store has no clock of its own; `actor` is who asked for a change (`homeostat`, or a person).
#[async_trait::async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    // --- life ---

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;
    /// Id of this installation, made at first start: labels containers, so that two never reap each other's.
    async fn instance_id(&self) -> Result<String>;
    /// When this store was first used.
    async fn first_run_at(&self, now: Timestamp) -> Result<Timestamp>;
    /// Waits until a job may have been queued by anybody, or `at_most` has passed. A hint, never a promise.
    async fn job_nudge(&self, at_most: Duration);
    /// Closes the connections; later calls fail.
    async fn close(&self);

    // --- watching ---

    /// Commits occurrences, cursors, gaps and the jobs they ask for. For each group: find or create its issue by
    /// (service, identity); add to the count and the minute's count; keep samples; apply `SeenAgain` for
    /// `Decision::Reopen`; queue its jobs. What an alias leads elsewhere counts there; a group whose issue is known by its former identity
    /// only gets an alias to it. Whatever the cache said, a muted issue gets no jobs, and neither does a `Reopen` of an
    /// issue that is not over in the store: somebody else was first. A mute whose time is over counts as none.
    async fn commit(&self, batch: CommitBatch, now: Timestamp) -> Result<CommitReceipt>;
    /// The committed cursor of a stream.
    async fn cursor(&self, stream: &StreamKey) -> Result<Option<Cursor>>;
    /// What triage needs to know of an issue: the one that occurrences of this identity count for.
    async fn issue_brief(&self, service: &str, identity: &Fingerprint) -> Result<Option<IssueBrief>>;
    /// Newest gaps first.
    async fn gaps(&self, limit: u32) -> Result<Vec<Gap>>;

    // --- issues ---

    async fn issues(&self, filter: &IssueFilter) -> Result<Vec<Issue>>;
    async fn issue(&self, id: IssueId) -> Result<Issue>;
    /// Lets the occurrences of issues count for `target` from now on: no id is rewritten, and what they counted before stays theirs. All of
    /// them or none; `Refused` where one is at work, of another service, merged elsewhere, or a storm. Their tickets and notices that
    /// wait are cancelled. In the stories of all, and in the audit chain. The target as it is then.
    async fn merge_issues(
        &self,
        sources: &[IssueId],
        target: IssueId,
        actor: &str,
        now: Timestamp,
    ) -> Result<Issue>;
    /// Takes an alias back, for good: occurrences from now on count for the fingerprint's own issue, which is what it was before. What
    /// was counted by the alias stays where it was counted.
    async fn unmerge(&self, alias: AliasId, actor: &str, now: Timestamp) -> Result<Alias>;
    /// The alias that is in force for a fingerprint.
    async fn alias_in_force(&self, service: &str, identity: &Fingerprint) -> Result<Option<AliasId>>;
    /// What the issues of a service say whose records have no trace; at most so many, always the same ones of more.
    async fn issue_templates(&self, service: &str, limit: u32) -> Result<Vec<IssueTemplate>>;
    /// A person does not want this suggestion to be made again.
    async fn dismiss_suggestion(
        &self,
        service: &str,
        pattern: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<()>;
    /// Whether that was said of it.
    async fn is_suggestion_dismissed(&self, service: &str, pattern: &str) -> Result<bool>;
    /// Issues whose id, or whose identity's hex digits, start with `prefix` (at least 4 digits, `h1:` allowed); at most 10.
    async fn find_issues(&self, prefix: &str) -> Result<Vec<Issue>>;
    async fn issue_detail(&self, id: IssueId) -> Result<IssueDetail>;
    /// Moves the issue's state by `event`, queues `jobs` (a fix among them moves it on to `Fixing`), and writes the timeline entry and
    /// an audit row of the same actor and words. `entry.at` is the time of it all.
    async fn apply_issue_event(
        &self,
        id: IssueId,
        event: IssueEvent,
        jobs: Vec<NewJob>,
        entry: TimelineEntry,
    ) -> Result<Issue>;
    /// Adds to the issue's story without changing its state.
    async fn add_timeline(&self, id: IssueId, entry: TimelineEntry) -> Result<()>;

    // --- queue ---

    /// Queues a job; the id of the job that already has the unique key if there is one. A new fix moves its issue to `Fixing`, here and
    /// wherever jobs are queued.
    async fn enqueue(&self, job: NewJob, now: Timestamp) -> Result<JobId>;
    /// The next job of these kinds that is due: highest priority, then oldest. A running job whose lease expired is
    /// due again. Nothing while the pause switch is on. `owner` is for people.
    async fn lease(
        &self,
        kinds: &[JobKind],
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>>;
    /// Extends a lease to `now + ttl` and says whether to go on.
    async fn heartbeat(
        &self,
        job: JobId,
        token: LeaseToken,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Heartbeat>;
    /// Saves the stage's own JSON under the lease; refused with `LeaseLost` if it is not held any more.
    async fn save_progress(&self, job: JobId, token: LeaseToken, state: &str, now: Timestamp) -> Result<()>;
    /// Ends a lease: result and next jobs together. `Done` ends the job; `Retry` queues it at `retry_at`, or lets it die
    /// when `retry_at` is `None` (the worker counts attempts); `Failed` lets it die; `Released` queues it at once
    /// without counting a failure, `Postponed` at `retry_at` without counting the lease either. A job whose cancel was requested becomes `Cancelled` whatever the outcome but `Done`. A fix, or
    /// a proposal of one, that is dead or cancelled, here or by a person, moves its issue from `Fixing` to `NeedsPerson`.
    async fn complete(
        &self,
        job: JobId,
        token: LeaseToken,
        outcome: StageOutcome,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()>;
    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>>;
    async fn job(&self, id: JobId) -> Result<Job>;
    /// A queued or dead job is cancelled at once, a running one at its next heartbeat.
    async fn cancel_job(&self, id: JobId, actor: &str, now: Timestamp) -> Result<Job>;
    /// Puts a dead or cancelled job back into the queue with its failures forgotten.
    async fn requeue_job(&self, id: JobId, actor: &str, now: Timestamp) -> Result<Job>;
    /// Adds a visible step; `seq` is given by the store.
    async fn add_step(&self, job: JobId, at: Timestamp, name: &str, detail: &str) -> Result<()>;
    /// Steps of a job with `seq` above `after`, oldest first.
    async fn steps(&self, job: JobId, after: i64) -> Result<Vec<JobStep>>;
    /// Turns the pause switch. It survives a restart and holds for every process on this store.
    async fn set_paused(&self, is_paused: bool, actor: &str, now: Timestamp) -> Result<()>;
    async fn is_paused(&self) -> Result<bool>;

    // --- healing ---

    /// Writes an attempt whole (by id), new or changed.
    async fn save_attempt(&self, attempt: &Attempt) -> Result<()>;
    /// As `save_attempt`, refused with `LeaseLost` if the lease is not held any more. The same holds for the two other writes of an
    /// attempt under way.
    async fn save_attempt_held(&self, attempt: &Attempt, held: Held) -> Result<()>;
    async fn append_transcript_held(
        &self,
        attempt: AttemptId,
        seq: i64,
        entry: &str,
        held: Held,
    ) -> Result<()>;
    async fn reserve_held(
        &self,
        reservation: NewReservation,
        limits: SpendLimits,
        held: Held,
    ) -> Result<Reserved>;
    async fn attempt(&self, id: AttemptId) -> Result<Attempt>;
    /// Attempts of an issue, oldest first.
    async fn attempts(&self, issue: IssueId) -> Result<Vec<Attempt>>;
    /// Appends one entry to an attempt's transcript; `seq` must be the next number (from 1), so that two writers cannot interleave.
    async fn append_transcript(
        &self,
        attempt: AttemptId,
        seq: i64,
        entry: &str,
        now: Timestamp,
    ) -> Result<()>;
    /// All entries in order, as written.
    async fn transcript(&self, attempt: AttemptId) -> Result<Vec<String>>;
    /// Reserves money if no limit can be passed.
    async fn reserve(&self, reservation: NewReservation, limits: SpendLimits) -> Result<Reserved>;
    /// Replaces a reservation by what the call cost. Settling twice keeps the first.
    async fn settle(&self, id: ReservationId, usage: Usage, cost: NanoUsd, now: Timestamp) -> Result<()>;
    /// Marks the open reservations of an attempt as cut off: they count in full from now on. Returns how many.
    async fn settle_cut_off(&self, attempt: AttemptId, now: Timestamp) -> Result<u64>;
    async fn spend_of_attempt(&self, attempt: AttemptId) -> Result<SpendTotals>;
    async fn spend_since(&self, since: Timestamp) -> Result<SpendTotals>;
    /// What was spent in a span of time, by day, service, …, in the order of their keys.
    async fn spend_by(&self, by: SpendBy, span: SpendSpan) -> Result<Vec<SpendRow>>;
    /// Calls whose usage is not known (cut off, or under way), newest first.
    async fn open_spend(&self, span: SpendSpan, limit: u32) -> Result<Vec<OpenSpend>>;
    /// Writes the issue's ticket; a second one for the same issue and tracker keeps the first and returns it.
    async fn save_ticket(&self, ticket: &Ticket) -> Result<Ticket>;
    async fn ticket(&self, issue: IssueId) -> Result<Option<Ticket>>;
    /// Writes a proposal whole; one per attempt, a second for the same attempt keeps the first and returns it.
    async fn save_proposal(&self, proposal: &Proposal) -> Result<Proposal>;
    async fn set_proposal_state(&self, id: ProposalId, state: ProposalState, now: Timestamp) -> Result<()>;
    async fn proposal(&self, id: ProposalId) -> Result<Proposal>;
    /// Proposals of an issue, oldest first.
    async fn proposals(&self, issue: IssueId) -> Result<Vec<Proposal>>;

    // --- the local tracker ---

    /// Opens a local ticket, or returns the number of the one with this marker.
    async fn open_local_ticket(&self, marker: &str, title: &str, body: &str, now: Timestamp) -> Result<i64>;
    async fn comment_local_ticket(&self, number: i64, comment: LocalComment) -> Result<()>;
    async fn local_ticket(&self, number: i64) -> Result<LocalTicket>;

    // --- people ---

    async fn overview(&self, now: Timestamp) -> Result<Overview>;
    async fn audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &str,
        now: Timestamp,
    ) -> Result<()>;
    /// Newest first.
    async fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>>;
    /// Whether every row's hash follows from the one before it.
    async fn verify_audit(&self) -> Result<bool>;
}
