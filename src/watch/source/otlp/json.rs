//! The JSON form: protobuf's own mapping, in which 64-bit numbers are texts and values are named by their type.

use serde_json::{Map, Value};

use super::text::{LogRecord, Logs, ResourceLogs};

/// Values within values.
const MAX_DEPTH: usize = 32;

/// Reads a request. Records that are none are counted, unknown fields passed over.
///
/// # Errors
/// It is no JSON, or no object.
pub fn read(bytes: &[u8]) -> Result<Logs, serde_json::Error> {
    let request: Map<String, Value> = serde_json::from_slice(bytes)?;
    let mut logs = Logs::default();
    for resource in list(&request, "resourceLogs", "resource_logs") {
        let mut of_resource = ResourceLogs {
            attributes: attributes(resource.get("resource").and_then(|it| it.get("attributes")), 0),
            records: Vec::new(),
        };
        let scopes = resource.as_object().map(|it| list(it, "scopeLogs", "scope_logs")).unwrap_or_default();
        for scope in scopes {
            let records =
                scope.as_object().map(|it| list(it, "logRecords", "log_records")).unwrap_or_default();
            for record in records {
                match record.as_object() {
                    Some(record) => of_resource.records.push(of_record(record)),
                    None => logs.n_rejected += 1,
                }
            }
        }
        logs.resources.push(of_resource);
    }
    Ok(logs)
}

fn list<'v>(object: &'v Map<String, Value>, name: &str, other: &str) -> &'v [Value] {
    object.get(name).or_else(|| object.get(other)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn of_record(record: &Map<String, Value>) -> LogRecord {
    let get = |name: &str, other: &str| record.get(name).or_else(|| record.get(other));
    let text = get("severityText", "severity_text").and_then(Value::as_str).unwrap_or_default();
    LogRecord {
        time: number(get("timeUnixNano", "time_unix_nano")),
        observed_time: number(get("observedTimeUnixNano", "observed_time_unix_nano")),
        severity: severity(get("severityNumber", "severity_number")),
        severity_text: text.to_owned(),
        body: record.get("body").map_or(Value::Null, |body| value(body, 0)),
        attributes: attributes(record.get("attributes"), 0),
    }
}

fn number(value: Option<&Value>) -> u64 {
    let number = value.and_then(|it| it.as_u64().or_else(|| it.as_str().and_then(|text| text.parse().ok())));
    number.unwrap_or(0)
}

/// A number, or its name in the protocol: `SEVERITY_NUMBER_ERROR2`.
fn severity(value: Option<&Value>) -> i64 {
    const NAMES: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let Some(value) = value else { return 0 };
    let of_name = || {
        let name = value.as_str()?.strip_prefix("SEVERITY_NUMBER_")?;
        let idx = NAMES.iter().position(|known| name.starts_with(known))?;
        i64::try_from(idx * 4 + 1).ok()
    };
    value.as_i64().or_else(of_name).unwrap_or(0)
}

fn attributes(list: Option<&Value>, depth: usize) -> Map<String, Value> {
    let mut map = Map::new();
    for pair in list.and_then(Value::as_array).map_or(&[][..], Vec::as_slice) {
        if let (Some(key), Some(of_key)) = (pair.get("key").and_then(Value::as_str), pair.get("value")) {
            map.insert(key.to_owned(), value(of_key, depth));
        }
    }
    map
}

/// `{"stringValue": "x"}` and its like as the value itself.
fn value(any: &Value, depth: usize) -> Value {
    let Some((kind, inner)) = any.as_object().and_then(|it| it.iter().next()) else { return Value::Null };
    if depth >= MAX_DEPTH {
        return Value::Null;
    }
    match kind.as_str() {
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => inner.clone(),
        "intValue" => {
            let number = inner.as_i64().or_else(|| inner.as_str().and_then(|text| text.parse().ok()));
            number.map_or(Value::Null, Value::from)
        }
        "arrayValue" => {
            let values = inner.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Value::Array(values.iter().map(|it| value(it, depth + 1)).collect())
        }
        "kvlistValue" => Value::Object(attributes(inner.get("values"), depth + 1)),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::source::otlp::items;

    #[test]
    fn records_are_read_as_they_are_meant() {
        let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"warehouse"}},
            {"key":"host.name","value":{"stringValue":"h1"}}]},
            "scopeLogs":[{"scope":{"name":"stock"},"logRecords":[
            {"timeUnixNano":"1795255200250000000","severityNumber":10,"severityText":"notice",
             "body":{"stringValue":"shelf 4 is refilled"},"attributes":[{"key":"n","value":{"intValue":"7"}}]},
            {"severityNumber":"SEVERITY_NUMBER_ERROR","body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"boolValue":true}]}}}]}},
             "attributes":[{"key":"exception.type","value":{"stringValue":"stock.Empty"}},{"key":"exception.message","value":{"stringValue":"no stock"}}]},
            7]}]}]}"#;
        let logs = read(body.as_bytes()).unwrap();
        assert_eq!(logs.n_rejected, 1);
        let items = items(logs);
        let texts: Vec<_> =
            items.iter().map(|it| (it.at, String::from_utf8_lossy(&it.text).into_owned())).collect();
        assert_eq!(
            texts,
            [
                (Some(1_795_255_200_250_000_000), "INFO shelf 4 is refilled".to_owned()),
                (None, "ERROR {\"a\":[true]}\nstock.Empty: no stock".to_owned()),
            ]
        );
        assert_eq!((items[0].service.as_str(), items[0].label.as_str()), ("warehouse", "warehouse (h1)"));
        assert!(read(b"[]").is_err());
        assert_eq!(read(b"{}").unwrap(), Logs::default());
    }
}
