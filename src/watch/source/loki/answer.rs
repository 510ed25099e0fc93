//! Loki's answers to a log query, of 2.x and 3.x, as streams and as one order.
//!
//! An entry is recognised by the hash of its stream's labels and its text: within a stream Loki keeps a text once for each time.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::client::LokiError;
use crate::base::metrics;

/// Label that Loki 3 adds to entries; it would cut a stack trace in two streams.
const DETECTED_LEVEL: &str = "detected_level";

/// The entries of one log stream, oldest first. An entry may have many lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    pub labels: Arc<BTreeMap<String, String>>,
    /// Nanoseconds since 1970, and the text.
    pub entries: Vec<(i64, String)>,
}

/// An entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LokiEntry {
    pub labels: Arc<BTreeMap<String, String>>,
    /// Hash of the labels.
    pub stream: u64,
    pub nanos: i64,
    pub text: String,
    /// Hash of labels and text.
    pub hash: u64,
}

#[derive(Deserialize)]
struct ApiAnswer {
    #[serde(default)]
    data: ApiData,
}

#[derive(Deserialize, Default)]
struct ApiData {
    #[serde(default)]
    result: Vec<ApiStream>,
}

#[derive(Deserialize)]
struct ApiStream {
    #[serde(default)]
    stream: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Vec<serde_json::Value>>,
}

/// Reads an answer. Streams that differ only in what Loki found out about their entries are one.
///
/// # Errors
/// It is no JSON, or not that of a log query.
pub fn read(body: &[u8]) -> Result<Vec<LogStream>, LokiError> {
    let answer: ApiAnswer = serde_json::from_slice(body).map_err(LokiError::Json)?;
    let mut streams: BTreeMap<BTreeMap<String, String>, Vec<(i64, String)>> = BTreeMap::new();
    for ApiStream { mut stream, values } in answer.data.result {
        stream.remove(DETECTED_LEVEL);
        let entries = streams.entry(stream).or_default();
        for value in values {
            match entry(value) {
                Some(entry) => entries.push(entry),
                None => metrics::odd_message("loki", "entry"),
            }
        }
    }
    let streams = streams.into_iter().map(|(labels, mut entries)| {
        entries.sort_by_key(|(nanos, _)| *nanos);
        LogStream { labels: Arc::new(labels), entries }
    });
    Ok(streams.collect())
}

fn entry(value: Vec<serde_json::Value>) -> Option<(i64, String)> {
    let mut value = value.into_iter();
    let nanos = value.next()?.as_str()?.parse().ok()?;
    match value.next()? {
        serde_json::Value::String(text) => Some((nanos, text)),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => None,
    }
}

/// All entries by their times; at one time those of a stream stay together and in their order.
pub(super) fn in_order(streams: Vec<LogStream>) -> Vec<LokiEntry> {
    let mut all = Vec::with_capacity(streams.iter().map(|stream| stream.entries.len()).sum());
    for LogStream { labels, entries } in streams {
        let mut hasher = blake3::Hasher::new();
        for (name, value) in labels.iter() {
            hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
            hasher.update(&(value.len() as u64).to_le_bytes()).update(value.as_bytes());
        }
        let stream = short(&hasher);
        all.extend(entries.into_iter().map(|(nanos, text)| {
            let hash = short(hasher.clone().update(&[0xff]).update(text.as_bytes()));
            LokiEntry { labels: Arc::clone(&labels), stream, nanos, text, hash }
        }));
    }
    all.sort_by_key(|entry| entry.nanos);
    all
}

fn short(hasher: &blake3::Hasher) -> u64 {
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(container: &str, entries: &[(i64, &str)]) -> LogStream {
        LogStream {
            labels: Arc::new(BTreeMap::from([("container".to_owned(), container.to_owned())])),
            entries: entries.iter().map(|(nanos, text)| (*nanos, (*text).to_owned())).collect(),
        }
    }

    #[test]
    fn an_answer_is_read_and_streams_split_by_level_are_one() {
        let body = r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[
            {"stream":{"container":"bot","detected_level":"unknown"},"values":[["1795232769000000002","Traceback:"],["1795232769000000003","E: x",{}]]},
            {"stream":{"container":"bot","detected_level":"error"},"values":[["1795232769000000001","ERROR failed"],["odd"],["1",2]]},
            {"stream":{"container":"web"},"values":[["1795232769000000001","hello"]]}],"stats":{}}}"#;
        let at = |nanos: i64| 1_795_232_769_000_000_000 + nanos;
        let bot = stream("bot", &[(at(1), "ERROR failed"), (at(2), "Traceback:"), (at(3), "E: x")]);
        assert_eq!(read(body.as_bytes()).unwrap(), [bot, stream("web", &[(at(1), "hello")])]);
        assert_eq!(read(br#"{"status":"success"}"#).unwrap(), []);
        assert!(matches!(read(b"<html>"), Err(LokiError::Json(_))));
    }

    #[test]
    fn streams_become_one_order() {
        let entries = in_order(vec![
            stream("b", &[(2, "b1"), (2, "b2"), (5, "b3")]),
            stream("a", &[(1, "a1"), (2, "b1"), (3, "a3")]),
        ]);
        let texts: Vec<_> = entries.iter().map(|it| (it.nanos, it.text.as_str())).collect();
        assert_eq!(texts, [(1, "a1"), (2, "b1"), (2, "b2"), (2, "b1"), (3, "a3"), (5, "b3")]);
        assert_ne!(entries[1].hash, entries[3].hash, "the stream counts too");
        assert_eq!(entries[0].stream, entries[4].stream);
    }
}
