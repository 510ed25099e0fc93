//! Text as logged → lines as the program wrote them: JSON envelopes opened, logfmt read, prefixes peeled.

use std::borrow::Cow;

use serde_json::Value;

use super::structured;
use crate::base::search::digits;
use crate::watch::join::{self, peel::peel, shape};

/// A record without its wrapping.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Unwrapped {
    pub(super) lines: Vec<String>,
    /// The prefix of the first line, for `explain`.
    pub(super) prefix: String,
    /// The field the text was taken from, for `explain`.
    pub(super) envelope: Option<&'static str>,
    /// The way in hangs on no digits: texts that are [`alike`](crate::base::search::digits::alike) are opened alike, as far as JSON's
    /// [numbers](has_sound_numbers) are.
    pub(super) is_of_shape: bool,
}

/// Fields that hold a whole trace, by the shippers and loggers that write them: OpenTelemetry, ECS, Pino and Bunyan,
/// structlog, logstash, Serilog, GELF.
const TRACES: [&str; 24] = [
    "exception.stacktrace",
    "exception.stack_trace",
    "error.stack_trace",
    "error.stack",
    "err.stack",
    "stack_trace",
    "stacktrace",
    "stackTrace",
    "stack",
    "exc_info",
    "exception.traceback",
    "traceback",
    "exception",
    "@x",
    "full_message",
    "error.stacktrace",
    "trace",
    "backtrace",
    "exception.backtrace",
    "Exception",
    "errorVerbose",
    "_stack_trace",
    "_stacktrace",
    "_exception",
];
const KINDS: [&str; 10] = [
    "exception.type",
    "error.type",
    "err.type",
    "error.name",
    "exception.class",
    "error_type",
    "exception.name",
    "error.kind",
    "err.name",
    "error.class",
];
const DETAILS: [&str; 6] = ["exception.message", "error.message", "err.message", "err", "error", "cause"];
const MESSAGES: [&str; 10] =
    ["message", "msg", "event", "@m", "body", "short_message", "log", "text", "@mt", "textPayload"];

/// Opens the envelope and peels the prefixes.
pub(super) fn unwrap(text: &str) -> Unwrapped {
    unwrap_within(text, 0)
}

fn unwrap_within(text: &str, depth: u8) -> Unwrapped {
    let text = &*join::plain(text);
    let trimmed = text.trim();
    let written = json(trimmed).filter(|_| depth < 3);
    let value = written.and_then(|it| serde_json::from_str::<Value>(it).ok());
    if let Some(Opened { text: inner, field, is_of_shape }) = value.as_ref().and_then(from_json) {
        let mut found = unwrap_within(&inner, depth + 1);
        found.envelope = Some(field);
        // What is written with escapes is not what it seems, and within a text nobody asks for the numbers again.
        let is_plain = depth == 0 && written.is_some_and(|it| !it.contains("\\u") && it.len() == text.len());
        found.is_of_shape &= is_of_shape && is_plain;
        return found;
    }
    if let Some(message) = logfmt(trimmed).and_then(from_logfmt).filter(|_| depth < 3) {
        let mut found = unwrap_within(&message, depth + 1);
        found.envelope = Some("msg");
        return found;
    }
    let mut found = peeled(text);
    // With other numbers it may be JSON after all.
    found.is_of_shape = written.is_none();
    found
}

/// Whether the numbers of a text that is JSON but for them are JSON's: none begins with a nought that says nothing, or has an exponent,
/// which may be too large.
pub(super) fn has_sound_numbers(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut is_in_string = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => is_in_string = !is_in_string,
            b'\\' => at += 1,
            b'0'..=b'9' if !is_in_string => {
                let n_digits =
                    |from: usize| bytes[from..].iter().take_while(|it| it.is_ascii_digit()).count();
                let n_whole = n_digits(at);
                if bytes[at] == b'0' && n_whole > 1 {
                    return false;
                }
                at += n_whole;
                if bytes.get(at) == Some(&b'.') {
                    at += 1 + n_digits(at + 1);
                }
                if matches!(bytes.get(at), Some(b'e' | b'E')) {
                    return false;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    true
}

/// Where JSON may begin: a shipper may put its own prefix before a program's.
fn json(trimmed: &str) -> Option<&str> {
    if trimmed.starts_with('{') {
        Some(trimmed)
    } else {
        Some(peel(trimmed).text).filter(|it| it.starts_with("{\""))
    }
}

/// Whether a text that begins with this line may have an envelope.
pub(super) fn may_have_envelope(first_line: &str) -> bool {
    let trimmed = first_line.trim();
    trimmed.is_empty() || json(trimmed).is_some() || logfmt(trimmed).is_some()
}

fn peeled(text: &str) -> Unwrapped {
    let mut lines = Vec::new();
    let mut prefix = String::new();
    for (place, line) in text.lines().enumerate() {
        let peeled = peel(line);
        if place == 0 {
            line[..line.len() - peeled.text.len()].clone_into(&mut prefix);
        }
        lines.push(plain(peeled.text).into_owned());
    }
    Unwrapped { lines, prefix, envelope: None, is_of_shape: true }
}

/// A line without carriage returns.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { Cow::Owned(text.replace('\r', "")) } else { Cow::Borrowed(text) }
}

/// What an envelope holds.
struct Opened {
    text: String,
    field: &'static str,
    is_of_shape: bool,
}

/// The trace, or the message with what is said about the error.
fn from_json(value: &Value) -> Option<Opened> {
    let roots = [
        Some(value),
        value.get("attributes"),
        value.get("Attributes"),
        value.get("fields"),
        value.get("extra"),
        value.get("context"),
    ];
    let roots: Vec<&Value> = roots.into_iter().flatten().collect();
    let find = |names: &[&'static str]| {
        names.iter().find_map(|name| roots.iter().find_map(|root| text_at(root, name)).map(|it| (it, *name)))
    };
    let kind = find(&KINDS).map(|it| it.0);
    let detail = find(&DETAILS).map(|it| it.0);
    let head = match (&kind, &detail) {
        (Some(kind), Some(detail)) => Some(format!("{kind}: {detail}")),
        (Some(only), None) | (None, Some(only)) => Some(only.clone()),
        (None, None) => None,
    };
    if let Some(text) = structured::text(value) {
        return Some(Opened { text, field: "exception", is_of_shape: true });
    }
    let within = || within(value, 0).map(|it| (it.to_owned(), "stack"));
    if let Some((trace, field)) = find(&TRACES).filter(|it| it.0.contains('\n')).or_else(within) {
        // Frames alone need their head.
        let first = trace.trim_start();
        let is_headless = first.starts_with("at ")
            || first.starts_with('#')
            || first.starts_with("File \"")
            || shape::is_ruby_frame(first.lines().next().unwrap_or("")) && !first.contains("': ");
        let text = match head {
            Some(head) if is_headless => format!("{head}\n{trace}"),
            _ => trace,
        };
        return Some(Opened { text, field, is_of_shape: true });
    }
    let opened = |text, field| Opened { text, field, is_of_shape: true };
    match (find(&MESSAGES), head) {
        (Some((message, field)), Some(head)) => {
            // Whether one is in the other may hang on any sign.
            let is_of_shape =
                !head.contains(|it: char| it.is_ascii_digit()) && !digits::has_ids(message.as_bytes());
            let is_told_by = message.contains('\n') || message.contains(&head);
            let text = if is_told_by { message } else { format!("{message}: {head}") };
            Some(Opened { text, field, is_of_shape })
        }
        (Some((message, field)), None) => Some(opened(message, field)),
        (None, Some(head)) => Some(opened(head, "error")),
        (None, None) => None,
    }
}

/// A trace in an object that is not one of those known, a few steps down.
fn within(value: &Value, depth: u8) -> Option<&str> {
    const NAMES: [&str; 6] = ["stack", "stack_trace", "stacktrace", "stackTrace", "backtrace", "exception"];
    let fields = value.as_object().filter(|_| depth < 4)?;
    let found = NAMES.iter().find_map(|it| fields.get(*it)?.as_str().filter(|it| it.contains('\n')));
    found.or_else(|| fields.values().find_map(|it| within(it, depth + 1)))
}

/// A text under `a.b`, written as nested objects or as one dotted key.
fn text_at(root: &Value, name: &str) -> Option<String> {
    let found = root.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        root.get(first)?.get(rest)
    });
    // OTLP's attributes are pairs.
    let found = found.or_else(|| {
        root.as_array()?.iter().find(|it| it.get("key").is_some_and(|it| it == name))?.get("value")
    })?;
    match found {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Array(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Value::as_str).collect();
            lines.filter(|it| !it.is_empty()).map(|it| it.join("\n"))
        }
        Value::Object(inner) => inner.get("stringValue").and_then(Value::as_str).map(str::to_owned),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// Where logfmt may begin: behind a shipper's prefix, too.
fn logfmt(trimmed: &str) -> Option<&str> {
    if is_logfmt(trimmed) { Some(trimmed) } else { Some(peel(trimmed).text).filter(|it| is_logfmt(it)) }
}

/// The message of `level=error msg="…" err="…"`.
fn from_logfmt(text: &str) -> Option<String> {
    if text.contains('\n') {
        return None;
    }
    for key in ["exception", "stacktrace", "stack_trace", "stack", "exc_info", "error", "err"] {
        if let Some(trace) = logfmt_value(text, key).filter(|it| it.contains('\n')) {
            return Some(trace);
        }
    }
    let message = ["msg", "message", "event"].iter().find_map(|it| logfmt_value(text, it))?;
    match logfmt_value(text, "err").or_else(|| logfmt_value(text, "error")) {
        Some(error) => Some(format!("{message}: {error}")),
        None => Some(message),
    }
}

fn is_logfmt(text: &str) -> bool {
    if ["time=", "ts=", "level=", "lvl=", "msg="].iter().any(|it| text.starts_with(it)) {
        return true;
    }
    // Other keys come first only where the level does, too.
    let key =
        text.bytes().position(|it| !(it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.'))).unwrap_or(0);
    key > 0
        && text[key..].starts_with('=')
        && [" level=", " lvl=", " severity="].iter().any(|it| text.contains(it))
}

fn logfmt_value(text: &str, key: &str) -> Option<String> {
    let at = text.match_indices(key).map(|it| it.0).find(|&at| {
        text[at + key.len()..].starts_with('=') && (at == 0 || text.as_bytes()[at - 1] == b' ')
    })?;
    let value = &text[at + key.len() + 1..];
    let Some(quoted) = value.strip_prefix('"') else {
        return Some(value.split(' ').next().unwrap_or("").to_owned());
    };
    let mut out = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some(out),
            '\\' => match letters.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(unwrap(text).lines.join("\n"), expected, "{text}");
    }

    #[test]
    fn envelopes_are_opened() {
        let trace = "Error: x\\n    at f (/a.js:1:2)";
        let opened = "Error: x\n    at f (/a.js:1:2)";
        for text in [
            format!(
                r#"{{"level":50,"msg":"failed","err":{{"type":"Error","message":"x","stack":"{trace}"}}}}"#
            ),
            format!(
                r#"{{"message":"failed","error":{{"type":"Error","message":"x","stack_trace":"{trace}"}}}}"#
            ),
            format!(
                r#"{{"body":"failed","attributes":{{"exception.type":"Error","exception.stacktrace":"{trace}"}}}}"#
            ),
            format!(r#"{{"event":"failed","exception":"{trace}"}}"#),
            format!(r#"{{"message":"failed","stack_trace":"{trace}"}}"#),
            format!(r#"{{"@t":"x","@mt":"failed","@x":"{trace}"}}"#),
            format!(r#"{{"short_message":"failed","full_message":"{trace}"}}"#),
            format!(r#"{{"log":"{trace}"}}"#),
        ] {
            check(&text, opened);
        }
        check(
            r#"{"err":{"type":"E","message":"x","stack":"    at f (/a.js:1:2)\n    at g (/a.js:2:2)"}}"#,
            "E: x\n    at f (/a.js:1:2)\n    at g (/a.js:2:2)",
        );
    }

    #[test]
    fn messages_are_found() {
        check(r#"{"level":"error","msg":"no route","err":"refused"}"#, "no route: refused");
        check(r#"level=error msg="no \"route\"" err=refused"#, "no \"route\": refused");
        check("2024-01-01 ERROR c.e.Pay - no route", "no route");
        check("plain", "plain");
        check(r#"{"a":1}"#, r#"{"a":1}"#);
        check("{not json", "{not json");
    }
}
