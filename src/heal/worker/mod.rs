//! Leases jobs, runs their stages and commits what they leave: the engine of the healing half.
//!
//! Knows no stage: it is given them. Every run holds a lease that is extended by heartbeats; whatever ends it (an
//! outcome, a panic, a stop, a lost lease) ends in exactly one completion, or in none where the lease is lost.
//!
//! **Invariant:** a lost lease writes nothing. **Invariant:** short jobs never wait behind fixes.

mod lane;
mod lease;
mod progress;
mod settings;

pub use lane::{Worker, WorkerParts};
pub use settings::Settings;
