//! One lease: the stage in a task of its own, heartbeats beside it, one completion at its end.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use tokio::task::JoinError;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Settings;
use super::progress::StoreProgress;
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::markdown::{cap_chars, one_line};
use crate::base::shutdown::Shutdown;
use crate::model::job::{Heartbeat, Job, JobKind, Lease};
use crate::model::stage::{JobEnd, Stage, StageContext, StageOutcome, StageResult};
use crate::store::{Store, StoreError};

/// Longest reason kept with a job, in characters.
const MAX_REASON_CHARS: usize = 2_000;

/// The longest a server's `retry-after` is believed.
const MAX_ASKED_WAIT: Duration = Duration::from_secs(2 * 3600);

/// What runs leases; shared by the lanes.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) store: Arc<dyn Store>,
    pub(super) stages: StageTable,
    pub(super) clock: SharedClock,
    pub(super) owner: String,
    pub(super) settings: Settings,
}

/// The stage of each kind.
pub(super) struct StageTable(BTreeMap<JobKind, Arc<dyn Stage>>);

impl StageTable {
    pub(super) fn new(stages: Vec<Arc<dyn Stage>>) -> Self {
        Self(stages.into_iter().map(|stage| (stage.kind(), stage)).collect())
    }
}

impl fmt::Debug for StageTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How a run of a stage came to its end.
enum Ended {
    Outcome(StageOutcome),
    Panicked(String),
    /// It did not stop in time and was dropped where it stood.
    Overdue,
}

impl Runner {
    /// The next job that is due.
    pub(super) async fn lease(&self, kinds: &[JobKind]) -> Result<Option<Lease>, StoreError> {
        self.store.lease(kinds, &self.owner, self.clock.now(), self.settings.lease_ttl).await
    }

    /// Runs the job to an end and commits it.
    pub(super) async fn run(&self, lease: Lease, stop: Shutdown) {
        let kind = lease.job.kind();
        let started = Instant::now();
        gauge!("homeostat_jobs_running", "kind" => kind.name()).increment(1.0);
        let left = lease.expires_at.duration_since(self.clock.now());
        let expires = started + Duration::try_from(left).unwrap_or(Duration::ZERO);
        let mut hold = Hold { expires, is_lost: Arc::default(), is_cancelled: false };
        let context = self.context(&lease, &stop, &hold);
        let outcome = self.outcome_of(&lease, &context, &stop, &mut hold).await;
        let result = if hold.is_lost() {
            tracing::warn!(job = %lease.job.id, kind = kind.name(), "the lease was lost, nothing is written");
            "lost"
        } else {
            let outcome = self.closed(context, outcome, hold.is_cancelled).await;
            self.complete(&lease, outcome, hold.expires).await
        };
        gauge!("homeostat_jobs_running", "kind" => kind.name()).decrement(1.0);
        counter!("homeostat_jobs_total", "kind" => kind.name(), "result" => result).increment(1);
        histogram!("homeostat_job_seconds", "kind" => kind.name()).record(started.elapsed().as_secs_f64());
    }

    fn context(&self, lease: &Lease, stop: &Shutdown, hold: &Hold) -> StageContext {
        let progress = StoreProgress {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            job: lease.job.id,
            token: lease.token,
            stop: stop.clone(),
            is_lost: Arc::clone(&hold.is_lost),
        };
        StageContext { job: lease.job.clone(), stop: stop.clone(), progress: Arc::new(progress) }
    }

    async fn outcome_of(
        &self,
        lease: &Lease,
        context: &StageContext,
        stop: &Shutdown,
        hold: &mut Hold,
    ) -> StageOutcome {
        let job = &lease.job;
        if job.n_leases > self.settings.max_leases {
            return StageOutcome::failed(format!("leased {} times without an end", job.n_leases));
        }
        let Some(stage) = self.stages.0.get(&job.kind()).cloned() else {
            return StageOutcome::released();
        };
        let context = context.clone();
        // A task of its own: a stage that computes for long must not hold up its heartbeats.
        let mut run = AbortOnDropHandle::new(tokio::spawn(async move { stage.run(context).await }));
        match self.watch(lease, &mut run, stop, hold).await {
            Ended::Outcome(outcome) => outcome,
            Ended::Overdue => {
                tracing::warn!(job = %job.id, kind = job.kind().name(), "a stage did not stop in time and was dropped");
                StageOutcome::released()
            }
            Ended::Panicked(text) => {
                tracing::error!(job = %job.id, kind = job.kind().name(), "a stage panicked");
                counter!("homeostat_stage_panics_total", "kind" => job.kind().name()).increment(1);
                StageOutcome::retry(format!("the stage panicked: {text}"), None)
            }
        }
    }

    /// The outcome with what its stage has to say where it is the end of a job that is not done.
    async fn closed(
        &self,
        context: StageContext,
        mut outcome: StageOutcome,
        is_cancelled: bool,
    ) -> StageOutcome {
        let job = &context.job;
        let is_dead = self.verdict(job, &outcome.result, self.clock.now()).1 == DEAD;
        let end = match &outcome.result {
            StageResult::Done { .. } => return outcome,
            StageResult::Retry { .. }
            | StageResult::Failed { .. }
            | StageResult::Postponed { .. }
            | StageResult::Released
                if is_cancelled =>
            {
                JobEnd::Cancelled
            }
            StageResult::Retry { reason, .. } | StageResult::Failed { reason } if is_dead => {
                JobEnd::Dead { reason: reason.clone() }
            }
            StageResult::Retry { .. }
            | StageResult::Failed { .. }
            | StageResult::Postponed { .. }
            | StageResult::Released => return outcome,
        };
        let Some(stage) = self.stages.0.get(&job.kind()).cloned() else { return outcome };
        let (id, kind) = (job.id, job.kind().name());
        let close = AbortOnDropHandle::new(tokio::spawn(async move { stage.close(&context, &end).await }));
        match timeout(self.settings.stop_grace, close).await {
            Ok(Ok(next)) => outcome.next.extend(next),
            Ok(Err(error)) => {
                tracing::error!(job = %id, kind, error = %Chain(&error), "a stage panicked at the end of a job");
            }
            Err(_) => tracing::warn!(job = %id, kind, "a stage did not close a job in time"),
        }
        outcome
    }

    /// Extends the lease until the stage ends, hands down what the heartbeats say, and bounds the time after a stop.
    async fn watch(
        &self,
        lease: &Lease,
        run: &mut AbortOnDropHandle<StageOutcome>,
        stop: &Shutdown,
        hold: &mut Hold,
    ) -> Ended {
        let every = self.settings.heartbeat_every.max(Duration::from_millis(1));
        let mut beats = interval_at(Instant::now() + every, every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut deadline: Option<Instant> = None;
        loop {
            tokio::select! {
                biased;
                ended = &mut *run => return ended.map_or_else(panic_of, Ended::Outcome),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    run.abort();
                    return Ended::Overdue;
                }
                () = stop.requested(), if deadline.is_none() => {
                    deadline = Some(Instant::now() + self.settings.stop_grace);
                }
                _ = beats.tick() => self.beat(lease, stop, hold).await,
            }
        }
    }

    async fn beat(&self, lease: &Lease, stop: &Shutdown, hold: &mut Hold) {
        if hold.is_lost() {
            return;
        }
        let (job, ttl) = (lease.job.id, self.settings.lease_ttl);
        let asked_at = Instant::now();
        let beat = self.store.heartbeat(job, lease.token, self.clock.now(), ttl);
        match timeout(self.settings.heartbeat_every.max(Duration::from_secs(1)), beat).await {
            Ok(Ok(Heartbeat::Extended)) => hold.expires = asked_at + ttl,
            Ok(Ok(beat @ (Heartbeat::CancelRequested | Heartbeat::Paused))) => {
                hold.expires = asked_at + ttl;
                hold.is_cancelled |= beat == Heartbeat::CancelRequested;
                stop.request();
            }
            Ok(Ok(Heartbeat::Lost) | Err(StoreError::LeaseLost { .. })) => hold.lose(stop),
            Ok(Err(error)) => {
                tracing::warn!(%job, error = %Chain(&error), "a heartbeat failed");
                hold.lose_if_expired(stop);
            }
            Err(_) => {
                tracing::warn!(%job, "a heartbeat took too long");
                hold.lose_if_expired(stop);
            }
        }
    }

    /// Commits the outcome, again and again while the lease holds and the store is away. Gives the result's name.
    async fn complete(&self, lease: &Lease, outcome: StageOutcome, expires: Instant) -> &'static str {
        let now = self.clock.now();
        let job = &lease.job;
        let outcome = StageOutcome { result: capped(outcome.result), ..outcome };
        let (retry_at, name) = self.verdict(job, &outcome.result, now);
        for n_failures in 1.. {
            let Err(error) =
                self.store.complete(job.id, lease.token, outcome.clone(), retry_at, self.clock.now()).await
            else {
                return name;
            };
            let delay = COMPLETE_BACKOFF.delay(n_failures);
            if matches!(error, StoreError::LeaseLost { .. }) {
                tracing::warn!(job = %job.id, "the lease was lost before the outcome was committed");
                return "lost";
            }
            if !error.is_transient() || Instant::now() + delay >= expires {
                tracing::error!(job = %job.id, error = %Chain(&error), "a job's outcome could not be committed, it will run again");
                return "uncommitted";
            }
            tracing::warn!(job = %job.id, error = %Chain(&error), "committing a job's outcome failed, will try again");
            tokio::time::sleep(delay).await;
        }
        name
    }

    /// When a retry is due, and the name of the result in metrics.
    fn verdict(&self, job: &Job, result: &StageResult, now: Timestamp) -> (Option<Timestamp>, &'static str) {
        match result {
            StageResult::Done { .. } => (None, "done"),
            StageResult::Failed { .. } => (None, DEAD),
            StageResult::Released => (None, "released"),
            StageResult::Retry { after, .. } => {
                let n_failures = job.n_failures.saturating_add(1);
                if n_failures >= self.settings.max_failures_of(job.kind()) {
                    return (None, DEAD);
                }
                let delay = after.unwrap_or_else(|| self.settings.backoff.delay(n_failures));
                (Some(later(now, delay)), "retried")
            }
            StageResult::Postponed { after, .. } => (Some(later(now, *after)), "postponed"),
        }
    }
}

/// No server's wish is believed beyond [`MAX_ASKED_WAIT`].
fn later(now: Timestamp, delay: Duration) -> Timestamp {
    let delay =
        jiff::SignedDuration::try_from(delay.min(MAX_ASKED_WAIT)).unwrap_or(jiff::SignedDuration::MAX);
    now.saturating_add(delay).unwrap_or(Timestamp::MAX)
}

/// The name, in metrics, of a job's end that no retry follows.
const DEAD: &str = "dead";

const COMPLETE_BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// How far the right to write reaches.
struct Hold {
    /// By this process's clock; never later than the store's own.
    expires: Instant,
    /// Shared with the stage's progress, which then writes nothing more either.
    is_lost: Arc<AtomicBool>,
    /// Whether a person wants no more of the job.
    is_cancelled: bool,
}

impl Hold {
    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn lose(&self, stop: &Shutdown) {
        self.is_lost.store(true, Ordering::Relaxed);
        stop.request();
    }

    fn lose_if_expired(&self, stop: &Shutdown) {
        if Instant::now() >= self.expires {
            self.lose(stop);
        }
    }
}

fn panic_of(error: JoinError) -> Ended {
    if !error.is_panic() {
        return Ended::Overdue;
    }
    let payload = error.into_panic();
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    Ended::Panicked(cap_chars(&one_line(&text.unwrap_or_else(|| "without a text".to_owned())), 300))
}

fn capped(result: StageResult) -> StageResult {
    let cap = |text: String| cap_chars(&text, MAX_REASON_CHARS);
    match result {
        StageResult::Done { summary } => StageResult::Done { summary: cap(summary) },
        StageResult::Retry { reason, after } => StageResult::Retry { reason: cap(reason), after },
        StageResult::Failed { reason } => StageResult::Failed { reason: cap(reason) },
        StageResult::Postponed { reason, after } => StageResult::Postponed { reason: cap(reason), after },
        StageResult::Released => StageResult::Released,
    }
}
