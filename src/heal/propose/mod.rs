//! Stage: push the branch of a validated attempt and open its proposal. Never names the agent.
//!
//! **Invariant:** nothing is pushed that has not passed the diff policy ([`policy`]), which judges what git itself
//! says would be pushed. **Invariant:** killed between any two outside calls and run again, it leaves one branch and
//! one proposal.

mod one_open;
pub mod policy;
mod stage;
mod validated;

pub use stage::{ProposeParts, ProposeStage, Settings};
pub use validated::ValidatedPatch;
