//! The trait every forge implements, and its values.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::id::{IssueId, ProposalId};
use crate::github;
use crate::model::proposal::{Proposal, ProposalState};
use crate::model::service::Repository;
use crate::model::stage::Setback;

/// Settings of every forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who commits merges, as git shows it.
    pub committer_name: String,
    pub committer_email: String,
    /// Open proposals as drafts, where the forge knows drafts.
    pub is_draft: bool,
    /// For each git command.
    pub git_timeout: Duration,
    /// Where merges are made; what a killed process left behind there is removed by the next one.
    pub scratch: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            committer_name: "homeostat".to_owned(),
            committer_email: "homeostat@localhost".to_owned(),
            is_draft: false,
            git_timeout: Duration::from_secs(120),
            scratch: std::env::temp_dir().join("homeostat-merges"),
        }
    }
}

/// A commit to be pushed to a branch of its own.
#[derive(Debug, Clone, Copy)]
pub struct Push<'a> {
    pub repository: &'a Repository,
    /// Folder of a clone that holds the commit; trusted, made by `repo`.
    pub clone: &'a Path,
    /// Full id.
    pub commit: &'a str,
    /// Short name of the branch.
    pub branch: &'a str,
}

/// What stands at the forge after a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The branch is ours and points to this commit: pushed now or by an earlier run, or with commits of people on top.
    Ours { head: String },
    /// The branch exists with other content; it was left alone.
    Taken,
}

/// A proposal to be opened for a branch that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal<'a> {
    pub id: ProposalId,
    pub issue: IssueId,
    pub repository: &'a Repository,
    pub branch: &'a str,
    pub title: &'a str,
    /// Markdown, safe, capped.
    pub body: &'a str,
}

/// A proposal as the forge knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalRef {
    /// The number of the pull request; the branch at the local forge.
    pub key: String,
    /// Where a person reads it.
    pub url: String,
    pub is_draft: bool,
    pub state: ProposalState,
}

/// A proposal to be merged.
#[derive(Debug, Clone, Copy)]
pub struct Merge<'a> {
    pub repository: &'a Repository,
    pub proposal: &'a Proposal,
    /// Of the merge commit, where one is needed.
    pub message: &'a str,
    /// Time of the merge commit.
    pub at: Timestamp,
}

/// A merged proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Head of the base branch that holds the proposal.
    pub commit: String,
}

/// A forge.
#[async_trait::async_trait]
pub trait Forge: Send + Sync + std::fmt::Debug {
    /// `local` or `github`: kept with each proposal.
    fn name(&self) -> &'static str;

    /// Whether this repository lives here.
    fn accepts(&self, repository: &Repository) -> bool;

    /// Makes the branch point to the commit, unless it exists: an existing branch is never moved.
    async fn push(&self, push: Push<'_>) -> Result<Pushed, ForgeError>;

    /// The proposal of this branch, in whatever state.
    async fn find(&self, repository: &Repository, branch: &str) -> Result<Option<ProposalRef>, ForgeError>;

    /// Opens a proposal. Look first.
    async fn open(&self, proposal: &NewProposal<'_>) -> Result<ProposalRef, ForgeError>;

    /// Merges a proposal whose branch still points where it did; finds it merged if it is.
    async fn merge(&self, merge: Merge<'_>) -> Result<Merged, ForgeError>;
}

/// Why a forge could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    #[error(transparent)]
    GitHub(#[from] github::Error),
    #[error("failed to {action}: git cannot be run or a folder cannot be made")]
    Machine {
        action: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The remote is not reachable, or failed, or took too long.
    #[error("failed to {action}: {stderr}")]
    Away { action: &'static str, stderr: String },
    /// The remote, or git, said no.
    #[error("failed to {action}: {stderr}: {advice}")]
    Refused { action: &'static str, stderr: String, advice: &'static str },
    #[error("the branch `{branch}` is at {actual}, but what was proposed is {expected}: look at it again")]
    HeadMoved { branch: String, expected: String, actual: String },
    #[error("`{branch}` conflicts with `{base}` in {files}: it must be made anew or merged by hand")]
    Conflict { branch: String, base: String, files: String },
    #[error("homeostat does not merge on {forge}: merge it at {url}")]
    MergesElsewhere { forge: &'static str, url: String },
    #[error("`{url}` is not a repository of the forge `{forge}`")]
    ForeignRepository { forge: &'static str, url: String },
}

impl From<ForgeError> for Setback {
    fn from(error: ForgeError) -> Self {
        let reason = Chain(&error).to_string();
        match error {
            ForgeError::GitHub(error) => error.into(),
            ForgeError::Machine { .. } | ForgeError::Away { .. } => Self::Retry { reason, after: None },
            ForgeError::Refused { .. }
            | ForgeError::HeadMoved { .. }
            | ForgeError::Conflict { .. }
            | ForgeError::MergesElsewhere { .. }
            | ForgeError::ForeignRepository { .. } => Self::Failed { reason },
        }
    }
}
