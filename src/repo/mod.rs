//! Git on the host: mirrors, clones, patches; holds at most a read-only fetch credential.
//!
//! Everything is done by the git command line in an environment of its own: no hooks, no filters, no user or system
//! configuration, no prompt, no external protocol, and a time limit on every call. What a repository contains is foreign:
//! symlinks are never made on the host, attributes are overruled, submodules are left out, and a tree that comes back from a
//! container is taken in file by file ([`unpack`]) and compared by the host's own git.
//!
//! It fetches, reads, applies and commits, all below one folder. It never pushes: that is the forge's.

mod archive;
mod credential;
mod error;
mod git;
mod mirror;
pub mod patch;
mod settings;
pub mod unpack;
mod upkeep;
mod worktree;

pub use archive::Archive;
pub use credential::{Credential, CredentialSource, FetchToken, FetchTokens};
pub use error::RepoError;
pub use mirror::{CommitId, EntryKind, Mirror, Repos, TreeEntry};
pub use settings::Settings;
pub use worktree::{Author, Reverse, Step, TreeId, WorkTree};
