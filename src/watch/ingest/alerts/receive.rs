//! From a webhook to what is stored, and to how it may be answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, error, warn};

use super::body::{Alert, Webhook};
use super::loki::{Loki, LokiSettings};
use crate::base::chain::Chain;
use crate::base::clock::{SharedClock, Timestamp};
use crate::base::metrics;
use crate::model::cursor::StreamKey;
use crate::model::detection::{Action, Course, Detection, Severity};
use crate::model::occurrence::{CommitBatch, Delivery, OccurrenceGroup};
use crate::model::service::Service;
use crate::store::types::CommitReceipt;
use crate::store::{Store, StoreError};
use crate::watch::ingest::around::{Select, within};
use crate::watch::ingest::pending::{Answer, Pending, count_stored, decide};
use crate::watch::ingest::pipeline::{Found, Pipeline};
use crate::watch::ingest::services::ServiceMap;
use crate::watch::ingest::stream::Source;
use crate::watch::source::loki::{LogStream, LokiError};
use crate::watch::triage::{self, Storms};

/// Loki is asked no longer than this for all alerts of a webhook: Alertmanager waits for the answer.
const LOKI_BUDGET: Duration = Duration::from_secs(5);

/// Of a text in an annotation.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Alerts remembered as stored, so that a repetition costs no query.
const MAX_REMEMBERED: u64 = 10_000;
const REMEMBER: Duration = Duration::from_secs(3600);

/// Id of the rule that an alert stands for when no other rule hits its text.
const RULE: &str = "alertmanager";

/// How alerts are read.
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// Labels that name the service; the first that is there counts.
    pub service_labels: Vec<String>,
    /// Annotations that carry log lines or say what is wrong; the first that is there counts.
    pub text_annotations: Vec<String>,
    /// Where the lines behind alerts can be asked for.
    pub loki: Option<LokiSettings>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|it| (*it).to_owned()).collect();
        Self {
            service_labels: owned(&["service", "job", "container", "alertname"]),
            text_annotations: owned(&["log", "logs", "line", "lines", "description", "summary"]),
            loki: None,
        }
    }
}

/// What alerts are received with.
#[derive(Debug, Clone)]
pub struct AlertParts {
    pub store: Arc<dyn Store>,
    pub pipeline: Pipeline,
    pub services: Arc<ServiceMap>,
    pub triage: triage::Settings,
    pub settings: AlertSettings,
    pub clock: SharedClock,
}

/// Why alerts cannot be received at all.
#[derive(Debug, thiserror::Error)]
pub enum AlertsError {
    #[error("failed to use Loki")]
    Loki(#[source] LokiError),
}

/// How a webhook may be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertAnswer {
    /// 200: everything in it is durable.
    Stored {
        /// Alerts that were not there before.
        n_new: u32,
        /// Alerts that were.
        n_repeated: u32,
        /// Alerts that are over; they are not counted.
        n_resolved: u32,
    },
    /// 503: it may be sent again.
    Unavailable,
    /// 400: it can never be right, for this reason.
    Malformed(String),
}

/// Receives webhooks. Shared by all requests.
#[derive(Debug)]
pub struct Alerts {
    parts: AlertParts,
    loki: Option<Loki>,
    /// Keys of alerts that are stored.
    stored: moka::future::Cache<String, ()>,
    storms: Mutex<Storms>,
}

impl Alerts {
    /// Makes a receiver.
    ///
    /// # Errors
    /// The machine's TLS cannot be used.
    pub fn new(parts: AlertParts) -> Result<Self, AlertsError> {
        let loki = parts.settings.loki.clone().map(Loki::new).transpose().map_err(AlertsError::Loki)?;
        let stored =
            moka::future::Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBER).build();
        Ok(Self { parts, loki, stored, storms: Mutex::default() })
    }

    /// Stores what a webhook tells, once, and says how to answer it.
    pub async fn receive(&self, body: &[u8]) -> AlertAnswer {
        let webhook = match Webhook::read(body) {
            Ok(webhook) => webhook,
            Err(reason) => {
                metrics::alerts("malformed", 1);
                return AlertAnswer::Malformed(reason.to_string());
            }
        };
        metrics::alerts("odd", webhook.n_odd);
        metrics::alerts("left_out", webhook.n_left_out);
        if webhook.n_left_out > 0 {
            warn!(
                n_left_out = webhook.n_left_out,
                "alerts were left out of a webhook, see `max_alerts` of Alertmanager"
            );
        }
        match self.store(&webhook.alerts).await {
            Ok(answer) => answer,
            Err(store_error) => {
                if store_error.is_transient() {
                    warn!(error = %Chain(&store_error), "alerts cannot be stored now, Alertmanager will send them again");
                } else {
                    error!(error = %Chain(&store_error), "the store refuses alerts");
                }
                metrics::alerts("unavailable", webhook.alerts.len() as u64);
                AlertAnswer::Unavailable
            }
        }
    }

    async fn store(&self, alerts: &[Alert]) -> Result<AlertAnswer, StoreError> {
        let firing: Vec<&Alert> = alerts.iter().filter(|alert| alert.is_firing).collect();
        let n_resolved = alerts.len() - firing.len();
        let new: Vec<&Alert> =
            firing.iter().copied().filter(|alert| !self.stored.contains_key(&alert.key())).collect();
        let mut n_repeated = firing.len() - new.len();
        let mut batch = CommitBatch::default();
        let until = Instant::now() + LOKI_BUDGET;
        for alert in &new {
            let delivery = self.delivery(alert, until).await?;
            batch.deliveries.push(delivery);
        }
        if !new.is_empty() {
            let groups: Vec<OccurrenceGroup> =
                batch.deliveries.iter().flat_map(|delivery| delivery.groups.clone()).collect();
            let receipt = self.commit(batch).await?;
            count_stored(&taken(groups, &receipt));
            n_repeated += receipt.n_repeated_deliveries as usize;
            for alert in &new {
                self.stored.insert(alert.key(), ()).await;
            }
        }
        let n_new = firing.len() - n_repeated.min(firing.len());
        metrics::alerts("new", n_new as u64);
        metrics::alerts("repeated", n_repeated as u64);
        metrics::alerts("resolved", n_resolved as u64);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(AlertAnswer::Stored {
            n_new: number(n_new),
            n_repeated: number(n_repeated),
            n_resolved: number(n_resolved),
        })
    }

    async fn commit(&self, batch: CommitBatch) -> Result<CommitReceipt, StoreError> {
        let started = Instant::now();
        let result = self.parts.store.commit(batch, self.parts.clock.now()).await;
        metrics::commit(if result.is_ok() { "ok" } else { "failed" }, started.elapsed());
        result
    }

    async fn delivery(&self, alert: &Alert, until: Instant) -> Result<Delivery, StoreError> {
        let now = self.parts.clock.now();
        let name = Alert::first(&alert.labels, &self.parts.settings.service_labels).unwrap_or("alertmanager");
        let source = Source {
            stream: StreamKey(alert.key()),
            second: None,
            label: format!("alert {}", alert.name()),
            service: self.parts.services.called(name),
        };
        // With the rules as the service wants them.
        let pipeline = self.parts.pipeline.for_service(&source.service.name);
        let mut found = self.behind(alert, &pipeline, now, until).await;
        // Lines that are only counted are no reason to say nothing of the alert.
        if found.iter().all(|found| found.detection.action == Action::Count) {
            found.extend(self.within(alert, &pipeline, now));
        }
        let mut pending = Pending::new(pipeline.around().every, pipeline.fingerprinter().clone());
        let n_found = found.len();
        found.retain(|found| !found.is_ignored);
        metrics::dropped("ignored", (n_found - found.len()) as u64);
        for found in found {
            let key = (source.service.name.clone(), found.identity.fingerprint);
            let answer =
                if pending.has(&key) { None } else { Some(self.triage(&source.service, &found).await?) };
            pending.add(key, &source, found, answer, now);
        }
        Ok(Delivery { key: alert.key(), groups: pending.take().groups })
    }

    async fn triage(&self, service: &Service, found: &Found) -> Result<Answer, StoreError> {
        let store = &self.parts.store;
        let mut brief = store.issue_brief(&service.name, &found.identity.fingerprint).await?;
        let former =
            if brief.is_none() { self.parts.pipeline.former(&service.name, &found.text) } else { None };
        if let Some(former) = &former {
            brief = store.issue_brief(&service.name, former).await?;
        }
        let mut storms = self.storms.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.parts.clock.now();
        let storm = storms.of(&service.name, now, self.parts.triage.storm_window);
        Ok(Answer { triaged: decide(&self.parts.triage, brief, service, found, now, storm), former })
    }

    /// What the lines behind an alert tell; nothing if they cannot be had.
    async fn behind(&self, alert: &Alert, pipeline: &Pipeline, now: Timestamp, until: Instant) -> Vec<Found> {
        let Some(loki) = &self.loki else { return Vec::new() };
        let Some(lines) = loki.lines(&alert.generator_url, &alert.labels) else { return Vec::new() };
        let fetch = loki.fetch(&lines, alert.starts_at.unwrap_or(now), now);
        let streams = match tokio::time::timeout_at(until, fetch).await {
            Ok(Ok(streams)) => streams,
            Ok(Err(loki_error)) => {
                warn!(error = %Chain(&loki_error), "an alert is stored without the lines behind it");
                return Vec::new();
            }
            Err(_) => {
                warn!(
                    "an alert is stored without the lines behind it: Loki took too long for the alerts before it"
                );
                return Vec::new();
            }
        };
        debug!(n_streams = streams.len(), "asked Loki for the lines behind an alert");
        let mut found = Vec::new();
        for stream in streams.iter().filter(|stream| is_of(alert, &stream.labels)) {
            read_stream(pipeline, stream, &mut found);
        }
        found
    }

    /// What the alert itself tells: the records in its text, else the text as a record.
    fn within(&self, alert: &Alert, pipeline: &Pipeline, now: Timestamp) -> Vec<Found> {
        let at = alert.starts_at.filter(|it| *it <= now).unwrap_or(now);
        let text = Alert::first(&alert.annotations, &self.parts.settings.text_annotations);
        let text = text.map_or("", |text| &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]);
        let nanos = i64::try_from(at.as_nanosecond()).unwrap_or_default();
        let entries = vec![(nanos, text.to_owned())];
        let mut found = Vec::new();
        read_stream(pipeline, &LogStream { labels: Arc::default(), entries }, &mut found);
        found.retain(|found| found.detection.action == Action::Issue);
        if found.is_empty() {
            let text =
                if text.is_empty() { alert.name().to_owned() } else { format!("{}: {text}", alert.name()) };
            let detection = Detection {
                rule: Arc::from(RULE),
                severity: severity(alert),
                action: Action::Issue,
                course: Course::default(),
            };
            let (text, identity) = pipeline.identify(&text);
            let n_lines = u32::try_from(text.as_str().lines().count()).unwrap_or(u32::MAX);
            let found_text = Found {
                first_line: 0,
                n_lines,
                at: Some(at),
                text,
                detection,
                identity,
                is_ignored: false,
                is_cut: false,
                around: None,
            };
            found.push(found_text);
        }
        found
    }
}

fn read_stream(pipeline: &Pipeline, stream: &LogStream, found: &mut Vec<Found>) {
    let mut state = pipeline.stream();
    let (mut lines, n_before) = (Vec::new(), found.len());
    for (nanos, entry) in &stream.entries {
        let at = Timestamp::from_nanosecond((*nanos).into()).ok();
        for line in entry.lines() {
            pipeline.push(&mut state, line.as_bytes(), at, found);
            lines.push(line);
        }
    }
    pipeline.flush(&mut state, found);
    let mut select = Select::default();
    for found in &mut found[n_before..] {
        if !pipeline.around().is_off() && select.takes(found.identity.fingerprint) {
            found.around = Some(Box::new(within(pipeline, &lines, found)));
        }
    }
}

/// Those of the groups that the store took: what came with a delivery that was there already is left out.
fn taken(groups: Vec<OccurrenceGroup>, receipt: &CommitReceipt) -> Vec<OccurrenceGroup> {
    let mut stored: Vec<_> = receipt.groups.iter().map(|it| (it.service.as_str(), it.identity)).collect();
    let is_stored = |group: &OccurrenceGroup| {
        let place = stored.iter().position(|it| *it == (group.service.as_str(), group.levels.identity));
        place.map(|place| stored.swap_remove(place)).is_some()
    };
    let mut groups = groups;
    groups.retain(is_stored);
    groups
}

/// A rule's selector may take in more than the alert is about: what has another value for one of its labels is not meant.
fn is_of(alert: &Alert, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(key, value)| alert.labels.get(key).is_none_or(|wanted| wanted == value))
}

fn severity(alert: &Alert) -> Severity {
    match alert.labels.get("severity").map(String::as_str) {
        Some("critical" | "page" | "emergency") => Severity::Critical,
        Some("warning" | "warn") => Severity::Warning,
        Some("info" | "none") => Severity::Info,
        Some(_) | None => Severity::Error,
    }
}
