//! One story, run on SQLite and on PostgreSQL.
//!
//! A story is a function of an open [`Db`]; `stories!` makes two tests of each. The databases are real: a file in a folder of its own,
//! and a database of its own on the test server.

/// Databases to tell stories on, and values to tell them with.
pub(crate) mod given;

/// Fingerprints that count for the issue of another.
mod aliases;
/// Occurrences, cursors, gaps and deliveries.
mod commit;
/// Many at the same time, in one process and in several.
mod crowd;
/// A commit whose answer is lost.
mod doubt;
/// Attempts, transcripts, tickets, proposals.
mod healing;
/// Issues and what people do to them.
mod issues;
/// Money.
mod money;
/// Opening: new, again, by two at once, from the future.
mod opening;
/// Leases and everything that ends them.
mod queue;
/// Every statement on both databases.
mod statements;
