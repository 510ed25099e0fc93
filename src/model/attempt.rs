//! One try of the agent, and how it ended.

use super::money::NanoUsd;
use super::proof::Validation;
use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, JobId};

/// One try of the agent at an issue. The patch and the reasons are kept however it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub id: AttemptId,
    pub issue: IssueId,
    pub job: JobId,
    /// Counts from 1 per issue; part of the branch name.
    pub number: u32,
    pub model: String,
    /// Commit the patch is made on.
    pub base_commit: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    /// Report for people: cause, what was tried, what to do next. Markdown, redacted.
    pub report: String,
    /// Unified diff with `a/` and `b/` prefixes, empty if nothing was changed.
    pub patch: String,
    pub validation: Option<Validation>,
    pub cost: NanoUsd,
    pub n_model_calls: u32,
    pub n_tool_calls: u32,
}

/// How an attempt ended. Each leaves an honest report on the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Fixed,
    NotReproduced,
    AlreadyFixed,
    Duplicate,
    NotACodeBug,
    NeedsPerson,
    OverBudget,
    GaveUp,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Fixed,
        Self::NotReproduced,
        Self::AlreadyFixed,
        Self::Duplicate,
        Self::NotACodeBug,
        Self::NeedsPerson,
        Self::OverBudget,
        Self::GaveUp,
    ];

    /// The name used in the store, in JSON and in tool input.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::NotReproduced => "not_reproduced",
            Self::AlreadyFixed => "already_fixed",
            Self::Duplicate => "duplicate",
            Self::NotACodeBug => "not_a_code_bug",
            Self::NeedsPerson => "needs_person",
            Self::OverBudget => "over_budget",
            Self::GaveUp => "gave_up",
        }
    }

    /// The outcome with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }
}
