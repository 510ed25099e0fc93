//! Branches and proposals: GitHub and the local forge.
//!
//! One trait, [`Forge`]: push a branch from a clone, find and open a proposal, merge. It pushes with a git of its own
//! (`push`): the credential that may write exists nowhere else. Knows nothing of issues or attempts.

mod contract;
mod git;
mod github;
mod local;
mod push;
mod scratch;

pub use contract::{Forge, ForgeError, Merge, Merged, NewProposal, ProposalRef, Push, Pushed, Settings};
pub use github::GitHubForge;
pub use local::LocalForge;
