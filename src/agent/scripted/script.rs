//! What the scripted model says, as data.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// What one kind of conversation is answered with.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Part of the first user turn; the first script that fits is played. Empty fits all.
    #[serde(default)]
    pub when: String,
    /// Only for this model.
    #[serde(default)]
    pub model: Option<String>,
    /// The turn that follows `n` turns of the model in the history is number `n`. After the last one the model says that the
    /// script is over.
    pub turns: Vec<Turn>,
}

/// One turn of the model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// What is given in its place, each once per conversation, in order.
    #[serde(default)]
    pub before: Vec<Instead>,
    pub blocks: Vec<ScriptBlock>,
    /// `tool_use` if there is a tool call, else `end_turn`.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// Category of a refusal.
    #[serde(default)]
    pub stop_category: Option<String>,
}

/// One block of a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScriptBlock {
    Text(String),
    /// Signed by the server.
    Thinking(String),
    ToolUse {
        name: String,
        input: Value,
    },
    /// A tool call whose input is this text, JSON or not.
    RawToolUse {
        name: String,
        input: String,
    },
}

/// What is given in place of a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Instead {
    /// Another turn: an empty one, one that is cut short, a refusal.
    Answer(Turn),
    /// An error before the answer begins.
    Status {
        status: u16,
        kind: String,
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The answer breaks off after so many events.
    BreakOff { n_events: usize },
    /// After so many events comes an error event.
    ErrorEvent { n_events: usize, kind: String },
    /// After so many events comes one that is not JSON.
    Malformed { n_events: usize },
    /// After so many events nothing comes any more, and the connection stays.
    Hang { n_events: usize },
    /// The answer begins so late; then it is the turn, or what comes next in its place.
    Delay { milliseconds: u64 },
}

impl Script {
    /// Reads a script from JSON.
    ///
    /// # Errors
    /// Names the place that cannot be read.
    pub fn from_json(json: &str) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
    }

    /// A script of these turns, for every conversation.
    pub fn new(turns: Vec<Turn>) -> Self {
        Self { turns, ..Self::default() }
    }
}

impl Turn {
    /// A turn of these blocks.
    pub fn new(blocks: Vec<ScriptBlock>) -> Self {
        Self { blocks, ..Self::default() }
    }

    /// A turn that calls one tool.
    pub fn tool(name: &str, input: Value) -> Self {
        Self::new(vec![ScriptBlock::ToolUse { name: name.to_owned(), input }])
    }

    /// A turn of words alone.
    pub fn text(text: &str) -> Self {
        Self::new(vec![ScriptBlock::Text(text.to_owned())])
    }

    /// The turn with `instead` given first.
    #[must_use]
    pub fn after(mut self, instead: Instead) -> Self {
        self.before.push(instead);
        self
    }

    /// The turn with another reason to stop.
    #[must_use]
    pub fn stopped_by(mut self, reason: &str) -> Self {
        self.stop_reason = Some(reason.to_owned());
        self
    }
}

impl Instead {
    /// An error with this status, without further headers.
    pub fn status(status: u16, kind: &str) -> Self {
        Self::Status { status, kind: kind.to_owned(), headers: Vec::new() }
    }

    pub(super) const fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay { milliseconds } => Some(Duration::from_millis(*milliseconds)),
            Self::Answer(_)
            | Self::Status { .. }
            | Self::BreakOff { .. }
            | Self::ErrorEvent { .. }
            | Self::Malformed { .. }
            | Self::Hang { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_from_json() {
        let script = Script::from_json(
            r#"{"when": "shop", "turns": [
                {"blocks": [{"thinking": "hm"}, {"tool_use": {"name": "git_status", "input": {}}}]},
                {"before": [{"status": {"status": 529, "kind": "overloaded_error"}}, {"delay": {"milliseconds": 5}}],
                 "blocks": [{"text": "done"}], "stop_reason": "end_turn"}]}"#,
        )
        .unwrap();
        assert_eq!((script.turns.len(), script.turns[1].before.len()), (2, 2));
        let wrong = Script::from_json(r#"{"turns": [{"blocks": [{"txt": "x"}]}]}"#).unwrap_err();
        assert_eq!(wrong.path().to_string(), "turns[0].blocks[0]");
    }
}
