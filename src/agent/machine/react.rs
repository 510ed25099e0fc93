//! What an answer of the model means: one reaction for each reason to stop.

use super::conversation::{Block, read_block};
use super::event::ToolCall;
use crate::agent::client::assemble::StopReason;
use crate::agent::entry::AssistantEntry;

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// It asks for these tools.
    RunTools(Vec<ToolCall>),
    /// It will go on if it is called again with its own turn at the end.
    GoOn,
    /// It said something and stopped.
    Said(String),
    /// It stopped without a word: call it again.
    Empty,
    /// Its output was cut short; half a tool call cannot be sent back.
    CutShort,
    /// It will not go on, in this category.
    Refused(String),
    /// Its context is full.
    ContextFull,
}

impl Reaction {
    /// What `entry` means. Depends on nothing else, so that a replay finds the same.
    pub(super) fn to(entry: &AssistantEntry) -> Self {
        let blocks: Vec<Block> = entry.content.iter().map(|block| read_block(block)).collect();
        match entry.stop_reason() {
            StopReason::MaxTokens => Self::CutShort,
            StopReason::Refusal(category) => Self::Refused(category),
            StopReason::ContextFull => Self::ContextFull,
            StopReason::PauseTurn if !blocks.is_empty() => Self::GoOn,
            StopReason::PauseTurn => Self::Empty,
            StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse | StopReason::Other(_) => {
                Self::to_blocks(blocks)
            }
        }
    }

    fn to_blocks(blocks: Vec<Block>) -> Self {
        let mut said = String::new();
        let mut calls = Vec::new();
        for block in blocks {
            match block {
                Block::Text(text) => said.push_str(&text),
                Block::ToolUse(call) => calls.push(call),
                Block::Other => {}
            }
        }
        if !calls.is_empty() {
            Self::RunTools(calls)
        } else if said.trim().is_empty() {
            Self::Empty
        } else {
            Self::Said(said)
        }
    }
}

/// The words of an answer, for people.
pub(super) fn words(entry: &AssistantEntry) -> String {
    let texts = entry.content.iter().filter_map(|block| match read_block(block) {
        Block::Text(text) => Some(text),
        Block::ToolUse(_) | Block::Other => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The tool calls of an answer, in their order.
pub(in crate::agent) fn calls_of(entry: &AssistantEntry) -> Vec<ToolCall> {
    let calls = entry.content.iter().filter_map(|block| match read_block(block) {
        Block::ToolUse(call) => Some(call),
        Block::Text(_) | Block::Other => None,
    });
    calls.collect()
}
