//! The blocks of a scripted turn, with ids and signatures.

use serde_json::{Value, json};

use super::script::ScriptBlock;
use super::wire::SeenMessage;

/// One block to be streamed.
#[derive(Debug, Clone)]
pub(super) struct SentBlock {
    /// As it has to come back.
    pub(super) value: Value,
    /// A tool's input as it is streamed.
    pub(super) input: Option<String>,
}

/// Signs a thought over everything before it, so that neither can be changed.
pub(super) fn signature(head: &str, before: &[SeenMessage], thinking: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add("homeostat scripted thinking 1");
    add(head);
    for message in before {
        add(if message.is_user { "user" } else { "assistant" });
        for block in &message.blocks {
            add(&block.value.to_string());
        }
    }
    add(thinking);
    hasher.finalize().to_hex().to_string()
}

/// The blocks of a turn that follows `before`.
pub(super) fn build(
    blocks: &[ScriptBlock],
    conversation: &str,
    head: &str,
    before: &[SeenMessage],
) -> Vec<SentBlock> {
    let tag = &blake3::hash(conversation.as_bytes()).to_hex()[..8];
    let tool_use = |block_idx: usize, name: &str, input: Value, text: String| {
        let id = format!("toolu_{tag}{:04}{block_idx:02}", before.len());
        let value = json!({ "type": "tool_use", "id": id, "name": name, "input": input });
        SentBlock { value, input: Some(text) }
    };
    let plain = |value| SentBlock { value, input: None };
    let build_one = |(block_idx, block): (usize, &ScriptBlock)| match block {
        ScriptBlock::Text(text) => plain(json!({ "type": "text", "text": text })),
        ScriptBlock::Thinking(thinking) => plain(json!({
            "type": "thinking",
            "thinking": thinking,
            "signature": signature(head, before, thinking),
        })),
        ScriptBlock::ToolUse { name, input } => tool_use(block_idx, name, input.clone(), input.to_string()),
        ScriptBlock::RawToolUse { name, input } => {
            // What is no JSON comes back as the client wraps it.
            let value = serde_json::from_str::<serde_json::Map<String, Value>>(input)
                .map_or_else(|_| json!({ "INVALID_JSON": input }), Value::Object);
            tool_use(block_idx, name, value, input.clone())
        }
    };
    blocks.iter().enumerate().map(build_one).collect()
}
