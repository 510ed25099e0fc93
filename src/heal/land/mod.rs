//! Stage: merge a proposal that a person accepted. Never names the agent.
//!
//! **Invariant:** only what was shown is merged: a branch that moved since it was proposed is refused.

mod stage;

pub use stage::{LandParts, LandStage};
