//! From log records to texts: the level, the body, and the exception's trace as a program prints them.

use serde_json::{Map, Value};

use crate::watch::source::spool::Item;

/// What one request carries.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Logs {
    pub resources: Vec<ResourceLogs>,
    /// Records that could not be read.
    pub n_rejected: u64,
}

/// The records of one resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResourceLogs {
    pub attributes: Map<String, Value>,
    pub records: Vec<LogRecord>,
}

/// One record, with what is used of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogRecord {
    /// Nanoseconds since 1970; 0 if it is not known.
    pub time: u64,
    pub observed_time: u64,
    pub severity: i64,
    pub severity_text: String,
    pub body: Value,
    pub attributes: Map<String, Value>,
}

/// Attributes that name a service, in this order.
const SERVICE: [&str; 4] = ["service.name", "k8s.deployment.name", "container.name", "host.name"];

/// Attributes that tell writers of a service apart.
const WRITER: [&str; 6] =
    ["service.instance.id", "k8s.pod.name", "container.id", "host.name", "log.file.path", "log.iostream"];

/// A longer name is cut: it stands beside every record of its resource.
const MAX_NAME: usize = 200;

/// The texts of a request.
pub fn items(logs: Logs) -> Vec<Item> {
    let mut items = Vec::new();
    for ResourceLogs { attributes, records } in logs.resources {
        let service = SERVICE.iter().find_map(|name| word(&attributes, name)).unwrap_or("unknown_service");
        for record in records {
            let apart: Vec<&str> = WRITER
                .iter()
                .filter_map(|name| word(&attributes, name).or_else(|| word(&record.attributes, name)))
                .collect();
            let label = if apart.is_empty() {
                service.to_owned()
            } else {
                format!("{service} ({})", apart.join(", "))
            };
            let time = if record.time > 0 { record.time } else { record.observed_time };
            let at = i64::try_from(time).ok().filter(|at| *at > 0);
            items.push(Item { service: service.to_owned(), label, at, text: text(&record).into_bytes() });
        }
    }
    items
}

fn word<'a>(attributes: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let text = attributes.get(name).and_then(Value::as_str).filter(|it| !it.is_empty())?;
    Some(&text[..text.floor_char_boundary(MAX_NAME)])
}

fn text(record: &LogRecord) -> String {
    let body = plain(&record.body);
    let mut text = match level(record) {
        Some(level) if !says(&body, level) => format!("{level} {body}"),
        Some(_) | None => body,
    };
    let attribute = |name: &str| {
        let text = record.attributes.get(name).and_then(Value::as_str).map(str::trim_end);
        text.filter(|it| !it.is_empty())
    };
    let (kind, message) = (attribute("exception.type"), attribute("exception.message"));
    let trace = attribute("exception.stacktrace");
    if let Some(kind) = kind
        && !trace.is_some_and(|trace| trace.contains(kind.rsplit(['.', ':']).next().unwrap_or(kind)))
    {
        let message = message.map_or_else(String::new, |message| format!(": {message}"));
        add(&mut text, &format!("{kind}{message}"));
    }
    if let Some(trace) = trace {
        add(&mut text, trace);
    }
    while text.ends_with('\n') {
        text.pop();
    }
    text
}

/// Adds lines, unless they are there.
fn add(text: &mut String, lines: &str) {
    if text.contains(lines) {
        return;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(lines);
}

fn level(record: &LogRecord) -> Option<&str> {
    match record.severity {
        1..=4 => Some("TRACE"),
        5..=8 => Some("DEBUG"),
        9..=12 => Some("INFO"),
        13..=16 => Some("WARN"),
        17..=20 => Some("ERROR"),
        21..=24 => Some("FATAL"),
        _ => Some(record.severity_text.as_str()).filter(|it| !it.is_empty()),
    }
}

/// Whether the first line names the level itself.
fn says(body: &str, level: &str) -> bool {
    let first = body.lines().next().unwrap_or_default();
    let first = &first[..first.floor_char_boundary(200)];
    first.to_ascii_lowercase().contains(&level.to_ascii_lowercase())
}

fn plain(body: &Value) -> String {
    match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => body.to_string(),
    }
}
