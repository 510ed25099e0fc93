//! [`Store`] for both databases: each call names itself, says what kind of transaction it is, and hands over to its table.

use std::time::Duration;

use super::contract::Store;
use super::database::{Database, read, snapshot, write};
use super::tables::{
    aliases, attempts, audit, commit, events, issues, jobs, local_tickets, merges, meta, overview, proposals,
    queue, spend, stories, streams,
};
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

#[async_trait::async_trait]
impl Store for Database {
    async fn ping(&self) -> Result<()> {
        read!(self, "reach the database", |s| meta::ping(s))
    }

    async fn instance_id(&self) -> Result<String> {
        write!(self, "read the installation's id", |s| meta::instance_id(s))
    }

    async fn first_run_at(&self, now: Timestamp) -> Result<Timestamp> {
        write!(self, "read the time of the first run", |s| meta::first_run_at(s, now))
    }

    async fn job_nudge(&self, at_most: Duration) {
        self.nudge.wait(at_most).await;
    }

    async fn close(&self) {
        self.close_pools().await;
    }

    async fn commit(&self, batch: CommitBatch, now: Timestamp) -> Result<CommitReceipt> {
        write!(self, "commit occurrences", |s| commit::commit(s, &batch, now))
    }

    async fn cursor(&self, stream: &StreamKey) -> Result<Option<Cursor>> {
        read!(self, "read a cursor", |s| streams::cursor(s, stream))
    }

    async fn issue_brief(&self, service: &str, identity: &Fingerprint) -> Result<Option<IssueBrief>> {
        read!(self, "look up an issue", |s| issues::brief(s, service, *identity))
    }

    async fn gaps(&self, limit: u32) -> Result<Vec<Gap>> {
        read!(self, "list gaps", |s| streams::gaps(s, limit))
    }

    async fn issues(&self, filter: &IssueFilter) -> Result<Vec<Issue>> {
        read!(self, "list issues", |s| issues::list(s, filter))
    }

    async fn issue(&self, id: IssueId) -> Result<Issue> {
        read!(self, "read an issue", |s| issues::one(s, id))
    }

    async fn find_issues(&self, prefix: &str) -> Result<Vec<Issue>> {
        read!(self, "find issues", |s| issues::find(s, prefix))
    }

    async fn merge_issues(
        &self,
        sources: &[IssueId],
        target: IssueId,
        actor: &str,
        now: Timestamp,
    ) -> Result<Issue> {
        write!(self, "merge issues", |s| merges::merge(s, sources, target, actor, now))
    }

    async fn unmerge(&self, alias: AliasId, actor: &str, now: Timestamp) -> Result<Alias> {
        write!(self, "unmerge an issue", |s| merges::unmerge(s, alias, actor, now))
    }

    async fn alias_in_force(&self, service: &str, identity: &Fingerprint) -> Result<Option<AliasId>> {
        read!(self, "look up an alias", |s| aliases::in_force(s, service, *identity))
    }

    async fn issue_templates(&self, service: &str, limit: u32) -> Result<Vec<IssueTemplate>> {
        read!(self, "read the templates of issues", |s| merges::templates(s, service, limit))
    }

    async fn dismiss_suggestion(
        &self,
        service: &str,
        pattern: &str,
        actor: &str,
        now: Timestamp,
    ) -> Result<()> {
        write!(self, "dismiss a suggestion", |s| merges::dismiss(s, service, pattern, actor, now))
    }

    async fn is_suggestion_dismissed(&self, service: &str, pattern: &str) -> Result<bool> {
        read!(self, "look up a suggestion", |s| merges::is_dismissed(s, service, pattern))
    }

    async fn issue_detail(&self, id: IssueId) -> Result<IssueDetail> {
        snapshot!(self, "read an issue's story", |s| stories::detail(s, id))
    }

    async fn apply_issue_event(
        &self,
        id: IssueId,
        event: IssueEvent,
        jobs: Vec<NewJob>,
        entry: TimelineEntry,
    ) -> Result<Issue> {
        write!(self, "change an issue", |s| events::apply(s, id, event, &jobs, &entry))
    }

    async fn add_timeline(&self, id: IssueId, entry: TimelineEntry) -> Result<()> {
        write!(self, "add to an issue's timeline", |s| stories::add(s, id, &entry))
    }

    async fn enqueue(&self, job: NewJob, now: Timestamp) -> Result<JobId> {
        write!(self, "queue a job", |s| jobs::enqueue(s, &job, now))
    }

    async fn lease(
        &self,
        kinds: &[JobKind],
        owner: &str,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>> {
        let before_look = self.nudge.before_look();
        let leased = write!(self, "lease a job", |s| queue::lease(s, kinds, owner, now, ttl));
        if !matches!(leased, Ok(Some(_))) {
            self.nudge.found_nothing(before_look);
        }
        leased
    }

    async fn heartbeat(
        &self,
        job: JobId,
        token: LeaseToken,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<Heartbeat> {
        write!(self, "extend a lease", |s| queue::heartbeat(s, job, token, now, ttl))
    }

    async fn save_progress(&self, job: JobId, token: LeaseToken, state: &str, now: Timestamp) -> Result<()> {
        write!(self, "save a job's progress", |s| queue::save_progress(s, job, token, state, now))
    }

    async fn complete(
        &self,
        job: JobId,
        token: LeaseToken,
        outcome: StageOutcome,
        retry_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        write!(self, "complete a job", |s| queue::complete(s, job, token, &outcome, retry_at, now))
    }

    async fn jobs(&self, filter: &JobFilter) -> Result<Vec<Job>> {
        read!(self, "list jobs", |s| jobs::list(s, filter))
    }

    async fn job(&self, id: JobId) -> Result<Job> {
        read!(self, "read a job", |s| jobs::one(s, id))
    }

    async fn cancel_job(&self, id: JobId, actor: &str, now: Timestamp) -> Result<Job> {
        write!(self, "cancel a job", |s| queue::cancel(s, id, actor, now))
    }

    async fn requeue_job(&self, id: JobId, actor: &str, now: Timestamp) -> Result<Job> {
        write!(self, "requeue a job", |s| queue::requeue(s, id, actor, now))
    }

    async fn add_step(&self, job: JobId, at: Timestamp, name: &str, detail: &str) -> Result<()> {
        write!(self, "add a job's step", |s| jobs::add_step(s, job, at, name, detail))
    }

    async fn steps(&self, job: JobId, after: i64) -> Result<Vec<JobStep>> {
        read!(self, "list a job's steps", |s| jobs::steps(s, job, after))
    }

    async fn set_paused(&self, is_paused: bool, actor: &str, now: Timestamp) -> Result<()> {
        write!(self, "turn the pause switch", |s| meta::set_paused(s, is_paused, actor, now))
    }

    async fn is_paused(&self) -> Result<bool> {
        read!(self, "read the pause switch", |s| meta::is_paused(s))
    }

    async fn save_attempt(&self, attempt: &Attempt) -> Result<()> {
        write!(self, "save an attempt", |s| attempts::save(s, attempt))
    }

    async fn save_attempt_held(&self, attempt: &Attempt, held: Held) -> Result<()> {
        write!(self, "save an attempt", |s| async {
            queue::hold(s, held).await?;
            attempts::save(s, attempt).await
        })
    }

    async fn append_transcript_held(
        &self,
        attempt: AttemptId,
        seq: i64,
        entry: &str,
        held: Held,
    ) -> Result<()> {
        write!(self, "append to a transcript", |s| async {
            queue::hold(s, held).await?;
            attempts::append_transcript(s, attempt, seq, entry, held.now).await
        })
    }

    async fn reserve_held(
        &self,
        reservation: NewReservation,
        limits: SpendLimits,
        held: Held,
    ) -> Result<Reserved> {
        write!(self, "reserve money", |s| async {
            queue::hold(s, held).await?;
            spend::reserve(s, &reservation, &limits).await
        })
    }

    async fn attempt(&self, id: AttemptId) -> Result<Attempt> {
        read!(self, "read an attempt", |s| attempts::one(s, id))
    }

    async fn attempts(&self, issue: IssueId) -> Result<Vec<Attempt>> {
        read!(self, "list attempts", |s| attempts::of_issue(s, issue))
    }

    async fn append_transcript(
        &self,
        attempt: AttemptId,
        seq: i64,
        entry: &str,
        now: Timestamp,
    ) -> Result<()> {
        write!(self, "append to a transcript", |s| attempts::append_transcript(s, attempt, seq, entry, now))
    }

    async fn transcript(&self, attempt: AttemptId) -> Result<Vec<String>> {
        read!(self, "read a transcript", |s| attempts::transcript(s, attempt))
    }

    async fn reserve(&self, reservation: NewReservation, limits: SpendLimits) -> Result<Reserved> {
        write!(self, "reserve money", |s| spend::reserve(s, &reservation, &limits))
    }

    async fn settle(&self, id: ReservationId, usage: Usage, cost: NanoUsd, now: Timestamp) -> Result<()> {
        write!(self, "settle a reservation", |s| spend::settle(s, id, &usage, cost, now))
    }

    async fn settle_cut_off(&self, attempt: AttemptId, now: Timestamp) -> Result<u64> {
        write!(self, "settle what was cut off", |s| spend::settle_cut_off(s, attempt, now))
    }

    async fn spend_of_attempt(&self, attempt: AttemptId) -> Result<SpendTotals> {
        read!(self, "sum up an attempt's cost", |s| spend::of_attempt(s, attempt))
    }

    async fn spend_since(&self, since: Timestamp) -> Result<SpendTotals> {
        read!(self, "sum up the cost", |s| spend::since(s, since))
    }

    async fn spend_by(&self, by: SpendBy, span: SpendSpan) -> Result<Vec<SpendRow>> {
        read!(self, "sum up the cost by groups", |s| spend::by(s, by, span))
    }

    async fn open_spend(&self, span: SpendSpan, limit: u32) -> Result<Vec<OpenSpend>> {
        read!(self, "list calls that are not settled", |s| spend::open(s, span, limit))
    }

    async fn save_ticket(&self, ticket: &Ticket) -> Result<Ticket> {
        write!(self, "save a ticket", |s| proposals::save_ticket(s, ticket))
    }

    async fn ticket(&self, issue: IssueId) -> Result<Option<Ticket>> {
        read!(self, "read an issue's ticket", |s| proposals::ticket(s, issue))
    }

    async fn save_proposal(&self, proposal: &Proposal) -> Result<Proposal> {
        write!(self, "save a proposal", |s| proposals::save(s, proposal))
    }

    async fn set_proposal_state(&self, id: ProposalId, state: ProposalState, now: Timestamp) -> Result<()> {
        write!(self, "change a proposal", |s| proposals::set_state(s, id, state, now))
    }

    async fn proposal(&self, id: ProposalId) -> Result<Proposal> {
        read!(self, "read a proposal", |s| proposals::one(s, id))
    }

    async fn proposals(&self, issue: IssueId) -> Result<Vec<Proposal>> {
        read!(self, "list proposals", |s| proposals::of_issue(s, issue))
    }

    async fn open_local_ticket(&self, marker: &str, title: &str, body: &str, now: Timestamp) -> Result<i64> {
        write!(self, "open a local ticket", |s| local_tickets::open(s, marker, title, body, now))
    }

    async fn comment_local_ticket(&self, number: i64, comment: LocalComment) -> Result<()> {
        write!(self, "comment on a local ticket", |s| local_tickets::comment(s, number, &comment))
    }

    async fn local_ticket(&self, number: i64) -> Result<LocalTicket> {
        snapshot!(self, "read a local ticket", |s| local_tickets::one(s, number))
    }

    async fn overview(&self, now: Timestamp) -> Result<Overview> {
        snapshot!(self, "count what there is", |s| overview::overview(s, now))
    }

    async fn audit(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        detail: &str,
        now: Timestamp,
    ) -> Result<()> {
        write!(self, "write an audit row", |s| audit::append(s, actor, action, subject, detail, now))
    }

    async fn audit_entries(&self, limit: u32) -> Result<Vec<AuditEntry>> {
        read!(self, "list audit rows", |s| audit::entries(s, limit))
    }

    async fn verify_audit(&self) -> Result<bool> {
        snapshot!(self, "verify the audit chain", |s| audit::verify(s))
    }
}
