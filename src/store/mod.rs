//! What is durable: issues, occurrences, cursors, jobs and leases, attempts, transcripts, spend, tickets,
//! proposals, the pause switch and the audit chain.
//!
//! One trait, [`Store`], with two implementations: SQLite (one file, the embedded default) and PostgreSQL (a fleet).
//! Both are held to one story of tests. Nothing is acknowledged to anybody before it is committed here.

mod blob;
mod contract;
mod database;
mod fault;
mod implementation;
mod nudge;
mod open;
mod session;
mod statement;
mod tables;
pub mod types;
mod value;

pub use contract::Store;
pub use open::{Settings, open};
pub use statement::Sql;
pub use tables::statements;
pub use types::StoreError;
