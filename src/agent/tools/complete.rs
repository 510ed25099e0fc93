//! The end of a task: what the model claims, checked as far as a tool can.
//!
//! Validation in a clean container comes later and believes none of it; this spares that run when the claim is plainly not true.

use super::command::describe;
use super::input::{RootCauseInput, TaskComplete};
use super::path;
use super::run::{ToolError, ToolResult, Toolbox, said};
use super::text;
use crate::agent::contract::{Claim, CommandEnd, RootCause};
use crate::agent::machine::ToolOutcome;
use crate::base::redact::Clean;
use crate::model::attempt::Outcome;

/// Characters of each text of a claim.
const MAX_TEXT: usize = 4_000;
/// Test files and hypotheses.
const MAX_ITEMS: usize = 20;

impl Toolbox<'_> {
    pub(super) async fn task_complete(&self, input: TaskComplete) -> ToolResult {
        let claim = self.claim(input)?;
        if claim.outcome == Outcome::Fixed {
            self.check_fixed(&claim).await?;
        }
        Ok(ToolOutcome { claim: Some(claim), ..said("accepted".to_owned()) })
    }

    fn claim(&self, input: TaskComplete) -> Result<Claim, ToolError> {
        let outcome = Outcome::from_name(&input.outcome)
            .filter(|outcome| *outcome != Outcome::OverBudget)
            .ok_or_else(|| ToolError::BadCall(format!("there is no outcome `{}`", input.outcome)))?;
        let files = input.test_files.unwrap_or_default();
        let test_files: Result<Vec<String>, String> =
            files.iter().take(MAX_ITEMS).map(|file| path::relative(self.workspace.root(), file)).collect();
        Ok(Claim {
            outcome,
            summary: self.clean(&input.summary),
            root_cause: input.root_cause.map(|cause| self.root_cause(cause)).transpose()?,
            changes: self.clean(&input.changes.unwrap_or_default()),
            test_command: input.test_command.filter(|command| !command.trim().is_empty()),
            test_files: test_files.map_err(ToolError::Tell)?,
            hypotheses: input
                .hypotheses
                .unwrap_or_default()
                .iter()
                .take(MAX_ITEMS)
                .map(|it| self.clean(it))
                .collect(),
        })
    }

    fn root_cause(&self, input: RootCauseInput) -> Result<RootCause, ToolError> {
        let file = path::relative(self.workspace.root(), &input.file).map_err(ToolError::Tell)?;
        Ok(RootCause { file, line: input.line, explanation: self.clean(&input.explanation) })
    }

    fn clean(&self, given: &str) -> Clean {
        self.redactor.redact(&text::present(given.as_bytes(), self.redactor, MAX_TEXT))
    }

    /// A fix needs its cause, its test, a change, and a test command that passes now.
    async fn check_fixed(&self, claim: &Claim) -> Result<(), ToolError> {
        let missing = [
            (claim.root_cause.is_none(), "root_cause"),
            (claim.test_command.is_none(), "test_command"),
            (claim.test_files.is_empty(), "test_files"),
        ];
        let missing: Vec<&str> = missing.iter().filter(|it| it.0).map(|it| it.1).collect();
        if !missing.is_empty() {
            return Err(ToolError::Tell(format!(
                "outcome fixed also needs: {}. If there is no reproducing test, the outcome is another",
                missing.join(", ")
            )));
        }
        let diff = self.git_diff(super::input::GitDiff { path: None }).await?;
        if diff.text == "nothing is changed" {
            return Err(ToolError::Tell("outcome fixed, but no file is changed".to_owned()));
        }
        let timeout = self.within_time(self.limits.command_time);
        let command = claim.test_command.clone().unwrap_or_default();
        let output = self.shell(&command, timeout).await?;
        if output.end == (CommandEnd::Exited { code: 0 }) {
            return Ok(());
        }
        Err(ToolError::Tell(format!(
            "not accepted, the test command does not pass: {}\n{}",
            describe(output.end, timeout),
            self.present(&output.stdout)
        )))
    }
}
