//! Runs the tool calls of a transcript again, without the model, and tells where what they give differs from what was written.
//!
//! For people who ask whether an attempt was what its transcript says, and for whoever changed the tools or an image. Numbers do not
//! count as a difference (times, addresses, process ids), nor do homeostat's own notes at the end of a result.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::contract::Workspace;
use super::entry::{Entry, EntryKind, ToolEntry};
use super::error::AgentError;
use super::machine::{ToolCall, ToolOutcome, calls_of, digest};
use super::settings::Limits;
use super::tools::run::Toolbox;
use crate::base::redact::Redactor;

/// Longest that one call may take; what the attempt had left then is not known any more.
const MAX_CALL: Duration = Duration::from_secs(60 * 60);

/// What a replay is made with.
#[derive(Debug)]
pub struct Replay<'a> {
    pub redactor: &'a Redactor,
    pub limits: Limits,
    /// The commit in the workspace, which its git knows.
    pub base_commit: &'a str,
}

/// One tool call that was run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Number of its entry in the transcript.
    pub seq: usize,
    pub tool: String,
    /// Nothing, if it gave what was written.
    pub differences: Vec<Difference>,
}

/// What a call gave that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The text that the model was given: the first line in which they differ.
    Text { written: String, now: String },
    /// Whether it was an error.
    IsError { written: bool },
    /// The files of the workspace after it.
    Files,
}

impl Replay<'_> {
    /// Runs all calls of `lines` in their order in a workspace that is at the base commit.
    ///
    /// # Errors
    /// A transcript that cannot be read, or a workspace that is gone.
    pub async fn run(
        &self,
        lines: &[String],
        workspace: &dyn Workspace,
    ) -> Result<Vec<Replayed>, AgentError> {
        let mut calls: BTreeMap<String, ToolCall> = BTreeMap::new();
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut replayed = Vec::new();
        for (line_idx, line) in lines.iter().enumerate() {
            let seq = line_idx + 1;
            let broken = |reason| AgentError::BrokenTranscript { seq, reason };
            let (entry, _) = Entry::parse(line).map_err(broken)?;
            match entry.kind {
                EntryKind::Begin(_) => seen.clear(),
                EntryKind::Assistant(entry) => {
                    calls.extend(calls_of(&entry).into_iter().map(|call| (call.id.clone(), call)));
                }
                EntryKind::Tool(written) if !written.is_skipped => {
                    let call = calls.remove(&written.tool_use_id);
                    let call = call.ok_or_else(|| {
                        broken(format!("the call `{}` was never made", written.tool_use_id))
                    })?;
                    let now = self.run_again(&call, workspace, &seen).await?;
                    // As it was then, so that one difference does not bring others with it where it need not.
                    seen.extend(written.seen.iter().map(|file| (file.path.clone(), file.hash.clone())));
                    let differences = differences(&call, &written, &now);
                    replayed.push(Replayed { seq, tool: call.name, differences });
                }
                EntryKind::Tool(_)
                | EntryKind::User(_)
                | EntryKind::Reserved(_)
                | EntryKind::CutOff(_)
                | EntryKind::Unspent(_)
                | EntryKind::Waited(_)
                | EntryKind::Resumed
                | EntryKind::End(_) => {}
            }
        }
        Ok(replayed)
    }

    async fn run_again(
        &self,
        call: &ToolCall,
        workspace: &dyn Workspace,
        seen: &BTreeMap<String, String>,
    ) -> Result<ToolOutcome, AgentError> {
        let toolbox = Toolbox {
            workspace,
            redactor: self.redactor,
            limits: self.limits,
            base_commit: self.base_commit,
            deadline: Instant::now() + MAX_CALL,
        };
        let ran = toolbox.run(call, |path| seen.get(path).cloned()).await;
        ran.map_err(|source| AgentError::Workspace { action: "run a tool", source })
    }
}

fn differences(call: &ToolCall, written: &ToolEntry, now: &ToolOutcome) -> Vec<Difference> {
    let mut found = Vec::new();
    if written.is_error != now.is_error {
        found.push(Difference::IsError { written: written.is_error });
    }
    if !written.text.starts_with(&now.text) && written.digest != digest(call, &now.text) {
        let (written, now) = first_difference(&written.text, &now.text);
        found.push(Difference::Text { written, now });
    }
    if written.snapshot != now.snapshot {
        found.push(Difference::Files);
    }
    found
}

/// The first lines that are not the same.
fn first_difference(written: &str, now: &str) -> (String, String) {
    let (mut written, mut now) = (written.lines(), now.lines());
    loop {
        match (written.next(), now.next()) {
            (Some(a), Some(b)) if a == b => {}
            (a, b) => return (a.unwrap_or_default().to_owned(), b.unwrap_or_default().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, digest_of: &str, snapshot: Option<&str>) -> ToolEntry {
        ToolEntry {
            tool_use_id: "a".into(),
            name: "run_command".into(),
            is_error: false,
            is_bad_call: false,
            is_skipped: false,
            asks_hand_over: false,
            text: text.into(),
            digest: digest(&call(), digest_of),
            snapshot: snapshot.map(str::to_owned),
            seen: Vec::new(),
            n_warnings: 0,
            is_nudged: false,
            claim: None,
        }
    }

    fn call() -> ToolCall {
        ToolCall { id: "a".into(), name: "run_command".into(), input: "{}".into() }
    }

    #[test]
    fn only_what_matters_is_a_difference() {
        let check = |entry: ToolEntry, text: &str, snapshot: Option<&str>, expected: &[Difference]| {
            let now = ToolOutcome {
                text: text.into(),
                snapshot: snapshot.map(str::to_owned),
                ..ToolOutcome::default()
            };
            assert_eq!(differences(&call(), &entry, &now), expected, "{text}");
        };
        check(written("ok", "ok", None), "ok", None, &[]);
        check(written("ok\n[homeostat: 75% is used]", "ok", None), "ok", None, &[]);
        check(written("in 0.02s", "in 0.02s", Some("d")), "in 1.53s", Some("d"), &[]);
        let text = Difference::Text { written: "1 passed".into(), now: "1 failed".into() };
        check(
            written("a\n1 passed", "a\n1 passed", Some("d")),
            "a\n1 failed",
            Some("e"),
            &[text, Difference::Files],
        );
    }
}
