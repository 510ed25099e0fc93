//! Containers of a Docker engine.
//!
//! [`run`] finds containers by the engine's events and by its list, and gives each a follower that reads its log from the committed
//! cursor on: straight from the engine's own file where that can be read, else over the API. It outlives restarts of containers and of
//! the engine.

mod follow;
mod follow_file;
pub mod lines;
mod log_file;
mod log_plan;
mod reading;
mod select;
pub(crate) mod stamp;
mod watcher;
pub(crate) mod written;

pub use select::Patterns;
pub use watcher::{DockerError, Settings, check, run};
