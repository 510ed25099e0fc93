//! The client that the forge and the tracker on GitHub share: authentication, errors, paging, limits.
//!
//! Knows GitHub's REST API (<https://docs.github.com/en/rest>) and nothing of tickets or proposals. It never repeats
//! a request by itself: octocrab's retries once re-sent the creation of an issue after a 502. Whoever calls looks
//! before they create, and the job queue decides when to try again.

mod client;
mod error;
mod repository;
mod settings;

pub use client::{Client, GitCredential};
pub use error::Error;
pub use repository::RepositoryName;
pub use settings::{Auth, Settings};

/// Longest body of an issue, a comment or a pull request, in characters: GitHub answers 422 to more.
pub const MAX_BODY_CHARS: usize = 65_536;

/// Longest title of an issue or a pull request, in characters.
pub const MAX_TITLE_CHARS: usize = 256;
