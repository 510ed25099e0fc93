//! Ties the watching half together and commits occurrences with their cursors.

pub mod alerts;
pub mod around;
pub mod decode;
mod engine;
pub mod files;
mod judge;
mod known;
mod look_back;
mod mixed;
mod pending;
pub mod pipeline;
mod recurring;
mod rival;
pub mod rule_cost;
mod sampler;
pub mod services;
mod stream;
pub mod suggestion;
mod task;

pub use task::{IngestError, IngestParts, run};
