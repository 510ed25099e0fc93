//! The pull request, wherever it lives.

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, ProposalId};

/// A proposal that exists at a forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub id: ProposalId,
    pub issue: IssueId,
    pub attempt: AttemptId,
    /// `local` or `github`.
    pub forge: String,
    /// The forge's own key: the number of the pull request.
    pub key: String,
    /// Where a person reads it.
    pub url: String,
    /// `homeostat/<fingerprint short>-<n>`.
    pub branch: String,
    pub base_branch: String,
    /// Commit at the head of the branch.
    pub head: String,
    /// Changed files.
    pub files: Vec<String>,
    pub title: String,
    /// Markdown.
    pub body: String,
    pub is_draft: bool,
    pub state: ProposalState,
    pub opened_at: Timestamp,
}

impl Proposal {
    /// The one of an issue's proposals that is open: while there is one, there is no other fix.
    pub fn open_of(proposals: &[Self]) -> Option<&Self> {
        proposals.iter().find(|proposal| proposal.state == ProposalState::Open)
    }

    /// Why an issue with this open proposal gets no other fix, for people.
    pub fn in_the_way(&self) -> String {
        format!("a proposal of this issue is open: merge or close {} first", self.url)
    }
}

/// How far a proposal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalState {
    Open,
    Merged,
    Closed,
}

impl ProposalState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Merged, Self::Closed];

    /// The name used in the store and on pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Closed => "closed",
        }
    }

    /// The state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}
