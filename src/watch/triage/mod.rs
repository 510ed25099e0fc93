//! What does an occurrence mean for its issue: cooldown, mute, storm, route. Pure.
//!
//! [`decide()`] is asked once per fingerprint and commit, not per line. It sees what is known of the issue (perhaps a
//! few seconds old: the store checks again when it queues the jobs) and never does more than rule and route allow.

mod decide;
mod storm;

pub use decide::{Facts, Known, Settings, Triaged, decide};
pub use storm::{STORM_TITLE, StormWindow, Storms};
