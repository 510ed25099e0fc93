//! Puts an answer together from the events of its stream.
//!
//! Blocks come out as raw JSON: they go back with every later request, and a thinking block that is changed by a byte is
//! refused. Events, deltas and blocks of unknown kinds are kept or passed over, never an error.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::{quoted, raw};
use crate::agent::usage::Usage;

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct AssistantTurn {
    pub(crate) message_id: String,
    /// Content blocks, raw. Empty text blocks are left out: the API gives them but does not take them back.
    pub(crate) blocks: Vec<Box<RawValue>>,
    pub(crate) stop_reason: StopReason,
    pub(crate) usage: Usage,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StopReason {
    EndTurn,
    MaxTokens,
    StopSequence,
    ToolUse,
    PauseTurn,
    /// With the category, where one is given.
    Refusal(String),
    ContextFull,
    /// One that this version does not know.
    Other(String),
}

impl StopReason {
    pub(crate) fn from_name(name: &str, detail: &str) -> Self {
        match name {
            "end_turn" => Self::EndTurn,
            "max_tokens" => Self::MaxTokens,
            "stop_sequence" => Self::StopSequence,
            "tool_use" => Self::ToolUse,
            "pause_turn" => Self::PauseTurn,
            "refusal" => Self::Refusal(detail.to_owned()),
            "model_context_window_exceeded" => Self::ContextFull,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name on the wire and in the transcript, and the detail.
    pub(crate) fn parts(&self) -> (&str, &str) {
        match self {
            Self::EndTurn => ("end_turn", ""),
            Self::MaxTokens => ("max_tokens", ""),
            Self::StopSequence => ("stop_sequence", ""),
            Self::ToolUse => ("tool_use", ""),
            Self::PauseTurn => ("pause_turn", ""),
            Self::Refusal(category) => ("refusal", category),
            Self::ContextFull => ("model_context_window_exceeded", ""),
            Self::Other(name) => (name, ""),
        }
    }
}

/// Why a stream is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokenStream {
    /// An `error` event after the 200.
    Error { kind: String, message: String },
    /// An event that cannot be read, or that does not fit the ones before it.
    Malformed(String),
}

/// Takes the events of one answer in order.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    message_id: String,
    blocks: Vec<Building>,
    stop_reason: Option<StopReason>,
    usage: Usage,
    is_started: bool,
    is_stopped: bool,
}

#[derive(Debug)]
struct Building {
    /// As the stream began it.
    start: Box<RawValue>,
    value: Value,
    partial_json: String,
    is_changed: bool,
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(rename = "type")]
    kind: String,
    index: Option<usize>,
    message: Option<WireMessage>,
    content_block: Option<Box<RawValue>>,
    delta: Option<Value>,
    usage: Option<WireUsage>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireMessage {
    id: String,
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

/// `error` of an event, and of the body of a refused request.
#[derive(Debug, Deserialize)]
pub(crate) struct WireError {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) message: String,
}

impl Assembler {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &str) -> Result<(), BrokenStream> {
        let event: WireEvent = serde_json::from_str(data)
            .map_err(|error| BrokenStream::Malformed(format!("an event is not JSON: {error}")))?;
        match event.kind.as_str() {
            "message_start" => {
                let message = event.message.ok_or_else(|| malformed("message_start without a message"))?;
                self.is_started = true;
                self.message_id = message.id;
                self.count(message.usage);
            }
            "content_block_start" => self.start_block(event.index, event.content_block)?,
            "content_block_delta" => {
                let delta = event.delta.ok_or_else(|| malformed("a delta event without a delta"))?;
                self.change_block(event.index, &delta)?;
            }
            "message_delta" => {
                self.count(event.usage);
                self.note_stop(&event.delta.unwrap_or_default());
            }
            "message_stop" => self.is_stopped = true,
            "error" => {
                let WireError { kind, message } =
                    event.error.ok_or_else(|| malformed("an error event without an error"))?;
                return Err(BrokenStream::Error { kind, message });
            }
            // `content_block_stop`, `ping`, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    /// Whether the last event has come.
    pub(crate) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The answer, once its last event has come.
    pub(crate) fn finish(self) -> Result<AssistantTurn, BrokenStream> {
        if !self.is_started || !self.is_stopped {
            return Err(malformed("the stream ended before the answer did"));
        }
        let stop_reason = self.stop_reason.ok_or_else(|| malformed("the answer has no stop reason"))?;
        let blocks = self.blocks.into_iter().filter_map(Building::finish).collect();
        Ok(AssistantTurn { message_id: self.message_id, blocks, stop_reason, usage: self.usage })
    }

    /// Usage is cumulative: a number replaces the one before it.
    fn count(&mut self, usage: Option<WireUsage>) {
        let Some(usage) = usage else { return };
        let replace = |to: &mut u64, from: Option<u64>| *to = from.unwrap_or(*to);
        replace(&mut self.usage.input_tokens, usage.input_tokens);
        replace(&mut self.usage.cache_write_tokens, usage.cache_creation_input_tokens);
        replace(&mut self.usage.cache_read_tokens, usage.cache_read_input_tokens);
        replace(&mut self.usage.output_tokens, usage.output_tokens);
    }

    fn note_stop(&mut self, delta: &Value) {
        if let Some(name) = delta["stop_reason"].as_str() {
            let detail = delta["stop_details"]["category"].as_str().unwrap_or_default();
            self.stop_reason = Some(StopReason::from_name(name, detail));
        }
    }

    fn start_block(
        &mut self,
        index: Option<usize>,
        block: Option<Box<RawValue>>,
    ) -> Result<(), BrokenStream> {
        let start = block.ok_or_else(|| malformed("a block without content"))?;
        if index != Some(self.blocks.len()) {
            return Err(malformed("a block out of order"));
        }
        let value: Value = serde_json::from_str(start.get())
            .map_err(|error| BrokenStream::Malformed(format!("a block is not JSON: {error}")))?;
        if !value.is_object() {
            return Err(malformed("a block that is not an object"));
        }
        self.blocks.push(Building { start, value, partial_json: String::new(), is_changed: false });
        Ok(())
    }

    fn change_block(&mut self, index: Option<usize>, delta: &Value) -> Result<(), BrokenStream> {
        let block = index.and_then(|index| self.blocks.get_mut(index));
        let block = block.ok_or_else(|| malformed("a delta for a block that was not begun"))?;
        let text_of = |field: &str| delta[field].as_str().unwrap_or_default();
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => block.append("text", text_of("text")),
            "thinking_delta" => block.append("thinking", text_of("thinking")),
            "signature_delta" => block.append("signature", text_of("signature")),
            "input_json_delta" => block.partial_json.push_str(text_of("partial_json")),
            "citations_delta" => block.cite(delta["citation"].clone()),
            _ => {}
        }
        Ok(())
    }
}

impl Building {
    fn append(&mut self, field: &str, text: &str) {
        self.is_changed = true;
        let field = &mut self.value[field];
        if let Value::String(whole) = field {
            whole.push_str(text);
        } else {
            *field = Value::from(text);
        }
    }

    fn cite(&mut self, citation: Value) {
        self.is_changed = true;
        let field = &mut self.value["citations"];
        if let Value::Array(citations) = field {
            citations.push(citation);
        } else {
            *field = Value::from(vec![citation]);
        }
    }

    /// The block as it goes back; `None` for an empty text.
    fn finish(self) -> Option<Box<RawValue>> {
        let kind = self.value["type"].as_str().unwrap_or_default();
        if kind == "text" && self.value["text"].as_str().unwrap_or_default().is_empty() {
            return None;
        }
        if !self.partial_json.is_empty() {
            return Some(self.with_input());
        }
        Some(if self.is_changed { raw(self.value.to_string()) } else { self.start })
    }

    /// The input exactly as the model wrote it. What is not JSON is wrapped, so that the history stays valid and the tool can say so.
    fn with_input(self) -> Box<RawValue> {
        let is_object = serde_json::from_str::<serde_json::Map<String, Value>>(&self.partial_json).is_ok();
        let input = if is_object {
            self.partial_json
        } else {
            format!(r#"{{"{INVALID_INPUT}":{}}}"#, quoted(&self.partial_json))
        };
        let text_of = |field: &str| quoted(self.value[field].as_str().unwrap_or_default());
        raw(format!(
            r#"{{"type":{},"id":{},"name":{},"input":{input}}}"#,
            text_of("type"),
            text_of("id"),
            text_of("name")
        ))
    }
}

/// Key under which an input that is no JSON object is kept.
pub(crate) const INVALID_INPUT: &str = "INVALID_JSON";

fn malformed(what: &str) -> BrokenStream {
    BrokenStream::Malformed(what.to_owned())
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
