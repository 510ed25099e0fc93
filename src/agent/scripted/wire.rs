//! A request as it came in, read without losing a byte of its blocks.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Why a request is refused, as the API says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Refusal {
    /// 400, the most frequent one.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, kind: "invalid_request_error", message: message.into() }
    }
}

/// Every field that the real API has, most of them to be refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireRequest {
    pub(super) model: String,
    pub(super) max_tokens: Option<i64>,
    pub(super) messages: Vec<WireMessage>,
    pub(super) stream: Option<bool>,
    pub(super) system: Option<Box<RawValue>>,
    pub(super) tools: Option<Vec<Box<RawValue>>>,
    pub(super) metadata: Option<Value>,
    pub(super) output_config: Option<Value>,
    pub(super) stop_sequences: Option<Value>,
    pub(super) service_tier: Option<Value>,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<i64>,
    pub(super) tool_choice: Option<Value>,
    pub(super) thinking: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMessage {
    pub(super) role: String,
    pub(super) content: Box<RawValue>,
}

/// One message with its blocks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenMessage {
    pub(super) is_user: bool,
    pub(super) blocks: Vec<SeenBlock>,
}

/// One block without its cache breakpoint, which may move.
#[derive(Debug, Clone)]
pub(super) struct SeenBlock {
    /// The bytes, if they are known without the breakpoint.
    text: Option<String>,
    pub(super) value: Value,
    pub(super) is_breakpoint: bool,
}

impl PartialEq for SeenBlock {
    /// Byte for byte where that is known, else by meaning. Where the breakpoints are does not matter.
    fn eq(&self, other: &Self) -> bool {
        match (&self.text, &other.text) {
            (Some(text), Some(other)) => text == other,
            (_, _) => self.value == other.value,
        }
    }
}

impl SeenBlock {
    pub(super) fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or_default()
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.text.as_ref().map_or_else(|| self.value.to_string().len(), String::len)
    }

    fn parse(raw: &str) -> Result<Self, Refusal> {
        let mut value: Value =
            serde_json::from_str(raw).map_err(|error| Refusal::invalid(error.to_string()))?;
        let Some(fields) = value.as_object_mut() else {
            return Err(Refusal::invalid("a content block must be an object"));
        };
        let is_breakpoint = fields.remove("cache_control").is_some();
        let text = if is_breakpoint { without_breakpoint(raw, &value) } else { Some(raw.to_owned()) };
        Ok(Self { text, value, is_breakpoint })
    }
}

/// The bytes of a block without its breakpoint, in the usual spelling.
fn without_breakpoint(raw: &str, value: &Value) -> Option<String> {
    const CACHE_CONTROL: &str = r#""cache_control":{"type":"ephemeral"}"#;
    [format!("{CACHE_CONTROL},"), format!(",{CACHE_CONTROL}")]
        .iter()
        .map(|spelling| raw.replacen(spelling.as_str(), "", 1))
        .find(|text| serde_json::from_str::<Value>(text).is_ok_and(|found| found == *value))
}

/// Blocks of a message or of the system prompt: a string is one text block.
pub(super) fn blocks(content: &RawValue) -> Result<Vec<SeenBlock>, Refusal> {
    let wrong = |_| Refusal::invalid("content must be a string or a list of blocks");
    if content.get().starts_with('"') {
        let text: String = serde_json::from_str(content.get()).map_err(wrong)?;
        let value = serde_json::json!({ "type": "text", "text": text });
        return Ok(vec![SeenBlock { text: None, value, is_breakpoint: false }]);
    }
    let raws: Vec<Box<RawValue>> = serde_json::from_str(content.get()).map_err(wrong)?;
    raws.iter().map(|raw| SeenBlock::parse(raw.get())).collect()
}

/// The messages, each with its blocks.
pub(super) fn messages(wire: &[WireMessage]) -> Result<Vec<SeenMessage>, Refusal> {
    wire.iter()
        .enumerate()
        .map(|(message_idx, message)| {
            let is_user = match message.role.as_str() {
                "user" => true,
                "assistant" => false,
                other => {
                    return Err(Refusal::invalid(format!(
                        "messages.{message_idx}.role: Input should be 'user' or 'assistant', not '{other}'"
                    )));
                }
            };
            Ok(SeenMessage { is_user, blocks: blocks(&message.content)? })
        })
        .collect()
}
