//! Runs a tool call: finds the tool, reads its input, and says what came of it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::input::{self, parse};
use super::text;
use crate::agent::contract::{BoxError, Snapshot, Workspace, WorkspaceCommand, WorkspaceOutput};
use crate::agent::entry::SeenFile;
use crate::agent::machine::{ToolCall, ToolOutcome};
use crate::agent::settings::Limits;
use crate::base::redact::Redactor;

/// Bytes of output that are looked at; the model gets far less.
pub(super) const OUTPUT_CAP: usize = 4 << 20;

/// Longest run of a tool that is not a command of the model's.
const TOOL_TIME: Duration = Duration::from_secs(60);

/// What the tools work with.
pub(in crate::agent) struct Toolbox<'a> {
    pub(in crate::agent) workspace: &'a dyn Workspace,
    pub(in crate::agent) redactor: &'a Redactor,
    pub(in crate::agent) limits: Limits,
    pub(in crate::agent) base_commit: &'a str,
    /// When the attempt's time is over: no command goes on after it.
    pub(in crate::agent) deadline: Instant,
}

/// Why a tool did not give what it was asked for.
#[derive(Debug)]
pub(super) enum ToolError {
    /// The model is told, and may try again.
    Tell(String),
    /// The model's call cannot be read at all.
    BadCall(String),
    /// The workspace is gone.
    Gone(BoxError),
}

impl From<BoxError> for ToolError {
    fn from(error: BoxError) -> Self {
        Self::Gone(error)
    }
}

pub(super) type ToolResult = Result<ToolOutcome, ToolError>;

impl Toolbox<'_> {
    /// Runs one call. `seen` knows the hash of a file as the model last saw it. An error is a workspace that is gone.
    pub(in crate::agent) async fn run(
        &self,
        call: &ToolCall,
        seen: impl Fn(&str) -> Option<String> + Send + Sync,
    ) -> Result<ToolOutcome, BoxError> {
        let result = match call.name.as_str() {
            "read_file" => match read(&call.input) {
                Ok(input) => self.read_file(input).await,
                Err(error) => Err(error),
            },
            "write_file" => match read(&call.input) {
                Ok(input) => self.write_file(input, &seen).await,
                Err(error) => Err(error),
            },
            "edit_file" => match read(&call.input) {
                Ok(input) => self.edit_file(input, &seen).await,
                Err(error) => Err(error),
            },
            "list_files" => match read(&call.input) {
                Ok(input) => self.list_files(input).await,
                Err(error) => Err(error),
            },
            "search_code" => match read(&call.input) {
                Ok(input) => self.search_code(input).await,
                Err(error) => Err(error),
            },
            "run_command" => match read(&call.input) {
                Ok(input) => self.run_command(input).await,
                Err(error) => Err(error),
            },
            "git_status" => match read::<input::GitStatus>(&call.input) {
                Ok(_) => self.git_status().await,
                Err(error) => Err(error),
            },
            "git_diff" => match read(&call.input) {
                Ok(input) => self.git_diff(input).await,
                Err(error) => Err(error),
            },
            "task_complete" => match read(&call.input) {
                Ok(input) => self.task_complete(input).await,
                Err(error) => Err(error),
            },
            unknown => Err(ToolError::BadCall(format!("there is no tool `{unknown}`"))),
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(ToolError::Tell(text)) => self.refusal(&text, false),
            Err(ToolError::BadCall(text)) => return Ok(self.refusal(&text, true)),
            Err(ToolError::Gone(error)) => return Err(error),
        };
        if is_mutating(&call.name) { self.keep(outcome).await } else { Ok(outcome) }
    }

    /// Keeps what the tool changed, also where it failed: half of it may be done.
    async fn keep(&self, mut outcome: ToolOutcome) -> Result<ToolOutcome, BoxError> {
        match self.workspace.snapshot().await? {
            Snapshot::Kept(snapshot) => outcome.snapshot = Some(snapshot),
            Snapshot::TakenBack { why } => {
                let why = self.present(why.as_bytes());
                let why = why.trim();
                outcome.text = format!(
                    "{}\n[homeostat: what this changed cannot be kept and was taken back, the files are as they were before it: {why}]",
                    outcome.text.trim_end()
                );
                outcome.is_error = true;
                // The files are not what the tool has seen.
                outcome.seen.clear();
            }
        }
        Ok(outcome)
    }

    fn refusal(&self, text: &str, is_bad_call: bool) -> ToolOutcome {
        let text = self.present(text.as_bytes());
        ToolOutcome { text, is_error: true, is_bad_call, ..ToolOutcome::default() }
    }

    /// Output as the model gets it.
    pub(super) fn present(&self, bytes: &[u8]) -> String {
        text::present(bytes, self.redactor, self.limits.tool_result_chars)
    }

    /// Runs a fixed script of ours with the image's shell; `$1` is the repository.
    pub(super) async fn script(
        &self,
        script: &str,
        arguments: &[&str],
        stdin: Bytes,
    ) -> Result<WorkspaceOutput, BoxError> {
        let mut argv = vec!["sh", "-c", script, "tool", self.workspace.root()];
        argv.extend(arguments);
        let argv = argv.into_iter().map(str::to_owned).collect();
        let timeout = self.within_time(TOOL_TIME);
        let command = WorkspaceCommand { argv, stdin, timeout, output_cap: OUTPUT_CAP };
        self.workspace.run(command).await
    }

    /// `timeout`, or what is left of the attempt's time if that is less.
    pub(super) fn within_time(&self, timeout: Duration) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        timeout.min(left).max(Duration::from_millis(1))
    }
}

/// Whether the tool may change files.
fn is_mutating(name: &str) -> bool {
    matches!(name, "write_file" | "edit_file" | "run_command")
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, ToolError> {
    parse(json).map_err(ToolError::BadCall)
}

/// A result that is text and nothing else.
pub(super) fn said(text: String) -> ToolOutcome {
    ToolOutcome { text, ..ToolOutcome::default() }
}

/// The file as the model has now seen it.
pub(super) fn seen_file(path: &str, bytes: &[u8]) -> SeenFile {
    SeenFile { path: path.to_owned(), hash: blake3::hash(bytes).to_hex().to_string() }
}
