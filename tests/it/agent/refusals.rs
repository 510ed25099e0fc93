//! The strict scripted model server refuses what the real one refuses: one request for each refusal.

use homeostat::agent::scripted::script::{Script, ScriptBlock, Turn};
use homeostat::agent::scripted::server::{ScriptedModel, ScriptedOptions};
use homeostat::model::money::NanoUsd;
use serde_json::{Value, json};

type Change = fn(&mut Value);

async fn server() -> ScriptedModel {
    let turns = vec![
        Turn::new(vec![
            ScriptBlock::Thinking("first I look".to_owned()),
            ScriptBlock::ToolUse { name: "look".to_owned(), input: json!({ "at": "a" }) },
            ScriptBlock::ToolUse { name: "look".to_owned(), input: json!({ "at": "b" }) },
        ]),
        Turn::text("done"),
    ];
    let options = ScriptedOptions { api_key: Some("key".to_owned()), credit: Some(NanoUsd::from_usd(1.0)) };
    ScriptedModel::start_with(vec![Script::new(turns)], options).await.unwrap()
}

/// A request that is right.
fn request() -> Value {
    json!({
        "model": "claude-sonnet-5-5",
        "max_tokens": 1000,
        "stream": true,
        "system": [{ "type": "text", "text": "be exact", "cache_control": { "type": "ephemeral" } }],
        "tools": [{
            "name": "look", "description": "looks", "strict": true,
            "input_schema": { "type": "object", "properties": {}, "additionalProperties": false },
        }],
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "begin" }] }],
    })
}

/// Sends `body`; gives the status, and the text of the answer.
async fn send(server: &ScriptedModel, headers: &[(&str, &str)], body: String) -> (u16, String) {
    let url = server.base_url().join("v1/messages").unwrap();
    let mut request = reqwest::Client::builder().no_proxy().build().unwrap().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

const HEADERS: [(&str, &str); 3] =
    [("x-api-key", "key"), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];

async fn post(server: &ScriptedModel, body: &Value) -> (u16, String) {
    send(server, &HEADERS, body.to_string()).await
}

/// `status kind: message` of a refusal, in the API's shape.
fn told((status, text): &(u16, String)) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{status}: {text}"));
    assert_eq!(body["type"], "error");
    assert!(body["request_id"].is_string());
    let text = |field: &str| body["error"][field].as_str().unwrap().to_owned();
    format!("{status} {}: {}", text("type"), text("message"))
}

#[tokio::test]
async fn a_right_request_is_answered() {
    let server = server().await;
    let (status, text) = post(&server, &request()).await;
    assert_eq!(status, 200, "{text}");
    assert!(text.starts_with("event: message_start\n") && text.ends_with("{\"type\":\"message_stop\"}\n\n"));
    assert_eq!((server.books().n_answered, server.refusals()), (1, Vec::new()));
}

#[tokio::test]
async fn wrong_headers_are_refused() {
    let server = server().await;
    let [key, version, kind] = HEADERS;
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[version, kind], "401 authentication_error: x-api-key header is required"),
        (&[("x-api-key", "other"), version, kind], "401 authentication_error: invalid x-api-key"),
        (&[("authorization", "Bearer other"), version, kind], "401 authentication_error: invalid x-api-key"),
        (
            &[key, ("authorization", "Bearer key"), version, kind],
            "400 invalid_request_error: x-api-key and authorization must not be sent together",
        ),
        (&[key, kind], "400 invalid_request_error: anthropic-version: header is required"),
        (
            &[key, ("anthropic-version", "2020-01-01"), kind],
            "400 invalid_request_error: anthropic-version: \"2020-01-01\" is not a valid version",
        ),
        (&[key, version], "400 invalid_request_error: content-type must be application/json"),
    ];
    for (headers, expected) in cases {
        assert_eq!(told(&send(&server, headers, request().to_string()).await), expected);
    }
    let bearer = [("authorization", "Bearer key"), version, kind];
    assert_eq!(send(&server, &bearer, request().to_string()).await.0, 200);
    assert_eq!(server.books().n_refused, 7);
}

#[tokio::test]
async fn wrong_parameters_are_refused() {
    const INVALID: &str = "400 invalid_request_error: ";
    let cases: [(Change, &str); 21] = [
        (|it| it["model"] = json!("claude-2"), "404 not_found_error: model: claude-2"),
        (|it| drop(it.as_object_mut().unwrap().remove("max_tokens")), "max_tokens: Field required"),
        (|it| it["max_tokens"] = json!(0), "max_tokens: Input should be greater than or equal to 1"),
        (
            |it| it["max_tokens"] = json!(64_001),
            "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-5-5",
        ),
        (|it| it["stream"] = json!(false), "stream: this server only streams"),
        (|it| it["temperature"] = json!(0.2), "temperature: only the default is supported with this model"),
        (|it| it["top_p"] = json!(0.9), "top_p and top_k are not supported with this model"),
        (|it| it["top_k"] = json!(5), "top_p and top_k are not supported with this model"),
        (
            |it| it["thinking"] = json!({ "type": "disabled" }),
            "thinking.type: \"disabled\" is not supported with this model",
        ),
        (
            |it| it["thinking"] = json!({ "type": "enabled", "budget_tokens": 2000 }),
            "thinking.type: \"enabled\" is not supported with this model",
        ),
        (
            |it| it["tool_choice"] = json!({ "type": "any" }),
            "tool_choice.type: \"any\" may not be used while thinking is on",
        ),
        (
            |it| it["tool_choice"] = json!({ "type": "tool", "name": "look" }),
            "tool_choice.type: \"tool\" may not be used while thinking is on",
        ),
        (
            |it| it["output_config"] = json!({ "effort": "huge" }),
            "output_config.effort: \"huge\" is not a level",
        ),
        (|it| it["stop_sequences"] = json!("x"), "stop_sequences: Input should be a valid list"),
        (|it| it["service_tier"] = json!("gold"), "service_tier: Input should be 'auto' or 'standard_only'"),
        (|it| it["tools"][0]["name"] = json!("look at"), "tools.0.name: String should match pattern"),
        (
            |it| {
                let again = it["tools"][0].clone();
                it["tools"].as_array_mut().unwrap().push(again);
            },
            "tools: Tool names must be unique",
        ),
        (|it| it["tools"][0]["input_schema"] = json!({}), "tools.0.input_schema.type: Field required"),
        (
            |it| it["tools"][0]["input_schema"] = json!({ "type": "object" }),
            "tools.0: for strict tools, input_schema.additionalProperties must be false",
        ),
        (|it| it["system"] = json!([{ "type": "image" }]), "system: only text blocks are supported"),
        (
            |it| {
                let block = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
                it["messages"][0]["content"] = json!(vec![block; 4]);
            },
            "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ),
    ];
    let server = server().await;
    for (change, expected) in cases {
        let mut body = request();
        change(&mut body);
        let expected =
            if expected.starts_with('4') { expected.to_owned() } else { format!("{INVALID}{expected}") };
        assert_eq!(told(&post(&server, &body).await), expected);
    }
    let unknown = told(&post(&server, &json!({ "model": "m", "messages": [], "prefill": 1 })).await);
    assert!(
        unknown.starts_with("400 invalid_request_error: the body cannot be read: unknown field `prefill`")
    );
    let broken = told(&send(&server, &HEADERS, "{".to_owned()).await);
    assert!(broken.starts_with("400 invalid_request_error: the body cannot be read: EOF"));
    let large = format!("{{\"model\":\"{}\"}}", "x".repeat(33 << 20));
    assert_eq!(
        told(&send(&server, &HEADERS, large).await),
        "413 request_too_large: Request exceeds the maximum size"
    );
    assert_eq!((server.books().n_refused, server.refusals().len()), (24, 24));
}

#[tokio::test]
async fn wrong_messages_are_refused() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let user = |blocks: Value| json!({ "role": "user", "content": blocks });
    let model = |blocks: Value| json!({ "role": "assistant", "content": blocks });
    let cases = [
        (json!([]), "messages: at least one message is required"),
        (json!([model(json!([text("x")]))]), "messages: first message must use the \"user\" role"),
        (
            json!([user(json!([text("x")])), model(json!([text("Sure, ")]))]),
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ),
        (
            json!([{ "role": "system", "content": "x" }]),
            "messages.0.role: Input should be 'user' or 'assistant', not 'system'",
        ),
        (json!([user(json!([]))]), "messages.0: all messages must have non-empty content"),
        (json!([user(json!([text(" \n")]))]), "messages.0.content.0: text content blocks must be non-empty"),
        (
            json!([user(json!([{ "type": "thinking" }]))]),
            "messages.0.content.0.type: \"thinking\" is not expected here",
        ),
        (json!([user(json!(["x"]))]), "a content block must be an object"),
        (json!([user(json!(7))]), "content must be a string or a list of blocks"),
        (
            json!([user(json!([{ "type": "tool_result", "tool_use_id": "t", "content": "x" }]))]),
            "messages.0: unexpected `tool_use_id` found in `tool_result` blocks: t. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
        ),
    ];
    let server = server().await;
    for (messages, expected) in cases {
        let mut body = request();
        body["messages"] = messages;
        assert_eq!(told(&post(&server, &body).await), format!("400 invalid_request_error: {expected}"));
    }
}

/// The model's turn, put together from its stream.
fn blocks_of(stream: &str) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut input = String::new();
    for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(line).unwrap();
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                blocks.push(event["content_block"].clone());
                input.clear();
            }
            "content_block_stop" if !input.is_empty() => {
                blocks.last_mut().unwrap()["input"] = serde_json::from_str(&input).unwrap();
            }
            "content_block_delta" => {
                input.push_str(delta["partial_json"].as_str().unwrap_or_default());
                for field in ["thinking", "signature", "text"] {
                    if let Some(more) = delta[field].as_str() {
                        let block = blocks.last_mut().unwrap();
                        block[field] = json!(format!("{}{more}", block[field].as_str().unwrap()));
                    }
                }
            }
            _ => {}
        }
    }
    blocks
}

/// A right second request: the model's turn and the answers to its two calls.
async fn second_request(server: &ScriptedModel) -> Value {
    let mut body = request();
    // The conversation is known by its name, so that its first message can be changed.
    body["metadata"] = json!({ "user_id": "u" });
    let (status, stream) = post(server, &body).await;
    assert_eq!(status, 200, "{stream}");
    let blocks = blocks_of(&stream);
    let results: Vec<Value> = blocks[1..]
        .iter()
        .map(|block| json!({ "type": "tool_result", "tool_use_id": block["id"], "content": "seen" }))
        .collect();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": blocks }));
    messages.push(json!({ "role": "user", "content": results }));
    body
}

#[tokio::test]
async fn calls_and_results_must_pair() {
    let good = second_request(&server().await).await;
    let ids: Vec<String> =
        (1..3).map(|idx| good["messages"][1]["content"][idx]["id"].as_str().unwrap().to_owned()).collect();
    let (a, b) = (&ids[0], &ids[1]);
    let missing = |ids: &str| {
        format!(
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    };
    type ChangeResults = fn(&mut Vec<Value>);
    let cases: [(ChangeResults, String); 8] = [
        (|results| drop(results.pop()), missing(b)),
        (
            |results| {
                results.clear();
                results.push(json!({ "type": "text", "text": "x" }));
            },
            missing(&format!("{a}, {b}")),
        ),
        (
            |results| results[1]["tool_use_id"] = json!("toolu_other"),
            "messages.2: unexpected `tool_use_id` found in `tool_result` blocks: toolu_other. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.".to_owned(),
        ),
        (
            |results| results.push(results[0].clone()),
            "messages.2: each tool_use must have a single result. Found multiple `tool_result` blocks for one id.".to_owned(),
        ),
        (|results| results.swap(0, 1), "messages.2: tool results are not in the calls' order".to_owned()),
        (
            |results| results.push(json!({ "type": "text", "text": "go on" })),
            "messages.2: nothing but tool results may answer a turn with tool calls".to_owned(),
        ),
        (
            |results| results.insert(0, json!({ "type": "text", "text": "go on" })),
            "messages.2: nothing but tool results may answer a turn with tool calls".to_owned(),
        ),
        (|results| results[0]["content"] = json!(""), "messages.2: a tool result is empty".to_owned()),
    ];
    for (change, expected) in cases {
        // A server that knows nothing of the conversation refuses it just the same.
        let server = server().await;
        let mut body = good.clone();
        change(body["messages"][2]["content"].as_array_mut().unwrap());
        assert_eq!(told(&post(&server, &body).await), format!("400 invalid_request_error: {expected}"));
    }
}

#[tokio::test]
async fn history_is_append_only() {
    let cases: [(Change, &str); 7] = [
        (
            |it| it["messages"][0]["content"][0]["text"] = json!("begin!"),
            "messages.0: history has changed since the last request; it must be append-only",
        ),
        (
            |it| it["system"][0]["text"] = json!("be quick"),
            "system and tools have changed within the conversation; history must be append-only",
        ),
        (
            |it| it["tools"][0]["description"] = json!("stares"),
            "system and tools have changed within the conversation; history must be append-only",
        ),
        (
            |it| it["messages"][1]["content"][0]["thinking"] = json!("first I stare"),
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            |it| it["messages"][1]["content"][0]["signature"] = json!("Zm9yZ2Vk"),
            "messages.1.content.0: Invalid `signature` in `thinking` block",
        ),
        (
            |it| drop(it["messages"][1]["content"].as_array_mut().unwrap().remove(0)),
            "messages.1: the assistant's turn is not the one that was sent",
        ),
        (
            |it| it["messages"][1]["content"][1]["input"] = json!({ "at": "c" }),
            "messages.1: the assistant's turn is not the one that was sent",
        ),
    ];
    for (change, expected) in cases {
        let server = server().await;
        let mut body = second_request(&server).await;
        let good = body.clone();
        change(&mut body);
        assert_eq!(told(&post(&server, &body).await), format!("400 invalid_request_error: {expected}"));
        // A refused request leaves no trace: the right one is answered, and again when a breakpoint has moved.
        assert_eq!(post(&server, &good).await.0, 200);
        let mut moved = good;
        moved["messages"][2]["content"][1]["cache_control"] = json!({ "type": "ephemeral" });
        assert_eq!(post(&server, &moved).await.0, 200);
        let mut shorter = request();
        shorter["metadata"] = json!({ "user_id": "u" });
        assert_eq!(
            told(&post(&server, &shorter).await),
            "400 invalid_request_error: messages.1: history has changed since the last request; it must be append-only"
        );
    }
}

#[tokio::test]
async fn a_changed_thought_is_refused_by_a_server_that_was_started_anew() {
    let good = second_request(&server().await).await;
    let fresh = server().await;
    assert_eq!(post(&fresh, &good).await.0, 200);
    let cases: [Change; 3] = [
        |it| it["messages"][1]["content"][0]["thinking"] = json!("first I stare"),
        |it| it["messages"][0]["content"][0]["text"] = json!("begin!"),
        |it| it["system"][0]["text"] = json!("be quick"),
    ];
    for change in cases {
        let fresh = server().await;
        let mut body = good.clone();
        change(&mut body);
        assert_eq!(
            told(&post(&fresh, &body).await),
            "400 invalid_request_error: messages.1.content.0: Invalid `signature` in `thinking` block"
        );
    }
}

#[tokio::test]
async fn nothing_is_answered_on_credit() {
    let options = ScriptedOptions { credit: Some(NanoUsd(1)), ..ScriptedOptions::default() };
    let server = ScriptedModel::start_with(Vec::new(), options).await.unwrap();
    assert_eq!(post(&server, &request()).await.0, 200);
    let refused = told(&post(&server, &request()).await);
    assert!(refused.starts_with("402 billing_error: Your credit balance is too low"), "{refused}");
}
