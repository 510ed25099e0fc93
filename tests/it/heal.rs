//! Worker and stages: tickets, proposals, notices.
//!
//! The store is real SQLite, git is real, GitHub is the strict scripted one.

/// A store with an issue, stages over real adapters, a worker that runs them.
mod given;

/// Slack and webhooks.
mod announce;
/// Pushing and merging.
mod forge;
/// Killed between any two requests: one ticket, one branch, one proposal.
mod kill;
/// What the diff policy holds back, and that an issue has one open proposal.
mod policy;
/// From the ticket to the merge at the local forge, and everything that is refused on the way.
mod stages;
/// GitHub Issues through the real client.
mod tracker;
/// Leases, retries, panics, pauses, stops.
mod worker;
