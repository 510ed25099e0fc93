//! How many files may be open at once.
//!
//! A process may open only so many, and the database and the network want their part. When more files are followed than may be open, each
//! is closed as soon as it was read to its end, and opened again at its place when it has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

/// No more than this are open, whatever the system allows.
const MAX_OPEN: usize = 4096;

/// What the system is held to allow where it does not say.
const ORDINARY_LIMIT: u64 = 1024;

/// Files that may be open at the same time.
#[derive(Debug)]
pub(super) struct Budget {
    free: Arc<Semaphore>,
    n_open: usize,
    is_told: AtomicBool,
}

impl Budget {
    /// Half of what the system allows this process.
    pub(super) fn of_system() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let half = usize::try_from(limit.unwrap_or(ORDINARY_LIMIT) / 2).unwrap_or(MAX_OPEN);
        Self::new(half.clamp(1, MAX_OPEN))
    }

    pub(super) fn new(n_open: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(n_open)), n_open, is_told: AtomicBool::new(false) }
    }

    /// The right to have a file open; waits for another to be closed. `None` never comes: the semaphore is not closed.
    pub(super) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Whether others may wait for a file to be closed. Says so once.
    pub(super) fn is_short(&self) -> bool {
        let is_short = self.free.available_permits() == 0;
        if is_short && !self.is_told.swap(true, Ordering::Relaxed) {
            warn!(
                limit = self.n_open,
                "more files are followed than may be open, closing those that are quiet"
            );
        }
        is_short
    }
}
