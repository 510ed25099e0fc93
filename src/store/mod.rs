//! What is durable: issues, occurrences, cursors, jobs and leases, attempts, transcripts, spend, tickets,
//! proposals, the pause switch and the audit chain.
//!
//! One trait, [`Store`], with two implementations: SQLite (one file, the embedded default) and PostgreSQL (a fleet).
//! Both are held to one story of tests. Nothing is acknowledged to anybody before it is committed here.

mod contract;
pub mod types;

pub use contract::Store;
pub use types::StoreError;
