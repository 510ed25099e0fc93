//! The loop: permit, then lease, then spawn.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Settings;
use super::lease::{Runner, StageTable};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::shutdown::Shutdown;
use crate::model::job::JobKind;
use crate::model::stage::Stage;
use crate::store::Store;

/// What a worker is made of.
pub struct WorkerParts {
    pub store: Arc<dyn Store>,
    /// One per kind of job; jobs of other kinds are left to other workers.
    pub stages: Vec<Arc<dyn Stage>>,
    pub clock: SharedClock,
    /// Who holds the leases, for people: host name and process id.
    pub owner: String,
    pub settings: Settings,
}

impl fmt::Debug for WorkerParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerParts")
            .field("owner", &self.owner)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The worker of this process.
#[derive(Debug)]
pub struct Worker;

impl Worker {
    /// Runs jobs until `shutdown`; then leases nothing more, asks the running stages to stop, waits for them at most
    /// `stop_grace`, and returns when every lease is finished or released.
    pub async fn run(parts: WorkerParts, shutdown: Shutdown) {
        let kinds: Vec<JobKind> = parts.stages.iter().map(|stage| stage.kind()).collect();
        let (fixes, short): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|kind| *kind == JobKind::Fix);
        let runner = Arc::new(Runner {
            store: parts.store,
            stages: StageTable::new(parts.stages),
            clock: parts.clock,
            owner: parts.owner,
            settings: parts.settings,
        });
        let short = Lane { kinds: short, n_at_once: runner.settings.n_short };
        let fixes = Lane { kinds: fixes, n_at_once: runner.settings.n_fixes };
        tokio::join!(short.run(&runner, &shutdown), fixes.run(&runner, &shutdown));
    }
}

/// Kinds of jobs that share permits, so that the jobs of one lane never wait behind those of another.
struct Lane {
    kinds: Vec<JobKind>,
    n_at_once: usize,
}

/// How long a lane waits after the store failed.
const STORE_BACKOFF: Backoff =
    Backoff::new(std::time::Duration::from_millis(200), std::time::Duration::from_secs(10));

impl Lane {
    async fn run(self, runner: &Arc<Runner>, shutdown: &Shutdown) {
        if self.kinds.is_empty() || self.n_at_once == 0 {
            return;
        }
        let permits = Arc::new(Semaphore::new(self.n_at_once));
        let mut running = JoinSet::new();
        let mut n_failures = 0;
        while !shutdown.is_requested() {
            while let Some(ended) = running.try_join_next() {
                note_end(ended);
            }
            let permit = tokio::select! {
                () = shutdown.requested() => break,
                permit = Arc::clone(&permits).acquire_owned() => permit.expect("the semaphore is never closed"),
            };
            // Not inside a select: a lease that was granted and dropped would block its job until it expires.
            match runner.lease(&self.kinds).await {
                Ok(Some(lease)) => {
                    n_failures = 0;
                    let (runner, stop) = (Arc::clone(runner), shutdown.child());
                    running.spawn(async move {
                        runner.run(lease, stop).await;
                        drop(permit);
                    });
                }
                Ok(None) => {
                    n_failures = 0;
                    drop(permit);
                    tokio::select! {
                        () = shutdown.requested() => break,
                        () = runner.store.job_nudge(runner.settings.poll_every) => {}
                    }
                }
                Err(error) => {
                    n_failures += 1;
                    // Told once: the database may be away for hours.
                    if n_failures == 1 {
                        tracing::warn!(error = %Chain(&error), "leasing a job failed, will try again");
                    } else {
                        tracing::debug!(error = %Chain(&error), n_failures, "leasing a job failed again");
                    }
                    shutdown.sleep(STORE_BACKOFF.delay(n_failures)).await;
                }
            }
        }
        while let Some(ended) = running.join_next().await {
            note_end(ended);
        }
    }
}

/// A run catches what its stage does; only a bug of the worker itself ends it otherwise. The lease then expires.
fn note_end(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(error = %Chain(&error), "a job's run ended by a bug of the worker");
    }
}
