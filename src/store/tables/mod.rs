//! What the calls do, table by table: statements, row structs and the steps between them.
//!
//! Functions here run inside a session that is given to them and know neither which database it is nor when it commits.

pub(super) mod aliases;
pub(super) mod attempts;
pub(super) mod audit;
pub(super) mod commit;
pub(super) mod events;
pub(super) mod evidence;
pub(super) mod issues;
pub(super) mod jobs;
pub(super) mod local_tickets;
pub(super) mod merges;
pub(super) mod meta;
pub(super) mod overview;
pub(super) mod proposals;
pub(super) mod queue;
pub(super) mod spend;
pub(super) mod stories;
pub(super) mod streams;

use super::statement::Sql;

/// Every statement of the store, so that a test can prepare and explain them all.
pub fn statements() -> Vec<Sql> {
    [
        aliases::STATEMENTS,
        attempts::STATEMENTS,
        audit::STATEMENTS,
        commit::STATEMENTS,
        evidence::STATEMENTS,
        issues::STATEMENTS,
        jobs::STATEMENTS,
        local_tickets::STATEMENTS,
        merges::STATEMENTS,
        meta::STATEMENTS,
        overview::STATEMENTS,
        proposals::STATEMENTS,
        queue::STATEMENTS,
        spend::STATEMENTS,
        stories::STATEMENTS,
        streams::STATEMENTS,
    ]
    .concat()
}
