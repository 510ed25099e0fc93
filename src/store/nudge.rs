//! Tells whoever waits for jobs that one may have been queued, in this process or, on PostgreSQL, in another.
//!
//! A hint, never a promise: a worker that misses it finds the job at its next look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::base::backoff::Backoff;
use crate::base::chain::Chain;

const CHANNEL: &str = "homeostat_jobs";
/// Sent inside the transaction that queues: delivered when it commits.
pub(super) const NOTIFY: &str = "-- notify_jobs\nnotify homeostat_jobs";

/// Counts what was queued, and remembers up to where a look at the queue found nothing, so that a job queued between that look
/// and the wait is not slept over.
#[derive(Debug)]
pub(super) struct Nudge {
    n_queued: watch::Sender<u64>,
    found_nothing_at: AtomicU64,
}

impl Nudge {
    pub(super) fn new() -> Self {
        Self { n_queued: watch::Sender::new(0), found_nothing_at: AtomicU64::new(0) }
    }

    /// A job may have been queued.
    pub(super) fn queued(&self) {
        self.n_queued.send_modify(|n_queued| *n_queued += 1);
    }

    /// What had been queued before a look at the queue.
    pub(super) fn before_look(&self) -> u64 {
        *self.n_queued.borrow()
    }

    /// The look that began at `before_look` found nothing to run.
    pub(super) fn found_nothing(&self, before_look: u64) {
        self.found_nothing_at.fetch_max(before_look, Ordering::Relaxed);
    }

    /// Waits until more has been queued than at the last look that found nothing.
    pub(super) async fn wait(&self, at_most: Duration) {
        let found_nothing_at = self.found_nothing_at.load(Ordering::Relaxed);
        let mut n_queued = self.n_queued.subscribe();
        let more = n_queued.wait_for(|n_queued| *n_queued > found_nothing_at);
        // Either end is as good: the caller looks again.
        let _ = tokio::time::timeout(at_most, more).await;
    }
}

/// Turns PostgreSQL's notifications into nudges, for as long as the task lives. Reconnects by itself.
pub(super) async fn listen(pool: PgPool, nudge: Arc<Nudge>) {
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    let mut n_failures = 0;
    loop {
        match follow(&pool, &nudge, &mut n_failures).await {
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => {
                n_failures += 1;
                let delay = backoff.delay(n_failures);
                if n_failures == 1 {
                    warn!(error = %Chain(&error), "not told of new jobs by the database, will look now and then");
                } else {
                    debug!(error = %Chain(&error), n_failures, "still not told of new jobs by the database");
                }
                tokio::time::sleep(delay).await;
            }
            Ok(never) => match never {},
        }
    }
}

async fn follow(
    pool: &PgPool,
    nudge: &Nudge,
    n_failures: &mut u32,
) -> Result<std::convert::Infallible, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        *n_failures = 0;
        // Something may have been queued before the first LISTEN or while the connection was away (`None`).
        nudge.queued();
        listener.try_recv().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_job_queued_between_look_and_wait_is_not_slept_over() {
        let nudge = Nudge::new();
        let start = tokio::time::Instant::now();
        let look = nudge.before_look();
        nudge.queued();
        nudge.found_nothing(look);
        nudge.wait(LONG).await;
        assert_eq!(start.elapsed(), Duration::ZERO);

        nudge.found_nothing(nudge.before_look());
        nudge.wait(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(5));

        tokio::join!(nudge.wait(LONG), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            nudge.queued();
        });
        assert_eq!(start.elapsed(), Duration::from_secs(6));
    }
}
