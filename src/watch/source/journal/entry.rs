//! One line of `journalctl --output=json`.

use serde_json::{Map, Value};

/// What is used of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The journal's own cursor.
    pub cursor: String,
    /// When the journal took it, in nanoseconds since 1970.
    pub nanos: i64,
    /// The unit without `.service`, else the tag, else the program.
    pub service: String,
    /// What tells writers apart: service and process.
    pub label: String,
    /// The unit as systemd names it.
    pub unit: Option<String>,
    /// May have several lines, and be no UTF-8.
    pub message: Vec<u8>,
}

/// Reads a line; `None` for what is no entry.
pub fn read(line: &str) -> Option<JournalEntry> {
    let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let text = |name: &str| fields.get(name).and_then(first_text).filter(|it| !it.is_empty());
    let unit = text("_SYSTEMD_UNIT").or_else(|| text("_SYSTEMD_USER_UNIT"));
    // A session's scope says who is logged in, not what runs.
    let of_unit = unit.as_deref().and_then(|unit| unit.strip_suffix(".service"));
    let service = text("CONTAINER_NAME")
        .or_else(|| of_unit.map(str::to_owned))
        .or_else(|| text("SYSLOG_IDENTIFIER"))
        .or_else(|| text("_COMM"))
        .or_else(|| text("_TRANSPORT"))
        .unwrap_or_else(|| "journal".to_owned());
    let process = text("_PID").or_else(|| text("SYSLOG_PID"));
    let label = process.map_or_else(|| service.clone(), |process| format!("{service}[{process}]"));
    let micros: i64 = text("__REALTIME_TIMESTAMP")?.parse().ok()?;
    Some(JournalEntry {
        cursor: text("__CURSOR")?,
        nanos: micros.saturating_mul(1000),
        service,
        label,
        unit,
        message: fields.get("MESSAGE").map(bytes).unwrap_or_default(),
    })
}

/// A field that stands several times is a list.
fn first_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => values.first().and_then(first_text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// Text, or for what is no text a list of its bytes; of several the first.
fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(values) => match values.first() {
            Some(Value::Number(_)) => {
                let byte = |value: &Value| value.as_u64().and_then(|it| u8::try_from(it).ok());
                values.iter().filter_map(byte).collect()
            }
            Some(first) => bytes(first),
            None => Vec::new(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, service: &str, label: &str, message: &[u8]) {
        let unit = line.contains("_SYSTEMD_UNIT").then(|| "shop.service".to_owned());
        let expected = JournalEntry {
            cursor: "s=1;i=2".to_owned(),
            nanos: 1_795_232_769_000_001_000,
            service: service.to_owned(),
            label: label.to_owned(),
            unit,
            message: message.to_vec(),
        };
        let line = line.replace('{', r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795232769000001","#);
        assert_eq!(read(&line), Some(expected), "{line}");
    }

    #[test]
    fn entries_have_a_service_and_a_message() {
        check(
            r#"{"_SYSTEMD_UNIT":"shop.service","_PID":"7","MESSAGE":"hello"}"#,
            "shop",
            "shop[7]",
            b"hello",
        );
        check(r#"{"SYSLOG_IDENTIFIER":"su","MESSAGE":[104,255,10,120]}"#, "su", "su", b"h\xff\nx");
        check(r#"{"_COMM":["a","b"],"MESSAGE":null}"#, "a", "a", b"");
        check(r#"{"_TRANSPORT":"kernel","MESSAGE":["first","second"]}"#, "kernel", "kernel", b"first");
        for odd in ["", "{}", "[]", r#"{"__CURSOR":"x","__REALTIME_TIMESTAMP":"y"}"#] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
