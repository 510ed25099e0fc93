//! Lines to records: one small machine per runtime, one joiner per stream.
//!
//! [`Joiner`] takes the lines of one stream in order and gives back [`crate::model::record::Record`]s: whole stack
//! traces, and single lines that the scanner marked. It reads no clock, keeps no more than its [`Limits`] allow, and
//! is a pure function of the lines and their own times, so that a replay after a crash joins as the first run did.
//! What a trace means is not its business: that is `watch/fingerprint`.

mod at;
mod beam;
mod block;
mod callstack;
mod ending;
mod go;
mod joiner;
mod line;
mod machine;
mod native;
pub mod peel;
mod python;
mod ruby;
mod rust;
mod script;
pub mod shape;
mod steps;
#[cfg(test)]
mod tests;

pub use ending::{Ending, Following};
pub use joiner::{Joiner, Line, plain};
pub use line::Seen;
pub use steps::{LineStep, Taken, steps};

use std::time::Duration;

use crate::base::clock::Timestamp;

/// Bounds of a [`Joiner`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lines kept of one record; what comes after is counted to the record but left out, and the record is marked.
    pub max_lines: u32,
    /// Bytes kept of one record, line breaks included.
    pub max_bytes: usize,
    /// A record ends when so much time lies between two lines, by their own times. Whether a stream is silent now, its source says.
    pub timeout: Duration,
    /// Lines that may wait for the line that decides whether they belong to a trace.
    pub look_back: usize,
    /// The same for the message of an exception named with its package: those of tests' assertions are hundreds of
    /// lines long.
    pub long_message: usize,
}

impl Limits {
    /// Whether more time lies between two lines than the time-out. Lines without times of their own are never parted: that one comes
    /// late says nothing of when it was logged.
    pub fn part(&self, before: Option<Timestamp>, after: Option<Timestamp>) -> bool {
        let (Some(before), Some(after)) = (before, after) else { return false };
        before.saturating_add(self.timeout).is_ok_and(|end| after > end)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_lines: 4000,
            max_bytes: 256 * 1024,
            timeout: Duration::from_secs(2),
            look_back: 64,
            long_message: 2000,
        }
    }
}
