//! Whether a commit took place whose answer was lost.
//!
//! A connection to PostgreSQL that breaks between `commit` and its answer leaves two possibilities. To the caller both look like a
//! failure, and to count the same occurrences again would be wrong in one of them. The server remembers the end of every recent
//! transaction (<https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>), so it is asked.
//! SQLite has no such doubt: its commit answers within the process.

use std::time::Duration;

use sqlx::{Connection as _, PgPool};
use tracing::warn;

use super::fault::Fault;
use super::session::Session;
use crate::base::backoff::Backoff;

const CURRENT: &str = "-- current_transaction\nselect pg_current_xact_id()::text";
const STATUS: &str = "-- transaction_status\nselect pg_xact_status($1::text::xid8)";

/// A server that restarts is back within this many tries, of half a minute each at most.
const MAX_TRIES: u32 = 20;

/// The server's own number of a transaction.
#[derive(Debug)]
pub(super) struct Traced(String);

/// The number of this transaction, if it is one that must not be repeated on a guess.
pub(super) async fn trace(session: &mut Session) -> Result<Option<Traced>, Fault> {
    if !session.counts {
        return Ok(None);
    }
    let Some(connection) = session.postgres() else { return Ok(None) };
    Ok(Some(Traced(sqlx::query_scalar(CURRENT).fetch_one(connection).await?)))
}

/// Whether the transaction was committed. `false` if it was not, and also if nobody can say: the server stayed away.
pub(super) async fn took_place(pool: &PgPool, traced: Traced) -> bool {
    warn!("the database broke off while committing, asking it whether it did");
    let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
    for n_tries in 1..=MAX_TRIES {
        match status(pool, &traced).await {
            Ok(Some(status)) if status == "committed" => return true,
            // The connection is gone, but the server has not noticed yet.
            Ok(Some(status)) if status == "in progress" => {}
            Ok(_) => return false,
            Err(fault) if fault.is_away() => {}
            // A number from the future: the server crashed before it wrote anything of the transaction.
            Err(_) => return false,
        }
        tokio::time::sleep(backoff.delay(n_tries)).await;
    }
    false
}

/// Asks on a connection of its own: those of the pool may be as dead as the one that broke off.
async fn status(pool: &PgPool, traced: &Traced) -> Result<Option<String>, Fault> {
    let mut connection = sqlx::PgConnection::connect_with(&pool.connect_options()).await?;
    let status = sqlx::query_scalar(STATUS).bind(&traced.0).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(status)
}
