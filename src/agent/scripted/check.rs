//! What a request must be by itself: its headers, its parameters, its tools.

use axum::http::HeaderMap;
use serde_json::Value;

use super::wire::{Refusal, SeenBlock, SeenMessage, WireRequest, blocks};
use crate::model::money::NanoUsd;

/// The models that are there, and the longest output of each.
pub(super) const MODELS: [(&str, i64); 5] = [
    ("claude-fable-5-1", 128_000),
    ("claude-opus-5-5", 128_000),
    ("claude-opus-5", 64_000),
    ("claude-sonnet-5-5", 64_000),
    ("claude-haiku-5-5", 64_000),
];

const MAX_BREAKPOINTS: usize = 4;

/// Who asks, and in which version of the API.
pub(super) fn headers(headers: &HeaderMap, api_key: Option<&str>) -> Result<(), Refusal> {
    let unauthorized =
        |message: &str| Refusal { status: 401, kind: "authentication_error", message: message.to_owned() };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let key = match (text("x-api-key"), text("authorization")) {
        (Some(_), Some(_)) => {
            return Err(Refusal::invalid("x-api-key and authorization must not be sent together"));
        }
        (Some(key), None) => key,
        (None, Some(bearer)) => bearer.strip_prefix("Bearer ").unwrap_or_default(),
        (None, None) => return Err(unauthorized("x-api-key header is required")),
    };
    if key.is_empty() || api_key.is_some_and(|expected| expected != key) {
        return Err(unauthorized("invalid x-api-key"));
    }
    match text("anthropic-version") {
        Some("2023-06-01") => {}
        Some(other) => {
            return Err(Refusal::invalid(format!("anthropic-version: \"{other}\" is not a valid version")));
        }
        None => return Err(Refusal::invalid("anthropic-version: header is required")),
    }
    match text("content-type") {
        Some(kind) if kind.starts_with("application/json") => Ok(()),
        Some(_) | None => Err(Refusal::invalid("content-type must be application/json")),
    }
}

/// Whether there is money left.
pub(super) fn credit(credit: Option<NanoUsd>, spent: NanoUsd) -> Result<(), Refusal> {
    match credit {
        Some(credit) if spent >= credit => Err(Refusal {
            status: 402,
            kind: "billing_error",
            message: format!("Your credit balance is too low: {spent} of {credit} are spent"),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The parameters, besides the messages.
pub(super) fn parameters(request: &WireRequest) -> Result<(), Refusal> {
    let Some((_, max_output)) = MODELS.iter().find(|(name, _)| *name == request.model) else {
        return Err(Refusal {
            status: 404,
            kind: "not_found_error",
            message: format!("model: {}", request.model),
        });
    };
    match request.max_tokens {
        None => return Err(Refusal::invalid("max_tokens: Field required")),
        Some(n) if n < 1 => {
            return Err(Refusal::invalid("max_tokens: Input should be greater than or equal to 1"));
        }
        Some(n) if n > *max_output => {
            return Err(Refusal::invalid(format!(
                "max_tokens: {n} > {max_output}, which is the maximum allowed number of output tokens for {}",
                request.model
            )));
        }
        Some(_) => {}
    }
    if request.stream != Some(true) {
        return Err(Refusal::invalid("stream: this server only streams"));
    }
    if request.temperature.is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON) {
        return Err(Refusal::invalid("temperature: only the default is supported with this model"));
    }
    if request.top_p.is_some() || request.top_k.is_some() {
        return Err(Refusal::invalid("top_p and top_k are not supported with this model"));
    }
    match request.thinking.as_ref().map(|thinking| thinking["type"].as_str().unwrap_or_default()) {
        None | Some("adaptive") => {}
        Some(kind) => {
            return Err(Refusal::invalid(format!(
                "thinking.type: \"{kind}\" is not supported with this model"
            )));
        }
    }
    match request.tool_choice.as_ref().map(|choice| choice["type"].as_str().unwrap_or_default()) {
        None | Some("auto" | "none") => {}
        Some(kind) => {
            return Err(Refusal::invalid(format!(
                "tool_choice.type: \"{kind}\" may not be used while thinking is on"
            )));
        }
    }
    if request.stop_sequences.as_ref().is_some_and(|list| !list.is_array()) {
        return Err(Refusal::invalid("stop_sequences: Input should be a valid list"));
    }
    if request.service_tier.as_ref().is_some_and(|tier| tier != "auto" && tier != "standard_only") {
        return Err(Refusal::invalid("service_tier: Input should be 'auto' or 'standard_only'"));
    }
    if let Some(effort) = request.output_config.as_ref().and_then(|config| config.get("effort"))
        && !matches!(effort.as_str(), Some("low" | "medium" | "high" | "xhigh" | "max"))
    {
        return Err(Refusal::invalid(format!("output_config.effort: {effort} is not a level")));
    }
    tools(request)
}

fn tools(request: &WireRequest) -> Result<(), Refusal> {
    let mut names: Vec<String> = Vec::new();
    for (tool_idx, raw) in request.tools.iter().flatten().enumerate() {
        let tool: Value =
            serde_json::from_str(raw.get()).map_err(|error| Refusal::invalid(error.to_string()))?;
        let name = tool["name"].as_str().unwrap_or_default().to_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 128 || !name.chars().all(is_name) {
            return Err(Refusal::invalid(format!("tools.{tool_idx}.name: String should match pattern")));
        }
        if names.contains(&name) {
            return Err(Refusal::invalid("tools: Tool names must be unique"));
        }
        let schema = &tool["input_schema"];
        if schema["type"] != "object" {
            return Err(Refusal::invalid(format!("tools.{tool_idx}.input_schema.type: Field required")));
        }
        if tool["strict"] == true && schema["additionalProperties"] != false {
            return Err(Refusal::invalid(format!(
                "tools.{tool_idx}: for strict tools, input_schema.additionalProperties must be false"
            )));
        }
        names.push(name);
    }
    Ok(())
}

/// The blocks of the system prompt.
pub(super) fn system(request: &WireRequest) -> Result<Vec<SeenBlock>, Refusal> {
    let Some(system) = &request.system else { return Ok(Vec::new()) };
    let blocks = blocks(system)?;
    match blocks.iter().find(|block| block.kind() != "text") {
        Some(_) => Err(Refusal::invalid("system: only text blocks are supported")),
        None => Ok(blocks),
    }
}

/// Cache breakpoints are few.
pub(super) fn breakpoints(
    request: &WireRequest,
    system: &[SeenBlock],
    messages: &[SeenMessage],
) -> Result<(), Refusal> {
    let in_tools =
        request.tools.iter().flatten().filter(|tool| tool.get().contains("\"cache_control\"")).count();
    let in_blocks = messages.iter().flat_map(|message| &message.blocks).chain(system);
    let found = in_tools + in_blocks.filter(|block| block.is_breakpoint).count();
    if found > MAX_BREAKPOINTS {
        return Err(Refusal::invalid(format!(
            "A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    Ok(())
}
