//! What the messages must be by themselves: turns, texts, and each tool call with its one result.

use super::wire::{Refusal, SeenBlock, SeenMessage};

/// Checks the messages. `may_continue`: the model paused, so its own turn may stand at the end.
pub(super) fn check(messages: &[SeenMessage], may_continue: bool) -> Result<(), Refusal> {
    match (messages.first(), messages.last()) {
        (None, _) | (_, None) => {
            return Err(Refusal::invalid("messages: at least one message is required"));
        }
        (Some(first), _) if !first.is_user => {
            return Err(Refusal::invalid("messages: first message must use the \"user\" role"));
        }
        (_, Some(last)) if !last.is_user && !may_continue => {
            return Err(Refusal::invalid(
                "This model does not support assistant message prefill. The conversation must end with a user message.",
            ));
        }
        (Some(_), Some(_)) => {}
    }
    for (message_idx, message) in messages.iter().enumerate() {
        check_blocks(message_idx, message)?;
        let before = message_idx.checked_sub(1).map(|idx| &messages[idx]);
        if message.is_user {
            check_results(message_idx, before, message)?;
        }
        let is_answered = messages.get(message_idx + 1).is_some_and(|next| next.is_user);
        if !message.is_user && !is_answered && !calls(message).is_empty() {
            return Err(missing_results(message_idx, &calls(message)));
        }
    }
    Ok(())
}

fn check_blocks(message_idx: usize, message: &SeenMessage) -> Result<(), Refusal> {
    if message.blocks.is_empty() {
        return Err(Refusal::invalid(format!(
            "messages.{message_idx}: all messages must have non-empty content"
        )));
    }
    for (block_idx, block) in message.blocks.iter().enumerate() {
        let place = format!("messages.{message_idx}.content.{block_idx}");
        let text = block.value["text"].as_str().unwrap_or_default();
        match (block.kind(), message.is_user) {
            ("text", _) if text.trim().is_empty() => {
                return Err(Refusal::invalid(format!("{place}: text content blocks must be non-empty")));
            }
            ("text", _) | ("tool_result", true) => {}
            ("thinking" | "redacted_thinking" | "tool_use", false) => {}
            (kind, _) => {
                return Err(Refusal::invalid(format!("{place}.type: \"{kind}\" is not expected here")));
            }
        }
    }
    Ok(())
}

/// Ids of the tool calls of a message.
fn calls(message: &SeenMessage) -> Vec<String> {
    ids(message.blocks.iter().filter(|block| block.kind() == "tool_use"), "id")
}

fn ids<'a>(blocks: impl Iterator<Item = &'a SeenBlock>, field: &str) -> Vec<String> {
    blocks.map(|block| block.value[field].as_str().unwrap_or_default().to_owned()).collect()
}

/// A user's turn answers all calls of the turn before it, and those alone, in their order, with nothing before or after.
fn check_results(
    message_idx: usize,
    before: Option<&SeenMessage>,
    message: &SeenMessage,
) -> Result<(), Refusal> {
    let asked = before.filter(|before| !before.is_user).map(calls).unwrap_or_default();
    let results = || message.blocks.iter().filter(|block| block.kind() == "tool_result");
    let answered = ids(results(), "tool_use_id");
    if let Some(unknown) = answered.iter().find(|id| !asked.contains(id)) {
        return Err(Refusal::invalid(format!(
            "messages.{message_idx}: unexpected `tool_use_id` found in `tool_result` blocks: {unknown}. Each `tool_result` block \
             must have a corresponding `tool_use` block in the previous message."
        )));
    }
    let missing: Vec<String> = asked.iter().filter(|id| !answered.contains(id)).cloned().collect();
    if !missing.is_empty() {
        return Err(missing_results(message_idx - 1, &missing));
    }
    if answered.len() > asked.len() {
        return Err(Refusal::invalid(format!(
            "messages.{message_idx}: each tool_use must have a single result. Found multiple `tool_result` blocks for one id."
        )));
    }
    if answered != asked {
        return Err(Refusal::invalid(format!(
            "messages.{message_idx}: tool results are not in the calls' order"
        )));
    }
    if !asked.is_empty() && results().count() < message.blocks.len() {
        return Err(Refusal::invalid(format!(
            "messages.{message_idx}: nothing but tool results may answer a turn with tool calls"
        )));
    }
    let empty = results().find(|block| block.value["content"].as_str().is_some_and(str::is_empty));
    match empty {
        Some(_) => Err(Refusal::invalid(format!("messages.{message_idx}: a tool result is empty"))),
        None => Ok(()),
    }
}

fn missing_results(message_idx: usize, ids: &[String]) -> Refusal {
    Refusal::invalid(format!(
        "messages.{message_idx}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` \
         block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    ))
}
