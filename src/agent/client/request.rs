//! The body of a request, built from raw JSON so that what was sent once is sent again byte for byte.

use serde_json::value::RawValue;

/// One request. Field order and texts are fixed: the prompt cache matches prefixes.
#[derive(Debug, Clone)]
pub(crate) struct ModelRequest {
    pub(crate) model: String,
    pub(crate) max_tokens: u64,
    pub(crate) effort: Option<String>,
    /// Opaque; the same for all requests of a conversation.
    pub(crate) user_id: String,
    pub(crate) system: String,
    /// JSON array of tool definitions.
    pub(crate) tools: Box<RawValue>,
    pub(crate) messages: Vec<Message>,
}

/// One message of the history.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) role: Role,
    /// Content blocks, raw.
    pub(crate) blocks: Vec<Box<RawValue>>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Assistant,
}

const CACHE_CONTROL: &str = r#""cache_control":{"type":"ephemeral"}"#;

/// How many of the newest user turns end in a cache breakpoint: the one before the last was written by the last request, and is
/// found again however many blocks lie between. With the one after tools and system that makes three of the four allowed.
const N_CACHED_TURNS: usize = 2;

impl ModelRequest {
    /// The request as JSON.
    pub(crate) fn body(&self) -> String {
        let mut body = String::with_capacity(self.content_bytes() + 1024);
        body.push_str(&format!(r#"{{"model":{},"max_tokens":{}"#, quoted(&self.model), self.max_tokens));
        body.push_str(&format!(
            r#","stream":true,"metadata":{{"user_id":{}}},"tools":{}"#,
            quoted(&self.user_id),
            self.tools
        ));
        body.push_str(&format!(
            r#","system":[{{"type":"text","text":{},{CACHE_CONTROL}}}]"#,
            quoted(&self.system)
        ));
        if let Some(effort) = &self.effort {
            body.push_str(&format!(r#","output_config":{{"effort":{}}}"#, quoted(effort)));
        }
        body.push_str(r#","messages":["#);
        let cached = self.cached_turns();
        for (message_idx, message) in self.messages.iter().enumerate() {
            if message_idx > 0 {
                body.push(',');
            }
            push_message(&mut body, message, cached.contains(&message_idx));
        }
        body.push_str("]}");
        body
    }

    /// Bytes of everything that becomes prompt tokens.
    pub(crate) fn content_bytes(&self) -> usize {
        let messages = self.messages.iter().flat_map(|message| &message.blocks);
        self.system.len() + self.tools.get().len() + messages.map(|block| block.get().len()).sum::<usize>()
    }

    fn cached_turns(&self) -> Vec<usize> {
        let turns = self.messages.iter().enumerate().filter(|(_, message)| message.role == Role::User);
        turns.map(|(message_idx, _)| message_idx).rev().take(N_CACHED_TURNS).collect()
    }
}

fn push_message(body: &mut String, message: &Message, is_cached: bool) {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    body.push_str(&format!(r#"{{"role":"{role}","content":["#));
    for (block_idx, block) in message.blocks.iter().enumerate() {
        if block_idx > 0 {
            body.push(',');
        }
        match block.get().strip_prefix('{') {
            Some(rest) if is_cached && block_idx + 1 == message.blocks.len() => {
                body.push_str(&format!("{{{CACHE_CONTROL},{rest}"));
            }
            Some(_) | None => body.push_str(block.get()),
        }
    }
    body.push_str("]}");
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A JSON text that was just built.
pub(crate) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("it was serialised by serde_json or put together from raw JSON")
}

/// A text block of a user's turn.
pub(crate) fn text_block(text: &str) -> Box<RawValue> {
    raw(format!(r#"{{"type":"text","text":{}}}"#, quoted(text)))
}

/// The result of one tool call.
pub(crate) fn tool_result_block(tool_use_id: &str, text: &str, is_error: bool) -> Box<RawValue> {
    // The API refuses empty texts.
    let text = if text.is_empty() { "(no output)" } else { text };
    let error = if is_error { r#","is_error":true"# } else { "" };
    raw(format!(
        r#"{{"type":"tool_result","tool_use_id":{},"content":{}{error}}}"#,
        quoted(tool_use_id),
        quoted(text)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(messages: Vec<Message>) -> ModelRequest {
        ModelRequest {
            model: "claude-sonnet-5-5".into(),
            max_tokens: 100,
            effort: Some("high".into()),
            user_id: "u1".into(),
            system: "be \"exact\"".into(),
            tools: raw("[]".into()),
            messages,
        }
    }

    #[test]
    fn the_body_is_put_together_byte_for_byte() {
        // Odd spacing and key order must survive.
        let thinking = raw(r#"{"signature":"x==", "type":"thinking","thinking":"a\u00e9"}"#.into());
        let messages = vec![
            Message { role: Role::User, blocks: vec![text_block("one")] },
            Message { role: Role::Assistant, blocks: vec![thinking] },
            Message { role: Role::User, blocks: vec![tool_result_block("t1", "", true)] },
            Message { role: Role::Assistant, blocks: vec![text_block("two")] },
            Message { role: Role::User, blocks: vec![text_block("three"), text_block("four")] },
        ];
        let expected = concat!(
            r#"{"model":"claude-sonnet-5-5","max_tokens":100,"stream":true,"metadata":{"user_id":"u1"},"tools":[]"#,
            r#","system":[{"type":"text","text":"be \"exact\"","cache_control":{"type":"ephemeral"}}]"#,
            r#","output_config":{"effort":"high"},"messages":["#,
            r#"{"role":"user","content":[{"type":"text","text":"one"}]},"#,
            r#"{"role":"assistant","content":[{"signature":"x==", "type":"thinking","thinking":"a\u00e9"}]},"#,
            r#"{"role":"user","content":[{"cache_control":{"type":"ephemeral"},"type":"tool_result","tool_use_id":"t1","content":"(no output)","is_error":true}]},"#,
            r#"{"role":"assistant","content":[{"type":"text","text":"two"}]},"#,
            r#"{"role":"user","content":[{"type":"text","text":"three"},{"cache_control":{"type":"ephemeral"},"type":"text","text":"four"}]}]}"#,
        );
        let body = request(messages).body();
        assert_eq!(body, expected);
        assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
    }
}
