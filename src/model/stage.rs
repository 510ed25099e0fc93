//! The contract between the worker and the stages of healing.
//!
//! It stands here so that the worker knows no stage and no stage knows another: a stage returns the jobs that
//! follow, and the worker commits them together with its result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::job::{Job, JobKind, NewJob};
use crate::base::chain::Chain;
use crate::base::id::LeaseToken;
use crate::base::shutdown::Shutdown;

/// One kind of durable work. Running twice must be safe: a stage looks before it creates.
#[async_trait::async_trait]
pub trait Stage: Send + Sync {
    /// The jobs it runs.
    fn kind(&self) -> JobKind;

    /// Runs a leased job. Returns soon after `context.stop` is requested, with [`StageResult::Released`].
    async fn run(&self, context: StageContext) -> StageOutcome;

    /// Called under the lease, after `run`, when the job ends for good without being done: keeps what was paid for and names the jobs
    /// that tell people. They become durable together with the end. Soon, and safe to run again like `run`.
    async fn close(&self, context: &StageContext, end: &JobEnd) -> Vec<NewJob> {
        let _ = (context, end);
        Vec::new()
    }
}

/// How a job ends that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// No retry is left, or none would help: a person must.
    Dead { reason: String },
    /// A person wanted no more of it.
    Cancelled,
}

/// What a stage is given.
#[derive(Clone)]
pub struct StageContext {
    pub job: Job,
    /// Requested when the daemon stops, the job is cancelled, the pause switch is on, or the lease is lost.
    pub stop: Shutdown,
    pub progress: Arc<dyn Progress>,
}

impl fmt::Debug for StageContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageContext").field("job", &self.job).finish_non_exhaustive()
    }
}

/// What a stage leaves behind while it runs. Implemented by the worker over the store.
#[async_trait::async_trait]
pub trait Progress: Send + Sync {
    /// Shows a step on the page. `name` is constant, `detail` redacted. Failing to show it never fails the job.
    async fn step(&self, name: &'static str, detail: &str);

    /// The lease under which the job runs. What the stage writes for it elsewhere goes under it too, so that one that was lost writes
    /// nothing; `None` where nobody else can have the job.
    fn lease(&self) -> Option<LeaseToken> {
        None
    }

    /// Makes `state` (JSON of the stage's own) durable as the job's progress.
    async fn save(&self, state: &str) -> Result<(), ProgressError>;
}

/// The job's progress could not be made durable; the stage should stop and let the job be retried.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    #[error("the lease of the job was lost")]
    LeaseLost,
    #[error("failed to save the job's progress")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How a run ended, with the jobs that follow. Both become durable in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageOutcome {
    pub result: StageResult,
    pub next: Vec<NewJob>,
}

impl StageOutcome {
    /// Done, with one line for people and the jobs that follow.
    pub fn done(summary: impl Into<String>, next: Vec<NewJob>) -> Self {
        Self { result: StageResult::Done { summary: summary.into() }, next }
    }

    /// Try again later; `after` overrides the back-off (a server's `retry-after`).
    pub fn retry(reason: impl Into<String>, after: Option<Duration>) -> Self {
        Self { result: StageResult::Retry { reason: reason.into(), after }, next: Vec::new() }
    }

    /// No retry will help; a person must look.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { result: StageResult::Failed { reason: reason.into() }, next: Vec::new() }
    }

    /// Try again after this time; no failure.
    pub fn postponed(reason: impl Into<String>, after: Duration) -> Self {
        Self { result: StageResult::Postponed { reason: reason.into(), after }, next: Vec::new() }
    }

    /// Stopped on request before the end; the next lease goes on.
    pub const fn released() -> Self {
        Self { result: StageResult::Released, next: Vec::new() }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageResult {
    Done {
        summary: String,
    },
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    Failed {
        reason: String,
    },
    /// What the job needs is away, at no fault of the job's: again after this time, as if it had not been leased.
    Postponed {
        reason: String,
        after: Duration,
    },
    Released,
}

/// Why a stage cannot go on, as its steps report it with `?`: every adapter's error becomes one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// The same step may succeed later; `after` is what the other side asked for.
    Retry { reason: String, after: Option<Duration> },
    /// A person must do something first.
    Failed { reason: String },
    /// Something outside is away and will be back; waiting for it is no failure, however long it takes.
    Postponed { reason: String, after: Duration },
    /// The stage was asked to stop, or its lease is lost.
    Released,
}

impl From<Setback> for StageOutcome {
    fn from(setback: Setback) -> Self {
        match setback {
            Setback::Retry { reason, after } => Self::retry(reason, after),
            Setback::Failed { reason } => Self::failed(reason),
            Setback::Postponed { reason, after } => Self::postponed(reason, after),
            Setback::Released => Self::released(),
        }
    }
}

impl From<ProgressError> for Setback {
    fn from(error: ProgressError) -> Self {
        match error {
            ProgressError::LeaseLost => Self::Released,
            ProgressError::Store(_) => Self::Retry { reason: Chain(&error).to_string(), after: None },
        }
    }
}
