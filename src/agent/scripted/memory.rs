//! What the server remembers of a conversation: history only grows, and the model's turns come back as they were.

use std::collections::BTreeMap;

use serde_json::Value;

use super::blocks::signature;
use super::wire::{Refusal, SeenBlock, SeenMessage};
use crate::agent::usage::Usage;

/// One conversation.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// What goes before the messages, word for word.
    head: Option<String>,
    history: Vec<SeenMessage>,
    /// Turns that were sent after so many messages; the client may have dropped all but one of them.
    sent: BTreeMap<usize, Vec<Vec<Value>>>,
    /// How many of each turn's `before` were given.
    pub(super) n_given: BTreeMap<usize, usize>,
    /// Whether the last answer was a pause, so that it may stand at the end.
    pub(super) is_paused: bool,
    /// Bytes of prefixes that are in the prompt cache.
    cached: Vec<usize>,
}

impl Conversation {
    /// Checks a request against what was seen before, and remembers it.
    pub(super) fn check(&mut self, head: &str, messages: &[SeenMessage]) -> Result<(), Refusal> {
        if self.head.as_ref().is_some_and(|known| known != head) {
            return Err(Refusal::invalid(
                "system and tools have changed within the conversation; history must be append-only",
            ));
        }
        let n_known = self.history.len();
        let differs = self.history.iter().zip(messages).position(|(known, now)| known != now);
        let differs = differs.or((messages.len() < n_known).then_some(messages.len()));
        if let Some(message_idx) = differs {
            return Err(Refusal::invalid(format!(
                "messages.{message_idx}: history has changed since the last request; it must be append-only"
            )));
        }
        for (message_idx, message) in messages.iter().enumerate().skip(n_known) {
            if message.is_user {
                continue;
            }
            check_signatures(message_idx, head, messages)?;
            let came_back: Vec<Value> = message.blocks.iter().map(|block| block.value.clone()).collect();
            let is_known = self.sent.get(&message_idx).is_none_or(|sent| sent.contains(&came_back));
            if !is_known {
                return Err(Refusal::invalid(format!(
                    "messages.{message_idx}: the assistant's turn is not the one that was sent"
                )));
            }
        }
        self.head = Some(head.to_owned());
        self.history = messages.to_vec();
        Ok(())
    }

    /// Notes a turn that was sent after the history as it is.
    pub(super) fn note_sent(&mut self, blocks: Vec<Value>) {
        self.sent.entry(self.history.len()).or_default().push(blocks);
    }

    /// Input tokens of a request, four bytes each, by what is in the cache; what ends in a breakpoint is there from now on.
    pub(super) fn count_input(&mut self, head: &str, messages: &[SeenMessage]) -> Usage {
        let mut at = head.len();
        let mut last_breakpoint = if head.contains("\"cache_control\"") { at } else { 0 };
        let mut breakpoints = vec![last_breakpoint];
        for block in messages.iter().flat_map(|message| &message.blocks) {
            at += block.n_bytes();
            if block.is_breakpoint {
                last_breakpoint = at;
                breakpoints.push(at);
            }
        }
        let read = self.cached.iter().copied().filter(|known| *known <= last_breakpoint).max().unwrap_or(0);
        self.cached.extend(breakpoints);
        let tokens = |bytes: usize| bytes.div_ceil(4) as u64;
        Usage {
            input_tokens: tokens(at - last_breakpoint),
            cache_write_tokens: tokens(last_breakpoint - read),
            cache_read_tokens: tokens(read),
            output_tokens: 0,
        }
    }
}

/// Every thinking block of the message must be signed for exactly what stands before it.
fn check_signatures(message_idx: usize, head: &str, messages: &[SeenMessage]) -> Result<(), Refusal> {
    for (block_idx, block) in messages[message_idx].blocks.iter().enumerate() {
        if block.kind() != "thinking" {
            continue;
        }
        let text = |field: &str| block.value[field].as_str().unwrap_or_default();
        if text("signature") != signature(head, &messages[..message_idx], text("thinking")) {
            return Err(Refusal::invalid(format!(
                "messages.{message_idx}.content.{block_idx}: Invalid `signature` in `thinking` block"
            )));
        }
    }
    Ok(())
}

/// What goes before the messages. Breakpoints belong to it: they do not move there.
pub(super) fn head(model: &str, tools: &str, system: &[SeenBlock]) -> String {
    let mut head = format!("{model}\n{tools}");
    for block in system {
        head.push('\n');
        head.push_str(&block.value.to_string());
        if block.is_breakpoint {
            head.push_str("\"cache_control\"");
        }
    }
    head
}
