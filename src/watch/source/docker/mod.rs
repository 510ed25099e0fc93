//! Containers of a Docker engine, read over its API.
//!
//! [`run`] finds containers by the engine's events and by its list, and gives each a follower that reads its log from the committed
//! cursor on. It outlives restarts of containers and of the engine.

mod follow;
mod lines;
mod reading;
mod select;
mod watcher;

pub use select::Patterns;
pub use watcher::{DockerError, Settings, check, run};
