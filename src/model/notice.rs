//! A message to people.

use crate::base::clock::Timestamp;
use crate::base::id::IssueId;

/// What happened, as told to people. Texts are redacted and short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub issue: Option<IssueId>,
    pub kind: NoticeKind,
    pub service: String,
    /// One line.
    pub title: String,
    /// A few lines of plain text.
    pub text: String,
    /// Where to read more: the ticket, the proposal, or the issue's page.
    pub url: Option<String>,
    pub at: Timestamp,
}

/// Which event a notice tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    IssueOpened,
    IssueReopened,
    StormStarted,
    ProposalOpened,
    AttemptEnded,
    ProposalMerged,
}

impl NoticeKind {
    pub const ALL: [Self; 6] = [
        Self::IssueOpened,
        Self::IssueReopened,
        Self::StormStarted,
        Self::ProposalOpened,
        Self::AttemptEnded,
        Self::ProposalMerged,
    ];

    /// The name used on the wire and in job payloads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IssueOpened => "issue_opened",
            Self::IssueReopened => "issue_reopened",
            Self::StormStarted => "storm_started",
            Self::ProposalOpened => "proposal_opened",
            Self::AttemptEnded => "attempt_ended",
            Self::ProposalMerged => "proposal_merged",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
