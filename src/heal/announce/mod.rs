//! Stage: tell people what happened, through every messenger.
//!
//! Remembers after each messenger that it has been told: a crash repeats at most one message, and a messenger that
//! is away does not make the others hear it twice.

mod stage;

pub use stage::{AnnounceParts, AnnounceStage};
