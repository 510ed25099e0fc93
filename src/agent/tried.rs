//! What an attempt did, told from its transcript: for the report of one that did not come to say it itself.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::entry::{Entry, EntryKind};
use crate::base::redact::{Clean, Redactor};

/// Most actions told: the first two and the last ones say how it went.
const MAX_ACTIONS: usize = 12;
const MAX_FIRST: usize = 2;
/// Characters of one action.
const MAX_CHARS: usize = 200;
/// Characters of its last words.
const MAX_WORDS: usize = 600;

/// A block of the model's answer, as far as it matters here.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    Text {
        text: String,
    },
    #[serde(other)]
    Other,
}

/// A sentence per action that changed or ran something, how much was only looked at, and what the model said last. Empty if nothing was
/// done. Lines that cannot be read say nothing.
pub fn tried(lines: &[String], redactor: &Redactor) -> Vec<Clean> {
    let (mut calls, mut order) = (BTreeMap::new(), Vec::new());
    let mut actions = Vec::new();
    let (mut n_looked, mut words) = (0_usize, String::new());
    for (entry, _) in lines.iter().filter_map(|line| Entry::parse(line).ok()) {
        match entry.kind {
            EntryKind::Assistant(answer) => {
                for block in &answer.content {
                    match serde_json::from_str(block.get()).unwrap_or(Block::Other) {
                        Block::ToolUse { id, name, input } => {
                            order.push(id.clone());
                            calls.insert(id, (name, input));
                        }
                        Block::Text { text } if !text.trim().is_empty() => words = text,
                        Block::Text { .. } | Block::Other => {}
                    }
                }
            }
            EntryKind::Tool(tool) if !tool.is_skipped => {
                let Some((name, input)) = calls.get(&tool.tool_use_id) else { continue };
                match action(name, input, tool.is_error, &tool.text) {
                    Some(action) => actions.push(action),
                    None => n_looked += 1,
                }
            }
            EntryKind::Tool(_)
            | EntryKind::Begin(_)
            | EntryKind::User(_)
            | EntryKind::Reserved(_)
            | EntryKind::CutOff(_)
            | EntryKind::Unspent(_)
            | EntryKind::Waited(_)
            | EntryKind::Resumed
            | EntryKind::End(_) => {}
        }
    }
    let mut told = Vec::new();
    if n_looked > 0 {
        told.push(format!("It looked at files or searched {n_looked} times."));
    }
    let n_left_out = actions.len().saturating_sub(MAX_ACTIONS);
    for (at, action) in actions.into_iter().enumerate() {
        if at >= MAX_FIRST && at < MAX_FIRST + n_left_out {
            if at == MAX_FIRST {
                told.push(format!("({n_left_out} more actions)"));
            }
            continue;
        }
        told.push(action);
    }
    if !words.trim().is_empty() {
        told.push(format!("It said last: {}", short(&words, MAX_WORDS)));
    }
    told.iter().map(|line| redactor.redact(line)).collect()
}

/// `None` for what only looks.
fn action(name: &str, input: &Value, is_error: bool, text: &str) -> Option<String> {
    let field = |key: &str| short(input[key].as_str().unwrap_or_default(), MAX_CHARS);
    let refused = if is_error { ", which was refused" } else { "" };
    match name {
        "run_command" => {
            let end = short(text.lines().next().unwrap_or_default(), 80);
            Some(format!("It ran `{}`: {end}.", field("command").replace('`', "'")))
        }
        "write_file" => Some(format!("It wrote `{}`{refused}.", field("path"))),
        "edit_file" => Some(format!("It edited `{}`{refused}.", field("path"))),
        "task_complete" => {
            Some(format!("It claimed the outcome {}{refused}: {}.", field("outcome"), short(text, MAX_CHARS)))
        }
        _ => None,
    }
}

/// One line of so many characters.
fn short(text: &str, max_chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max_chars {
        return line;
    }
    line.chars().take(max_chars).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(blocks: &str) -> String {
        format!(
            r#"{{"v":1,"at":"2026-11-20T10:00:00Z","entry":{{"assistant":{{"reservation":"r","message_id":"m","content":[{blocks}],"stop_reason":"tool_use","usage":{{"input_tokens":1,"cache_write_tokens":0,"cache_read_tokens":0,"output_tokens":1}},"cost_nano_usd":1}}}}}}"#
        )
    }

    fn tool(id: &str, is_error: bool, text: &str) -> String {
        format!(
            r#"{{"v":1,"at":"2026-11-20T10:00:00Z","entry":{{"tool":{{"tool_use_id":"{id}","name":"n","is_error":{is_error},"text":"{text}","digest":"d"}}}}}}"#
        )
    }

    #[test]
    fn tells_what_was_changed_and_run() {
        let call = |id: &str, name: &str, input: &str| {
            format!(r#"{{"type":"tool_use","id":"{id}","name":"{name}","input":{input}}}"#)
        };
        let lines = [
            answer(&format!(
                r#"{{"type":"text","text":"I look first."}},{},{}"#,
                call("1", "read_file", r#"{"path":"shop.py"}"#),
                call("2", "edit_file", r#"{"path":"shop.py"}"#),
            )),
            tool("1", false, "text"),
            tool("2", true, "no match"),
            answer(&call("3", "run_command", r#"{"command":"pytest  -q"}"#)),
            tool("3", false, "exit code 1\\nE   ValueError"),
            "not an entry".to_owned(),
        ];
        let told = tried(&lines, &Redactor::builtin());
        let told: Vec<&str> = told.iter().map(Clean::as_str).collect();
        let expected = [
            "It looked at files or searched 1 times.",
            "It edited `shop.py`, which was refused.",
            "It ran `pytest -q`: exit code 1.",
            "It said last: I look first.",
        ];
        assert_eq!(told, expected);
        assert_eq!(tried(&[], &Redactor::builtin()), []);
    }
}
