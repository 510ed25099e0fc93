//! The body of a webhook, read with patience: unknown fields are passed over, odd ones are as if they were not there.
//!
//! Format: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::base::clock::Timestamp;

/// Alerts taken from one body: Alertmanager sends groups, and none that people could read is larger.
const MAX_ALERTS: usize = 1000;

/// A webhook, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub struct Webhook {
    pub alerts: Vec<Alert>,
    /// Alerts that Alertmanager itself has left out, and those beyond what is taken.
    pub n_left_out: u64,
    /// Entries that are no alerts.
    pub n_odd: u64,
}

/// One alert of a webhook.
#[derive(Debug, PartialEq, Eq)]
pub struct Alert {
    pub(super) is_firing: bool,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// As it was sent: with the fingerprint it names the time the alert fired.
    pub(super) starts_at_text: String,
    pub(super) starts_at: Option<Timestamp>,
    pub(super) generator_url: String,
    /// Alertmanager's own, a hash of the labels.
    fingerprint: String,
}

/// Why a body can never be right.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBody {
    #[error("the body is not JSON: {0}")]
    Json(serde_json::Error),
    #[error("the body has no list `alerts`: is it a webhook of Alertmanager, version 4?")]
    NoAlerts,
    #[error("none of the {0} entries of `alerts` is an alert with labels")]
    NoLabels(usize),
    #[error("the webhook has the version `{0}`, this is for version 4")]
    Version(String),
}

impl Webhook {
    /// Reads the body of a webhook.
    ///
    /// # Errors
    /// It can never be right: no JSON, no alerts, another version.
    pub fn read(body: &[u8]) -> Result<Self, InvalidBody> {
        let body: Value = serde_json::from_slice(body).map_err(InvalidBody::Json)?;
        if let Some(version) = body.get("version").and_then(Value::as_str).filter(|it| *it != "4") {
            return Err(InvalidBody::Version(version.chars().take(20).collect()));
        }
        let entries = body.get("alerts").and_then(Value::as_array).ok_or(InvalidBody::NoAlerts)?;
        let alerts: Vec<Alert> =
            entries.iter().take(MAX_ALERTS).filter_map(|it| it.as_object().and_then(Alert::read)).collect();
        if alerts.is_empty() && !entries.is_empty() {
            return Err(InvalidBody::NoLabels(entries.len()));
        }
        let truncated = body.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or(0);
        let n_taken = entries.len().min(MAX_ALERTS);
        Ok(Self {
            n_left_out: truncated + (entries.len() - n_taken) as u64,
            n_odd: (n_taken - alerts.len()) as u64,
            alerts,
        })
    }
}

impl Alert {
    /// `None` for what has no labels: every alert has at least its name.
    fn read(fields: &Map<String, Value>) -> Option<Self> {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let labels = texts(fields.get("labels"));
        let starts_at_text = text("startsAt");
        (!labels.is_empty()).then(|| Self {
            is_firing: text("status") != "resolved",
            annotations: texts(fields.get("annotations")),
            starts_at: starts_at_text.parse().ok().filter(|it: &Timestamp| *it > Timestamp::UNIX_EPOCH),
            starts_at_text,
            generator_url: text("generatorURL"),
            fingerprint: text("fingerprint"),
            labels,
        })
    }

    /// Names this firing of the alert for ever.
    pub(super) fn key(&self) -> String {
        // A sender without fingerprints: the labels are what Alertmanager makes them of.
        let fingerprint = if self.fingerprint.is_empty() {
            let labels: Vec<String> =
                self.labels.iter().map(|(key, value)| format!("{key}={value:?}")).collect();
            blake3::hash(labels.join(",").as_bytes()).to_hex()[..16].to_owned()
        } else {
            self.fingerprint.clone()
        };
        format!("alertmanager:{fingerprint}:{}", self.starts_at_text)
    }

    pub(super) fn name(&self) -> &str {
        self.labels.get("alertname").map_or("alert", String::as_str)
    }

    /// The first of these labels or annotations that is there and not empty.
    pub(super) fn first<'a>(map: &'a BTreeMap<String, String>, keys: &[String]) -> Option<&'a str> {
        keys.iter().filter_map(|key| map.get(key)).map(|it| it.trim()).find(|it| !it.is_empty())
    }
}

fn texts(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_read() {
        let body = r#"{"version":"4","status":"firing","truncatedAlerts":2,"somethingNew":{"a":[1]},"alerts":[
            {"status":"firing","labels":{"alertname":"Errors","service":"shop","n":3},"annotations":{"summary":"x"},
             "startsAt":"2026-11-21T03:53:44.418Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://x/","fingerprint":"d6f2"},
            {"status":"resolved","labels":{"alertname":"Errors"}},
            {"status":"firing"}, "no alert"]}"#;
        let webhook = Webhook::read(body.as_bytes()).unwrap();
        assert_eq!((webhook.n_left_out, webhook.n_odd), (2, 2));
        let [firing, resolved] = &webhook.alerts[..] else { panic!("{webhook:?}") };
        assert!(firing.is_firing && !resolved.is_firing);
        assert_eq!(firing.key(), "alertmanager:d6f2:2026-11-21T03:53:44.418Z");
        assert_eq!(firing.labels.len(), 2, "what is no text is no label");
        assert_eq!(resolved.starts_at, None);
        // Without a fingerprint the labels tell alerts apart.
        assert!(resolved.key().starts_with("alertmanager:") && resolved.key().len() > 29);
        let keys = ["missing".to_owned(), "service".to_owned()];
        assert_eq!(Alert::first(&firing.labels, &keys), Some("shop"));
    }

    #[test]
    fn what_can_never_be_right_is_told() {
        let cases = [
            ("", "the body is not JSON"),
            ("{", "the body is not JSON"),
            ("[]", "the body has no list `alerts`"),
            (r#"{"alerts":{}}"#, "the body has no list `alerts`"),
            (r#"{"alerts":["x",{"status":"firing"}]}"#, "none of the 2 entries of `alerts` is an alert"),
            (r#"{"version":"3","alerts":[]}"#, "the webhook has the version `3`"),
        ];
        for (body, expected) in cases {
            let error = Webhook::read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{body}: {error}");
        }
    }
}
