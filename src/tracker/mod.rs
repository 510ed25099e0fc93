//! Tickets: GitHub Issues and the local tracker.
//!
//! One trait, [`Tracker`]: find by marker, open, comment, reopen. Every text a tracker is given is already safe
//! Markdown; every ticket and comment carries a marker, by which it is found again, so that opening twice is looking
//! twice.

mod contract;
mod github;
mod local;

pub use contract::{NewTicket, Place, TicketRef, Tracker, TrackerError};
pub use github::{GitHubTracker, Settings};
pub use local::LocalTracker;
