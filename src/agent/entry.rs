//! Entries of the transcript: one versioned JSON line each, enough to go on from anywhere.
//!
//! What was sent and what came back is kept raw, byte for byte. Entries are only ever added to; a reader of a later
//! version knows the older ones.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::assemble::StopReason;
use super::contract::{AgentOutcome, Claim, RootCause};
use super::usage::Usage;
use crate::base::clock::Timestamp;
use crate::base::id::ReservationId;
use crate::base::redact::Clean;
use crate::model::attempt::Outcome;
use crate::model::money::NanoUsd;

const VERSION: u32 = 1;

/// One line of a transcript.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    v: u32,
    at: String,
    #[serde(rename = "entry")]
    pub(super) kind: EntryKind,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EntryKind {
    /// A conversation begins: everything its requests share. Later ones begin after a refusal or a full context.
    Begin(BeginEntry),
    /// A user's turn of text.
    User(UserEntry),
    /// Money was reserved, a call is about to be made.
    Reserved(ReservedEntry),
    /// The call gave an answer.
    Assistant(AssistantEntry),
    /// The call was cut off before its usage was seen: its reservation counts in full.
    CutOff(FailedEntry),
    /// The call was refused before an answer began: it cost nothing.
    Unspent(FailedEntry),
    /// One tool ran, or was not run and the model was told so.
    Tool(ToolEntry),
    /// Nothing was done for so long before the next call; that time does not count.
    Waited(WaitedEntry),
    /// A process took the attempt up again; the time since the entry before does not count.
    Resumed,
    /// The attempt is over.
    End(EndEntry),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BeginEntry {
    /// Counts from 1 per attempt.
    pub(super) conversation: u32,
    pub(super) model: String,
    pub(super) max_tokens: u64,
    pub(super) effort: Option<String>,
    pub(super) user_id: String,
    pub(super) system: String,
    pub(super) tools: Box<RawValue>,
    /// What its first turn says after the task: why there is another conversation, and what the one before hands over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UserEntry {
    pub(super) content: Vec<Box<RawValue>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ReservedEntry {
    pub(super) reservation: String,
    pub(super) amount_nano_usd: i64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AssistantEntry {
    pub(super) reservation: String,
    pub(super) message_id: String,
    pub(super) content: Vec<Box<RawValue>>,
    pub(super) stop_reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) stop_detail: String,
    pub(super) usage: UsageEntry,
    pub(super) cost_nano_usd: i64,
    /// Time before the try that gave the answer: the API was busy or away. Does not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) waited_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct FailedEntry {
    pub(super) reservation: String,
    pub(super) why: String,
    /// As in [`AssistantEntry`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) waited_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct WaitedEntry {
    pub(super) waited_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ToolEntry {
    pub(super) tool_use_id: String,
    pub(super) name: String,
    pub(super) is_error: bool,
    /// Whether there is no such tool, or its input could not be read.
    #[serde(default)]
    pub(super) is_bad_call: bool,
    /// Whether it was not run at all: its turn asks for more than there are steps left, or a hand-over was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) is_skipped: bool,
    /// Whether the text ends by asking for a hand-over to a new conversation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) asks_hand_over: bool,
    /// Exactly what is sent.
    pub(super) text: String,
    /// Of the action and its result without numbers; see `machine::stuck`.
    pub(super) digest: String,
    /// Workspace after this run, where it may have changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) snapshot: Option<String>,
    /// Files that the model has now seen whole or in part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) seen: Vec<SeenFile>,
    /// How many warnings of the budget the model has had by now.
    #[serde(default)]
    pub(super) n_warnings: u32,
    /// Whether it was told that it is going in circles.
    #[serde(default)]
    pub(super) is_nudged: bool,
    /// What `task_complete` said, if it was accepted: the end is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<ClaimEntry>,
}

/// A file as the model last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeenFile {
    /// Relative to the repository.
    pub(super) path: String,
    /// blake3 of its bytes.
    pub(super) hash: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EndEntry {
    /// `claimed`, `over_budget`, `gave_up` or `refused`.
    pub(super) how: String,
    pub(super) why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claim: Option<ClaimEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ClaimEntry {
    outcome: String,
    summary: String,
    root_cause: Option<RootCauseEntry>,
    changes: String,
    test_command: Option<String>,
    test_files: Vec<String>,
    hypotheses: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RootCauseEntry {
    file: String,
    line: u32,
    explanation: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct UsageEntry {
    input_tokens: u64,
    cache_write_tokens: u64,
    cache_read_tokens: u64,
    output_tokens: u64,
}

const fn is_zero(n: &u64) -> bool {
    *n == 0
}

const fn is_false(is: &bool) -> bool {
    !*is
}

/// As a transcript holds it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl EntryKind {
    /// How much of the time since the entry before was spent waiting for the model API.
    pub(super) const fn waited(&self) -> Duration {
        let waited_ms = match self {
            Self::Assistant(entry) => entry.waited_ms,
            Self::CutOff(entry) | Self::Unspent(entry) => entry.waited_ms,
            Self::Waited(entry) => entry.waited_ms,
            Self::Begin(_)
            | Self::User(_)
            | Self::Reserved(_)
            | Self::Tool(_)
            | Self::Resumed
            | Self::End(_) => 0,
        };
        Duration::from_millis(waited_ms)
    }
}

impl Entry {
    pub(super) fn new(kind: EntryKind, at: Timestamp) -> Self {
        Self { v: VERSION, at: at.to_string(), kind }
    }

    /// The entry written on `line`, and when.
    pub(super) fn parse(line: &str) -> Result<(Self, Timestamp), String> {
        let entry: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if entry.v != VERSION {
            return Err(format!("version {} is not known", entry.v));
        }
        let at = entry.at.parse().map_err(|error| format!("`{}` is not a time: {error}", entry.at))?;
        Ok((entry, at))
    }

    pub(super) fn to_line(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and raw JSON can always be written")
    }
}

/// What a transcript says of an attempt that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftBehind {
    /// The workspace after the last tool that may have changed it, as [`super::contract::Workspace::snapshot`] gave it.
    pub snapshot: Option<String>,
    pub n_model_calls: u32,
    pub n_tool_calls: u32,
}

impl LeftBehind {
    /// Reads it out of the lines of a transcript; those that cannot be read say nothing.
    pub fn of(lines: &[String]) -> Self {
        let mut left = Self::default();
        for (entry, _) in lines.iter().filter_map(|line| Entry::parse(line).ok()) {
            match entry.kind {
                EntryKind::Assistant(_) | EntryKind::CutOff(_) => left.n_model_calls += 1,
                EntryKind::Tool(tool) => {
                    left.n_tool_calls += u32::from(!tool.is_skipped);
                    left.snapshot = tool.snapshot.or(left.snapshot);
                }
                EntryKind::Begin(_)
                | EntryKind::User(_)
                | EntryKind::Reserved(_)
                | EntryKind::Unspent(_)
                | EntryKind::Waited(_)
                | EntryKind::Resumed
                | EntryKind::End(_) => {}
            }
        }
        left
    }
}

impl AssistantEntry {
    pub(super) fn stop_reason(&self) -> StopReason {
        StopReason::from_name(&self.stop_reason, &self.stop_detail)
    }

    pub(super) fn cost(&self) -> NanoUsd {
        NanoUsd(self.cost_nano_usd)
    }
}

/// The id in an entry; entries are our own, so one that cannot be read is a broken transcript.
pub(super) fn reservation_id(text: &str) -> Result<ReservationId, String> {
    text.parse().map_err(|_| format!("`{text}` is not a reservation"))
}

impl From<Usage> for UsageEntry {
    fn from(usage: Usage) -> Self {
        let Usage { input_tokens, cache_write_tokens, cache_read_tokens, output_tokens } = usage;
        Self { input_tokens, cache_write_tokens, cache_read_tokens, output_tokens }
    }
}

impl From<UsageEntry> for Usage {
    fn from(usage: UsageEntry) -> Self {
        let UsageEntry { input_tokens, cache_write_tokens, cache_read_tokens, output_tokens } = usage;
        Self { input_tokens, cache_write_tokens, cache_read_tokens, output_tokens }
    }
}

impl From<&Claim> for ClaimEntry {
    fn from(claim: &Claim) -> Self {
        Self {
            outcome: claim.outcome.name().to_owned(),
            summary: claim.summary.to_string(),
            root_cause: claim.root_cause.as_ref().map(|cause| RootCauseEntry {
                file: cause.file.clone(),
                line: cause.line,
                explanation: cause.explanation.to_string(),
            }),
            changes: claim.changes.to_string(),
            test_command: claim.test_command.clone(),
            test_files: claim.test_files.clone(),
            hypotheses: claim.hypotheses.iter().map(Clean::to_string).collect(),
        }
    }
}

impl ClaimEntry {
    /// Texts were redacted before they were written.
    pub(super) fn to_claim(&self) -> Result<Claim, String> {
        let outcome = Outcome::from_name(&self.outcome)
            .ok_or_else(|| format!("`{}` is not an outcome", self.outcome))?;
        Ok(Claim {
            outcome,
            summary: Clean::trusted(&self.summary),
            root_cause: self.root_cause.as_ref().map(|cause| RootCause {
                file: cause.file.clone(),
                line: cause.line,
                explanation: Clean::trusted(&cause.explanation),
            }),
            changes: Clean::trusted(&self.changes),
            test_command: self.test_command.clone(),
            test_files: self.test_files.clone(),
            hypotheses: self.hypotheses.iter().map(Clean::trusted).collect(),
        })
    }
}

impl EndEntry {
    /// `None` for a stop, which is no end.
    pub(super) fn of(outcome: &AgentOutcome) -> Option<Self> {
        let (how, why, claim) = match outcome {
            AgentOutcome::Claimed(claim) => ("claimed", "", Some(claim.into())),
            AgentOutcome::OverBudget { limit } => ("over_budget", limit.as_str(), None),
            AgentOutcome::GaveUp { why } => ("gave_up", why.as_str(), None),
            AgentOutcome::Refused { why } => ("refused", why.as_str(), None),
            AgentOutcome::Stopped => return None,
        };
        Some(Self { how: how.to_owned(), why: why.to_owned(), claim })
    }

    pub(super) fn outcome(&self) -> Result<AgentOutcome, String> {
        match (self.how.as_str(), &self.claim) {
            ("claimed", Some(claim)) => Ok(AgentOutcome::Claimed(claim.to_claim()?)),
            ("over_budget", None) => Ok(AgentOutcome::OverBudget { limit: self.why.clone() }),
            ("gave_up", None) => Ok(AgentOutcome::GaveUp { why: self.why.clone() }),
            ("refused", None) => Ok(AgentOutcome::Refused { why: self.why.clone() }),
            (how, _) => Err(format!("`{how}` is not an end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_reads_back() {
        let claim = Claim {
            outcome: Outcome::Fixed,
            summary: Clean::trusted("s"),
            root_cause: Some(RootCause {
                file: "a.py".into(),
                line: 3,
                explanation: Clean::trusted("because"),
            }),
            changes: Clean::trusted("c"),
            test_command: Some("pytest".into()),
            test_files: vec!["tests/test_a.py".into()],
            hypotheses: vec![Clean::trusted("h")],
        };
        for outcome in [
            AgentOutcome::Claimed(claim),
            AgentOutcome::OverBudget { limit: "cost".into() },
            AgentOutcome::GaveUp { why: "stuck".into() },
            AgentOutcome::Refused { why: "cyber".into() },
        ] {
            let end = EndEntry::of(&outcome).unwrap();
            let line = Entry::new(EntryKind::End(end), Timestamp::UNIX_EPOCH).to_line();
            let (entry, at) = Entry::parse(&line).unwrap();
            let EntryKind::End(end) = entry.kind else { panic!("{line}") };
            assert_eq!((end.outcome().unwrap(), at), (outcome, Timestamp::UNIX_EPOCH));
        }
        assert!(EndEntry::of(&AgentOutcome::Stopped).is_none());
    }

    /// Entries written by version 1; they must be read for ever.
    #[test]
    fn old_lines_are_read() {
        let lines = [
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"begin":{"conversation":1,"model":"m","max_tokens":9,"effort":null,"user_id":"u","system":"s","tools":[{"name": "x"}]}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"user":{"content":[{"type":"text", "text":"\u00e9"}]}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"reserved":{"reservation":"0192f0c1-0000-7000-8000-000000000000","amount_nano_usd":5}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"assistant":{"reservation":"0192f0c1-0000-7000-8000-000000000000","message_id":"msg","content":[],"stop_reason":"tool_use","usage":{"input_tokens":1,"cache_write_tokens":2,"cache_read_tokens":3,"output_tokens":4},"cost_nano_usd":7}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"cut_off":{"reservation":"0192f0c1-0000-7000-8000-000000000000","why":"reset"}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"unspent":{"reservation":"0192f0c1-0000-7000-8000-000000000000","why":"529"}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"tool":{"tool_use_id":"t","name":"read_file","is_error":false,"is_bad_call":false,"text":"x","digest":"d","seen":[{"path":"a","hash":"h"}],"n_warnings":0,"is_nudged":false}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":"resumed"}"#,
            r#"{"v":1,"at":"2026-11-22T07:00:00Z","entry":{"unspent":{"reservation":"0192f0c1-0000-7000-8000-000000000000","why":"529","waited_ms":9}}}"#,
            r#"{"v":1,"at":"2026-11-22T07:00:00Z","entry":{"waited":{"waited_ms":20}}}"#,
            r#"{"v":1,"at":"2026-11-22T07:00:00Z","entry":{"tool":{"tool_use_id":"t","name":"read_file","is_error":true,"is_bad_call":false,"is_skipped":true,"asks_hand_over":true,"text":"x","digest":"","n_warnings":0,"is_nudged":false}}}"#,
            r#"{"v":1,"at":"2026-11-21T07:00:00Z","entry":{"end":{"how":"gave_up","why":"stuck"}}}"#,
        ];
        for line in lines {
            // Written again they are the same, raw JSON byte for byte.
            assert_eq!(Entry::parse(line).unwrap().0.to_line(), line);
        }
        for line in [r#"{"v":2,"at":"2026-11-21T07:00:00Z","entry":"resumed"}"#, "{}", ""] {
            assert!(Entry::parse(line).is_err(), "{line}");
        }
    }
}
