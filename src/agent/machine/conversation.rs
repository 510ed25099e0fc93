//! One conversation with a model: its history, and the tool calls that wait for an answer.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::ToolCall;
use crate::agent::client::request::{Message, ModelRequest, Role, tool_result_block};
use crate::agent::entry::{AssistantEntry, BeginEntry, ToolEntry};
use crate::agent::usage::Usage;

/// Tokens that the API adds to a prompt with tools, generously.
const OVERHEAD_TOKENS: u64 = 2_000;

/// A conversation under way.
#[derive(Debug)]
pub(super) struct Conversation {
    begin: BeginEntry,
    /// Output of the next call; grows after an answer that was cut short.
    max_tokens: u64,
    messages: Vec<Message>,
    pending: VecDeque<ToolCall>,
    /// Answers to the calls of the last turn that have run.
    results: Vec<Box<RawValue>>,
    /// Tokens of the history as the API counted them, and its bytes then.
    counted: Option<(u64, usize)>,
    /// How often the model was asked for a hand-over.
    n_asked: u32,
}

/// What the machine needs to know of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    Text(String),
    ToolUse(ToolCall),
    /// Thinking, and everything else that only goes back as it came.
    Other,
}

impl Conversation {
    pub(super) fn new(begin: BeginEntry) -> Self {
        let max_tokens = begin.max_tokens;
        Self {
            begin,
            max_tokens,
            messages: Vec::new(),
            pending: VecDeque::new(),
            results: Vec::new(),
            counted: None,
            n_asked: 0,
        }
    }

    /// How often the model was asked for a hand-over: once it was, no tool is run any more.
    pub(super) const fn n_asked(&self) -> u32 {
        self.n_asked
    }

    /// Whether the model said anything in it.
    pub(super) fn has_answers(&self) -> bool {
        self.messages.iter().any(|message| message.role == Role::Assistant)
    }

    /// How many calls of the last turn have their answer.
    pub(super) fn n_answered(&self) -> usize {
        self.results.len()
    }

    /// About how many tokens the next prompt will have, with so many more bytes.
    pub(super) fn prompt_estimate(&self, more_bytes: usize) -> u64 {
        const BYTES_PER_TOKEN: usize = 3;
        let (tokens, counted_bytes) = self.counted.unwrap_or((OVERHEAD_TOKENS, 0));
        let new_bytes = self.content_bytes().saturating_sub(counted_bytes) + more_bytes;
        tokens + (new_bytes / BYTES_PER_TOKEN) as u64
    }

    /// The most tokens that the next call can use.
    pub(super) fn worst_tokens(&self) -> u64 {
        self.prompt_bound() + self.max_tokens
    }

    pub(super) fn number(&self) -> u32 {
        self.begin.conversation
    }

    pub(super) fn model(&self) -> &str {
        &self.begin.model
    }

    pub(super) const fn max_tokens(&self) -> u64 {
        self.max_tokens
    }

    /// What its first turn says after the task.
    pub(super) fn note(&self) -> Option<&str> {
        self.begin.note.as_deref()
    }

    /// Whether nothing has been said yet.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The next call that waits for its answer.
    pub(super) fn next_call(&self) -> Option<&ToolCall> {
        self.pending.front()
    }

    /// Whether the next answer is the last of its message.
    pub(super) fn is_last_call(&self) -> bool {
        self.pending.len() == 1
    }

    /// The request for the next turn of the model.
    pub(super) fn request(&self) -> ModelRequest {
        ModelRequest {
            model: self.begin.model.clone(),
            max_tokens: self.max_tokens,
            effort: self.begin.effort.clone(),
            user_id: self.begin.user_id.clone(),
            system: self.begin.system.clone(),
            tools: self.begin.tools.clone(),
            messages: self.messages.clone(),
        }
    }

    /// More tokens than the next prompt can have: a token is never less than a byte.
    pub(super) fn prompt_bound(&self) -> u64 {
        let bytes = self.content_bytes();
        match self.counted {
            Some((tokens, counted_bytes)) => {
                tokens + (bytes - counted_bytes.min(bytes)) as u64 + OVERHEAD_TOKENS
            }
            None => bytes as u64 + OVERHEAD_TOKENS,
        }
    }

    pub(super) fn push_user(&mut self, blocks: Vec<Box<RawValue>>) {
        self.messages.push(Message { role: Role::User, blocks });
    }

    /// Adds the model's turn to the history, with the calls it asks for.
    pub(super) fn push_assistant(&mut self, entry: &AssistantEntry, calls: Vec<ToolCall>) {
        self.messages.push(Message { role: Role::Assistant, blocks: entry.content.clone() });
        self.pending = calls.into();
        self.count(Usage::from(entry.usage).total_tokens());
    }

    /// Notes the usage of a turn that does not become part of the history.
    pub(super) fn pass_over(&mut self, entry: &AssistantEntry, max_tokens: u64) {
        self.max_tokens = max_tokens;
        self.count(Usage::from(entry.usage).prompt_tokens());
    }

    fn count(&mut self, tokens: u64) {
        self.counted = Some((tokens, self.content_bytes()));
    }

    /// Answers the next call; once all are answered they become one message.
    pub(super) fn push_result(&mut self, entry: &ToolEntry) -> Result<ToolCall, String> {
        let call = self.pending.pop_front().ok_or("a tool ran that was not called")?;
        if call.id != entry.tool_use_id {
            return Err(format!("the call `{}` waits, not `{}`", call.id, entry.tool_use_id));
        }
        self.n_asked += u32::from(entry.asks_hand_over);
        self.results.push(tool_result_block(&entry.tool_use_id, &entry.text, entry.is_error));
        if self.pending.is_empty() {
            let blocks = std::mem::take(&mut self.results);
            self.push_user(blocks);
        }
        Ok(call)
    }

    fn content_bytes(&self) -> usize {
        let messages = self.messages.iter().flat_map(|message| &message.blocks).chain(&self.results);
        self.begin.system.len()
            + self.begin.tools.get().len()
            + messages.map(|block| block.get().len()).sum::<usize>()
    }
}

/// Reads what matters of a block. One that cannot be read is kept all the same.
pub(super) fn read_block(raw: &RawValue) -> Block {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        text: String,
        #[serde(default)]
        id: String,
        #[serde(default)]
        name: String,
        input: Option<Box<RawValue>>,
    }
    let Ok(wire) = serde_json::from_str::<Wire>(raw.get()) else { return Block::Other };
    match (wire.kind.as_str(), wire.input) {
        ("text", _) => Block::Text(wire.text),
        ("tool_use", input) => {
            let input = input.map_or_else(|| "{}".to_owned(), |input| input.get().to_owned());
            Block::ToolUse(ToolCall { id: wire.id, name: wire.name, input })
        }
        _ => Block::Other,
    }
}
