//! What is durable: issues, occurrences, cursors, jobs and leases, attempts, transcripts, spend, tickets,
//! proposals, the pause switch and the audit chain.
//!
//! One trait, [`Store`], with two implementations: SQLite (one file, the embedded default) and PostgreSQL (a fleet).
//! Both are held to one story of tests (`tests/it/store`). Nothing is acknowledged to anybody before it is committed here.
//!
//! # How it is built
//!
//! [`open()`] gives a [`Store`]. Each of its calls is one transaction in a *session* of either database, which `tables` fills with
//! statements: most are one text for both (SQLite reads `$1` too), a few are two ([`Sql`]). Many rows go in as one JSON array, so
//! that a commit costs a handful of round trips. A transaction that others get in the way of (a deadlock, a busy file) is tried
//! again here; what stays is a [`StoreError`] that says whether the database is away or the call can never be right.
//!
//! SQLite has one connection that writes and several that read (WAL); other processes may use the file at the same time. PostgreSQL
//! tells the workers of all processes of new jobs; the one task that listens for it is the store's own and ends with it.
//!
//! # Tables
//!
//! Times are microseconds since 1970 UTC, ids UUIDv7, hashes 32 bytes, money nano-dollars; JSON columns carry a version (`blob`).
//! Migrations have the same numbers in `migrations/sqlite` and `migrations/postgres` and are only ever added.
//!
//! | table | one row per | notes |
//! |---|---|---|
//! | `issues` | service and identity | state, count, first and last seen; `title_folded` is for searching |
//! | `aliases` | fingerprint that counts for the issue of another | one in force per service and fingerprint; those taken back stay |
//! | `dismissals` | suggestion nobody wants to see | |
//! | `minutes` | issue and minute with occurrences | |
//! | `samples` | kept record | the first three and the newest seventeen of an issue |
//! | `timeline` | line of an issue's story | written with the change it tells of |
//! | `cursors` | stream | committed with everything read before it |
//! | `gaps` | known loss | |
//! | `deliveries` | outside delivery | its key; a second one with it is left out |
//! | `jobs` | durable step | unique key; lease token and expiry while it runs |
//! | `steps` | visible step of a job | |
//! | `attempts` | try of the agent | one number per issue |
//! | `transcript` | entry of an attempt | numbered without holes |
//! | `spend` | model call | reserved, settled, or unsettled when cut off; refers to nothing, so that money is never lost with it |
//! | `tickets`, `proposals` | thing at a tracker, a forge | one per issue and tracker, one per attempt |
//! | `local_tickets`, `local_comments` | ticket of the local tracker, comment | |
//! | `audit` | change by somebody | chained by blake3; the head of the chain stands in `meta` too |
//! | `meta` | thing there is one of | instance id, first run, pause switch, and rows that are locked to take turns |
//!
//! # Invariants
//!
//! Each is a test of that name in `tests/it/store`, on both databases.
//!
//! - **Invariant:** a commit that is cut off is whole or nothing.
//! - **Invariant:** merged issues count as one and unmerged ones apart.
//! - **Invariant:** a commit whose answer is lost is not lost and not repeated.
//! - **Invariant:** watchers that commit the same issues add up.
//! - **Invariant:** each job runs exactly once.
//! - **Invariant:** reservers at the same time never pass a limit.
//! - **Invariant:** the audit chain shows what was changed.

mod blob;
mod contract;
mod database;
mod doubt;
mod fault;
mod implementation;
mod look;
mod nudge;
mod open;
mod session;
mod statement;
mod tables;
pub mod types;
mod value;

pub use contract::Store;
pub use look::{Look, look};
pub use open::{Settings, open};
pub use statement::Sql;
pub use tables::statements;
pub use types::StoreError;
