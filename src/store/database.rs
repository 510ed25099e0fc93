//! The two databases behind one type: who gives out sessions, and how a transaction is tried.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::{PgPool, Postgres, SqlitePool, Transaction};
use tokio::task::AbortHandle;

use super::doubt;
use super::fault::Fault;
use super::nudge::Nudge;
use super::session::{Connection, Session};
use crate::base::backoff::Backoff;

/// Longer than any honest call; a server that vanished from the network never answers at all.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a transaction is tried that others get in the way of.
const MAX_TRIES: u32 = 8;

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    pools: Pools,
    pub(super) nudge: Arc<Nudge>,
    /// The task that listens for jobs queued by other processes.
    listener: Option<AbortHandle>,
}

#[derive(Debug)]
pub(super) enum Pools {
    Sqlite { writer: SqlitePool, reader: SqlitePool, mistrusted: Mistrusted },
    Postgres(PgPool),
}

/// Set when the connection that writes is to be made anew: one that was made while the disk was read-only stays so for ever.
pub(super) type Mistrusted = Arc<AtomicBool>;

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl Database {
    pub(super) fn new(pools: Pools, nudge: Arc<Nudge>, listener: Option<AbortHandle>) -> Self {
        Self { pools, nudge, listener }
    }

    /// A transaction that may write.
    pub(super) async fn begin(&self) -> Result<Session, Fault> {
        let connection = match &self.pools {
            // Immediate: the lock is taken now, where waiting for another process is allowed. A transaction that reads first and
            // writes later is refused instead.
            Pools::Sqlite { writer, .. } => Connection::Sqlite(writer.begin_with("begin immediate").await?),
            Pools::Postgres(pool) => Connection::Postgres(begin(pool, "begin").await?),
        };
        Ok(Session::new(connection))
    }

    /// A connection for one statement that reads.
    pub(super) async fn reader(&self) -> Result<Session, Fault> {
        let connection = match &self.pools {
            Pools::Sqlite { reader, .. } => Connection::SqliteReader(reader.acquire().await?),
            Pools::Postgres(pool) => Connection::PostgresReader(pool.acquire().await?),
        };
        Ok(Session::new(connection))
    }

    /// A transaction that reads, in which several statements see the same state.
    pub(super) async fn snapshot(&self) -> Result<Session, Fault> {
        let connection = match &self.pools {
            Pools::Sqlite { reader, .. } => Connection::Sqlite(reader.begin().await?),
            Pools::Postgres(pool) => {
                let statement = "begin isolation level repeatable read, read only";
                Connection::Postgres(begin(pool, statement).await?)
            }
        };
        Ok(Session::new(connection))
    }

    /// Commits, and nudges this process's workers if jobs were queued (other processes are told by the database).
    pub(super) async fn finish(&self, mut session: Session) -> Result<(), Fault> {
        let has_queued = session.has_queued;
        let traced = doubt::trace(&mut session).await?;
        if let Err(fault) = session.commit().await {
            let took_place = match (&self.pools, traced) {
                (Pools::Postgres(pool), Some(traced)) if fault.is_away() => {
                    doubt::took_place(pool, traced).await
                }
                (Pools::Sqlite { .. } | Pools::Postgres(_), _) => false,
            };
            if !took_place {
                return Err(fault);
            }
        }
        if has_queued {
            self.nudge.queued();
        }
        Ok(())
    }

    /// Makes the connection that writes anew after a failure that may be its own.
    pub(super) fn mistrust_after(&self, fault: &Fault) {
        if let Pools::Sqlite { mistrusted, .. } = &self.pools
            && fault.is_away()
        {
            mistrusted.store(true, Ordering::Relaxed);
        }
    }

    /// Runs a call under the deadline. SQLite answers or says that it is busy; it needs none.
    pub(super) async fn within_time<T>(
        &self,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        match &self.pools {
            Pools::Sqlite { .. } => call.await,
            Pools::Postgres(_) => {
                tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or(Err(Fault::TimedOut))
            }
        }
    }

    pub(super) async fn close_pools(&self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
        match &self.pools {
            // The writer last: the last connection to close folds the log file back into the database.
            Pools::Sqlite { writer, reader, mistrusted: _ } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Begins in a task of its own, which ends even when the caller does not wait for it: a `begin` that is cut off before its answer
/// would leave a connection in the pool with a transaction open that sqlx does not know of. The transaction of a task that nobody
/// waits for is dropped, which takes it back.
async fn begin(pool: &PgPool, statement: &'static str) -> Result<Transaction<'static, Postgres>, Fault> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    Ok(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
}

/// Counts the tries of one transaction.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Whether to try again after `fault`; waits a moment if so.
    pub(super) async fn again_after(&mut self, fault: &Fault) -> bool {
        self.0 += 1;
        if !fault.is_conflict() || self.0 >= MAX_TRIES {
            return false;
        }
        let backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(200));
        tokio::time::sleep(backoff.delay(self.0)).await;
        true
    }
}

/// Runs `$work` in a transaction of `$database` and commits it; tries again when other transactions get in the way.
macro_rules! write {
    ($database:expr, $action:literal, |$session:ident| $work:expr) => {{
        let mut tries = $crate::store::database::Tries::default();
        loop {
            let attempt = $database.within_time(async {
                let mut session = $database.begin().await?;
                let $session = &mut session;
                let value = $work.await?;
                $database.finish(session).await?;
                Ok(value)
            });
            match attempt.await {
                Ok(value) => break Ok(value),
                Err(fault) if tries.again_after(&fault).await => {}
                Err(fault) => {
                    $database.mistrust_after(&fault);
                    break Err(fault.at($action));
                }
            }
        }
    }};
}

/// Runs `$work`, one statement that reads.
macro_rules! read {
    ($database:expr, $action:literal, |$session:ident| $work:expr) => {
        $crate::store::database::read_with!($database, reader, $action, |$session| $work)
    };
}

/// Runs `$work`, several statements that read the same state.
macro_rules! snapshot {
    ($database:expr, $action:literal, |$session:ident| $work:expr) => {
        $crate::store::database::read_with!($database, snapshot, $action, |$session| $work)
    };
}

macro_rules! read_with {
    ($database:expr, $method:ident, $action:literal, |$session:ident| $work:expr) => {{
        let reading = $database.within_time(async {
            let mut session = $database.$method().await?;
            let $session = &mut session;
            let value = $work.await?;
            $database.finish(session).await?;
            Ok(value)
        });
        reading.await.map_err(|fault: $crate::store::fault::Fault| fault.at($action))
    }};
}

pub(super) use {read, read_with, snapshot, write};
