//! Files that something writes lines to.
//!
//! [`run`] finds the files that patterns name and follows each by its path, through rotation by renaming, by copying, and
//! in the time while homeostat was away.

mod budget;
mod buffer;
mod folder;
pub(super) mod name;
mod paths;
pub(super) mod reader;
pub(super) mod rotation;
mod tail;
mod watcher;

pub use paths::{InvalidPattern, Patterns};
pub use rotation::rotated;
pub use watcher::{Settings, run};
