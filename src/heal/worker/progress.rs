//! What a stage leaves behind while it runs, over the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::chain::Chain;
use crate::base::clock::SharedClock;
use crate::base::id::{JobId, LeaseToken};
use crate::base::shutdown::Shutdown;
use crate::model::stage::{Progress, ProgressError};
use crate::store::{Store, StoreError};

/// Progress of one leased job.
#[derive(Debug)]
pub(super) struct StoreProgress {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: SharedClock,
    pub(super) job: JobId,
    pub(super) token: LeaseToken,
    /// Requested when a write shows that the lease is lost: the stage is told before its next heartbeat.
    pub(super) stop: Shutdown,
    /// Set by whoever first sees that the lease is lost.
    pub(super) is_lost: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Progress for StoreProgress {
    async fn step(&self, name: &'static str, detail: &str) {
        if self.is_lost.load(Ordering::Relaxed) {
            return;
        }
        tracing::debug!(job = %self.job, step = name, "a job took a step");
        if let Err(error) = self.store.add_step(self.job, self.clock.now(), name, detail).await {
            tracing::warn!(job = %self.job, error = %Chain(&error), "a step could not be shown");
        }
    }

    fn lease(&self) -> Option<LeaseToken> {
        Some(self.token)
    }

    async fn save(&self, state: &str) -> Result<(), ProgressError> {
        match self.store.save_progress(self.job, self.token, state, self.clock.now()).await {
            Ok(()) => Ok(()),
            Err(StoreError::LeaseLost { .. }) => {
                self.is_lost.store(true, Ordering::Relaxed);
                self.stop.request();
                Err(ProgressError::LeaseLost)
            }
            Err(error) => Err(ProgressError::Store(Box::new(error))),
        }
    }
}
