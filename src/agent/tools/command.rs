//! Commands of the model's own.

use std::time::Duration;

use bytes::Bytes;

use super::input::RunCommand;
use super::run::{OUTPUT_CAP, ToolResult, Toolbox};
use crate::agent::contract::{BoxError, CommandEnd, WorkspaceCommand, WorkspaceOutput};
use crate::agent::machine::ToolOutcome;

const DEFAULT_TIME: Duration = Duration::from_secs(120);

/// Streams together, in the order they were written; bash where the image has it, since models write for it.
const SHELL: &str = r#"
exec 2>&1
if command -v bash >/dev/null; then exec bash -c "$1"; else exec sh -c "$1"; fi
"#;

/// Code of a process that was killed, most often for its memory.
const KILLED: i64 = 137;

impl Toolbox<'_> {
    pub(super) async fn run_command(&self, input: RunCommand) -> ToolResult {
        let timeout = input.timeout_seconds.map_or(DEFAULT_TIME, Duration::from_secs);
        let timeout = self.within_time(timeout.max(Duration::from_secs(1)).min(self.limits.command_time));
        let output = self.shell(&input.command, timeout).await?;
        let head = describe(output.end, timeout);
        let text = format!("{head}\n{}", self.present(&output.stdout));
        // A command that fails is a result like any other: the model often wants it to.
        Ok(ToolOutcome {
            is_error: !matches!(output.end, CommandEnd::Exited { .. }),
            text,
            ..ToolOutcome::default()
        })
    }

    /// Runs a command line at the repository's root; all output is in `stdout`.
    pub(super) async fn shell(&self, command: &str, timeout: Duration) -> Result<WorkspaceOutput, BoxError> {
        let argv = ["sh", "-c", SHELL, "run", command].map(str::to_owned).to_vec();
        let command = WorkspaceCommand { argv, stdin: Bytes::new(), timeout, output_cap: OUTPUT_CAP };
        self.workspace.run(command).await
    }
}

/// How a command ended, for the model.
pub(super) fn describe(end: CommandEnd, timeout: Duration) -> String {
    match end {
        CommandEnd::Exited { code: KILLED } => {
            format!("exit code {KILLED}: it was killed, perhaps because it used too much memory")
        }
        CommandEnd::Exited { code } => format!("exit code {code}"),
        CommandEnd::TimedOut => {
            format!("killed with all its children after {} seconds", timeout.as_secs())
        }
        CommandEnd::Flooded => "killed because it wrote far too much output".to_owned(),
        CommandEnd::EndedWorkspace => {
            "the command ended the sandbox: it killed what keeps it, or took all its memory. A fresh one has taken its place, with \
             the files as they were before this command"
                .to_owned()
        }
    }
}
