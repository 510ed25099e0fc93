//! What the agent needs from outside, and what it gives back.
//!
//! `heal/fix` implements [`Workspace`] over a sandbox and [`Transcript`] and [`Ledger`] over the store; the agent
//! itself names neither. Nothing here knows the forge.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::settings::Settings;
use super::usage::Usage;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::id::ReservationId;
use crate::base::redact::{Clean, Redactor};
use crate::model::attempt::Outcome;
use crate::model::money::NanoUsd;
use crate::model::occurrence::Around;
use crate::model::stage::Progress;
use crate::model::trace::{Frame, Runtime};

/// An error of an implementor, opaque to the agent.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The container with the checked out repository. One command at a time; the tools are built over [`Workspace::run`].
///
/// The implementor promises: no network, no credential, a command that is over its time is dead with all its children,
/// output is capped while it streams.
#[async_trait::async_trait]
pub trait Workspace: Send + Sync {
    /// Absolute path of the repository inside the container, without a trailing `/`. Commands run there.
    fn root(&self) -> &str;

    /// Runs one command. A command that fails, is timed out or floods is a value; an error is a workspace that is gone.
    async fn run(&self, command: WorkspaceCommand) -> Result<WorkspaceOutput, BoxError>;

    /// Everything changed since the base commit, untracked files too, as opaque text that [`Workspace::restore`] reads.
    /// Called after each tool run that may have changed a file; becomes part of the transcript.
    async fn snapshot(&self) -> Result<Snapshot, BoxError>;

    /// Brings a fresh workspace (at the base commit) to the state of `snapshot`. Called once, before anything is run, when an
    /// attempt is resumed.
    async fn restore(&self, snapshot: &str) -> Result<(), BoxError>;
}

/// What became of the changes in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Snapshot {
    Kept(String),
    /// They cannot be kept, for this reason: the workspace is as it was with the snapshot before.
    TakenBack {
        why: String,
    },
}

/// One command for the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceCommand {
    pub argv: Vec<String>,
    /// Given to its standard input, which is then closed.
    pub stdin: Bytes,
    pub timeout: Duration,
    /// Bytes kept of stdout and of stderr, each: the first and the last half.
    pub output_cap: usize,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceOutput {
    pub end: CommandEnd,
    /// With a note in the middle that says how much is missing, if `is_truncated`.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub is_truncated: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    Exited {
        code: i64,
    },
    /// Killed with all its children when its time was over.
    TimedOut,
    /// Killed with all its children because it wrote far more than any reader wants.
    Flooded,
    /// It ended the workspace itself. A fresh one, as it was with the last snapshot, has taken its place.
    EndedWorkspace,
}

/// The attempt's append-only record, durable before the agent goes on.
#[async_trait::async_trait]
pub trait Transcript: Send + Sync {
    /// All entries so far, oldest first, exactly as they were appended.
    async fn load(&self) -> Result<Vec<String>, BoxError>;

    /// Appends one entry (one line of JSON). `seq` counts from 1; an entry with a number that is not the next is refused.
    async fn append(&self, seq: i64, entry: &str) -> Result<(), BoxError>;
}

/// The attempt's money: reserved before each model call, settled after it.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync {
    /// Reserves the most that a call can cost, unless a limit (attempt, issue, day) could be passed.
    async fn reserve(
        &self,
        id: ReservationId,
        model: &str,
        amount: NanoUsd,
    ) -> Result<ReserveAnswer, BoxError>;

    /// Replaces a reservation by what the call cost. Settling twice keeps the first.
    async fn settle(&self, id: ReservationId, usage: Usage, cost: NanoUsd) -> Result<(), BoxError>;

    /// Lets every open reservation of this attempt count in full: its call was cut off before its usage was seen.
    async fn settle_cut_off(&self) -> Result<(), BoxError>;
}

/// Answer to a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveAnswer {
    Granted,
    /// The call could pass the limit of this name (`call`, `attempt`, `issue`, `service`, `day`, `month`), so it is not made.
    Refused {
        limit: String,
        limit_amount: NanoUsd,
        spent: NanoUsd,
    },
}

/// What the agent is asked to fix. Texts are data from strangers: redacted by the caller, fenced by the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentTask {
    pub service: String,
    pub title: Clean,
    /// The record as logged.
    pub record: Clean,
    /// Lines that were logged around it.
    pub around: Around,
    pub runtime: Runtime,
    /// Frames of the root cause, innermost first.
    pub frames: Vec<Frame>,
    pub n_occurrences: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// Commit that is checked out in the workspace.
    pub base_commit: String,
    /// Commit that logged the error, if known and another.
    pub running_commit: Option<String>,
    /// Folder of the service inside the repository; empty for its root.
    pub folder: String,
    /// The project's own test command, detected or configured.
    pub test_command: Option<String>,
    /// What the repository says to those who work on it (`.homeostat.toml` of the base branch).
    pub hints: Option<Clean>,
    /// Why earlier attempts at this issue were not enough, oldest first.
    pub previous_failures: Vec<Clean>,
}

/// What the agent works with.
pub struct AgentParts {
    pub settings: Settings,
    pub workspace: Arc<dyn Workspace>,
    pub transcript: Arc<dyn Transcript>,
    pub ledger: Arc<dyn Ledger>,
    /// Steps for the page: constant names, redacted detail.
    pub progress: Arc<dyn Progress>,
    pub clock: SharedClock,
    /// Passed by every tool result before it is first sent.
    pub redactor: Redactor,
}

impl std::fmt::Debug for AgentParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentParts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How an attempt of the agent ended, and what it took (over all its resumptions).
#[derive(Debug, Clone, PartialEq)]
pub struct AgentEnd {
    pub how: AgentOutcome,
    pub totals: AgentTotals,
}

/// What an attempt took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentTotals {
    pub n_model_calls: u32,
    pub n_tool_calls: u32,
    /// Of the calls whose usage was seen.
    pub usage: Usage,
    /// The most that the calls may have used that were cut off before their usage was seen.
    pub unseen_tokens: u64,
    /// Of the calls whose usage was seen, plus the reservations of those cut off. After a kill between a reservation and its entry the
    /// ledger knows of one more, and the ledger is right.
    pub cost: NanoUsd,
}

impl AgentTotals {
    /// The most tokens that all calls can have used.
    pub const fn tokens(&self) -> u64 {
        self.usage.total_tokens().saturating_add(self.unseen_tokens)
    }
}

/// How an attempt of the agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentOutcome {
    /// The agent called `task_complete`. Nothing of it is proven yet.
    Claimed(Claim),
    /// A limit on money, tokens, calls or wall time was reached; `limit` names it.
    OverBudget { limit: String },
    /// It got stuck, stopped without `task_complete`, or its context was full.
    GaveUp { why: String },
    /// The model refused to go on; a person must look.
    Refused { why: String },
    /// A stop was requested. Run again with the same transcript to go on.
    Stopped,
}

/// What the agent says in `task_complete`. The model's words: hostile until proven, redacted, capped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub outcome: Outcome,
    /// One paragraph for people.
    pub summary: Clean,
    pub root_cause: Option<RootCause>,
    /// What was changed and why.
    pub changes: Clean,
    /// Command that runs the reproducing test, fails before and passes after.
    pub test_command: Option<String>,
    /// Paths of new or extended test files, relative to the repository.
    pub test_files: Vec<String>,
    /// What else may be the cause, most likely first; what was not verified.
    pub hypotheses: Vec<Clean>,
}

/// Where the error comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootCause {
    /// Relative to the repository.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    pub explanation: Clean,
}
