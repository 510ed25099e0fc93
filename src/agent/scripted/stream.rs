//! A turn as the events of a stream.

use serde_json::{Value, json};

use super::blocks::SentBlock;
use crate::agent::usage::Usage;

/// Characters per delta: small, so that every client has to put pieces together.
const DELTA_CHARS: usize = 24;

/// The events of a whole answer, each as it stands in the stream.
pub(super) fn events(
    message_id: &str,
    model: &str,
    blocks: &[SentBlock],
    stop: (&str, Option<&str>),
    usage: &Usage,
) -> Vec<String> {
    let input = json!({
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": 1,
    });
    let message = json!({
        "id": message_id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": input,
    });
    let mut events = vec![event("message_start", json!({ "message": message })), event("ping", json!({}))];
    for (index, block) in blocks.iter().enumerate() {
        push_block(&mut events, index, block);
    }
    let (stop_reason, category) = stop;
    let mut delta = json!({ "stop_reason": stop_reason, "stop_sequence": null });
    if let Some(category) = category {
        delta["stop_details"] = json!({ "type": "refusal", "category": category });
    }
    let usage = json!({ "output_tokens": usage.output_tokens });
    events.push(event("message_delta", json!({ "delta": delta, "usage": usage })));
    events.push(event("message_stop", json!({})));
    events
}

/// An error event.
pub(super) fn error_event(kind: &str) -> String {
    event("error", json!({ "error": { "type": kind, "message": "as the script says" } }))
}

/// Output tokens of these blocks, four bytes each.
pub(super) fn output_tokens(blocks: &[SentBlock]) -> u64 {
    blocks.iter().map(|block| block.value.to_string().len().div_ceil(4) as u64).sum::<u64>().max(1)
}

fn push_block(events: &mut Vec<String>, index: usize, block: &SentBlock) {
    let text = |field: &str| block.value[field].as_str().unwrap_or_default();
    let (start, deltas): (Value, Vec<Value>) = match text("type") {
        "text" => (
            json!({ "type": "text", "text": "" }),
            pieces(text("text")).map(|it| json!({ "type": "text_delta", "text": it })).collect(),
        ),
        "thinking" => {
            let thoughts = pieces(text("thinking"));
            let thoughts = thoughts.map(|it| json!({ "type": "thinking_delta", "thinking": it }));
            let signature = json!({ "type": "signature_delta", "signature": text("signature") });
            (
                json!({ "type": "thinking", "thinking": "", "signature": "" }),
                thoughts.chain([signature]).collect(),
            )
        }
        _ => {
            let input = block.input.as_deref().unwrap_or_default();
            let mut start = block.value.clone();
            start["input"] = json!({});
            (
                start,
                pieces(input).map(|it| json!({ "type": "input_json_delta", "partial_json": it })).collect(),
            )
        }
    };
    events.push(event("content_block_start", json!({ "index": index, "content_block": start })));
    for delta in deltas {
        events.push(event("content_block_delta", json!({ "index": index, "delta": delta })));
    }
    events.push(event("content_block_stop", json!({ "index": index })));
}

fn event(name: &str, mut data: Value) -> String {
    data["type"] = json!(name);
    format!("event: {name}\ndata: {data}\n\n")
}

/// `text` in pieces of a few characters.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(DELTA_CHARS).map(|piece| piece.iter().collect()).collect::<Vec<String>>().into_iter()
}
