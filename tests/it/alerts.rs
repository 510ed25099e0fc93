//! The Alertmanager webhook: what becomes of a body, with a scripted Loki behind it; and the whole daemon with a real Alertmanager.

mod alertmanager;
mod daemon;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::routing::get;
use homeostat::base::clock::SystemClock;
use homeostat::base::secret::Secret;
use homeostat::model::detection::Action;
use homeostat::model::issue::Issue;
use homeostat::model::job::JobKind;
use homeostat::store::Store;
use homeostat::store::types::{IssueFilter, JobFilter};
use homeostat::watch::ingest::alerts::{
    AlertAnswer, AlertParts, AlertSettings, Alerts, LokiSettings, check_loki,
};
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::ingest::services::{self, ServiceMap};
use homeostat::watch::triage;
use serde_json::json;

use crate::store::given::{Db, stories};
use crate::support::chance::{n_actions, seed};
use crate::support::wait::{PATIENCE, eventually};

const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"/app/shop.py\", line 12, in pay\n    total = price / n\n\
    ZeroDivisionError: division by zero";

fn alerts(store: &Arc<dyn Store>, loki: Option<LokiSettings>) -> Arc<Alerts> {
    let parts = AlertParts {
        store: Arc::clone(store),
        pipeline: Pipeline::builtin(),
        services: Arc::new(ServiceMap::new(services::Settings::default())),
        triage: triage::Settings::default(),
        settings: AlertSettings { loki, ..AlertSettings::default() },
        clock: SystemClock::shared(),
    };
    Arc::new(Alerts::new(parts).expect("a receiver can be made"))
}

async fn issues(store: &Arc<dyn Store>) -> Vec<Issue> {
    let filter = IssueFilter { with_counted: true, limit: 100, ..IssueFilter::default() };
    store.issues(&filter).await.expect("the store answers")
}

/// A webhook with one alert.
fn webhook(status: &str, starts_at: &str, annotation: (&str, &str), generator_url: &str) -> Vec<u8> {
    let body = json!({
        "version": "4", "status": status, "receiver": "x", "truncatedAlerts": 0, "aNewField": {},
        "alerts": [{
            "status": status,
            "labels": {"alertname": "PaymentErrors", "service": "shop", "severity": "critical"},
            "annotations": {annotation.0: annotation.1},
            "startsAt": starts_at, "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": generator_url, "fingerprint": "40ae28c1ea1eff54",
        }],
    });
    body.to_string().into_bytes()
}

const T1: &str = "2026-11-21T04:02:47.25Z";
const T2: &str = "2026-11-21T05:02:47.25Z";

fn stored(n_new: u32, n_repeated: u32, n_resolved: u32) -> AlertAnswer {
    AlertAnswer::Stored { n_new, n_repeated, n_resolved }
}

stories!(an_alert_is_stored_once_however_often_it_is_told);

async fn an_alert_is_stored_once_however_often_it_is_told(db: Db) {
    let first = alerts(&db.store, None);
    let told = webhook("firing", T1, ("log", TRACEBACK), "");
    assert_eq!(first.receive(&told).await, stored(1, 0, 0));
    assert_eq!(first.receive(&told).await, stored(0, 1, 0));
    // Another process, or this one after a restart: the store knows.
    let second = alerts(&db.opened_again().await, None);
    assert_eq!(second.receive(&told).await, stored(0, 1, 0));
    assert_eq!(second.receive(&webhook("resolved", T1, ("log", TRACEBACK), "")).await, stored(0, 0, 1));
    let [issue] = &issues(&db.store).await[..] else { panic!("not one issue") };
    assert_eq!((issue.service.as_str(), issue.runtime.name(), issue.count), ("shop", "python", 1));
    assert_eq!(issue.title, "ZeroDivisionError: division by zero");

    // It fires again later: that is another time.
    assert_eq!(second.receive(&webhook("firing", T2, ("log", TRACEBACK), "")).await, stored(1, 0, 0));
    assert_eq!(issues(&db.store).await[0].count, 2);
    let tickets = JobFilter { kind: Some(JobKind::Ticket), limit: 10, ..JobFilter::default() };
    assert_eq!(db.store.jobs(&tickets).await.expect("the store answers").len(), 1);
}

mod often {
    use super::*;

    stories!(alerts_are_counted_once_whatever_happens_to_sender_and_store);

    async fn alerts_are_counted_once_whatever_happens_to_sender_and_store(db: Db) {
        let mut random = fastrand::Rng::with_seed(seed());
        let mut store = db.opened_again().await;
        let mut receiver = alerts(&store, None);
        let mut told: Vec<Vec<u8>> = Vec::new();
        for n in 0..n_actions(320) {
            // A new time at which it fires, or one that was told before: at intervals, or because the answer did not come through.
            if told.is_empty() || random.bool() {
                let starts_at = format!("2026-11-21T{:02}:{:02}:02.25Z", n / 60, n % 60);
                told.push(webhook("firing", &starts_at, ("log", TRACEBACK), ""));
            }
            let mut bodies = vec![told[told.len() - 1].clone()];
            let n_again = random.usize(0..3);
            bodies.extend(random.choose_multiple(told.iter().cloned(), n_again));
            match random.u8(0..12) {
                0 => {
                    store = db.opened_again().await;
                    receiver = alerts(&store, None);
                }
                1 => db.be_away(Duration::from_millis(random.u64(0..200))).await,
                _ => {}
            }
            for body in bodies {
                // Alertmanager sends again what was answered 503. Two deliveries of one alert may come at once.
                let deliver = || {
                    eventually("the alert is stored", PATIENCE, async || {
                        match receiver.receive(&body).await {
                            AlertAnswer::Stored { .. } => Some(()),
                            AlertAnswer::Malformed(error) => panic!("{error}"),
                            AlertAnswer::Unavailable => None,
                        }
                    })
                };
                tokio::join!(deliver(), deliver());
            }
        }
        let counts: u64 = issues(&db.opened_again().await).await.iter().map(|issue| issue.count).sum();
        assert_eq!(counts, told.len() as u64, "seed {}", seed());
    }
}

#[tokio::test]
async fn an_alert_without_log_lines_is_an_issue_by_its_own_words() {
    let db = Db::sqlite().await;
    let receiver = alerts(&db.store, None);
    let told = webhook("firing", T1, ("summary", "checkout p99 is 4.2 s, key AKIAIOSFODNN7EXAMPLE"), "");
    assert_eq!(receiver.receive(&told).await, stored(1, 0, 0));
    // Other numbers, the same alert.
    let told = webhook("firing", T2, ("summary", "checkout p99 is 5.1 s, key AKIAIOSFODNN7EXAMPLE"), "");
    assert_eq!(receiver.receive(&told).await, stored(1, 0, 0));
    let [issue] = &issues(&db.store).await[..] else { panic!("not one issue") };
    assert_eq!((issue.count, issue.rule.as_str(), issue.severity.name()), (2, "alertmanager", "critical"));
    assert!(issue.title.starts_with("PaymentErrors: checkout"), "{}", issue.title);
    assert!(!format!("{:?}", db.store.issue_detail(issue.id).await).contains("AKIAIOSFODNN7EXAMPLE"));
}

#[tokio::test]
async fn a_body_that_can_never_be_right_is_told_from_a_store_that_is_away() {
    let db = Db::sqlite().await;
    let receiver = alerts(&db.store, None);
    for body in
        [&b"no json"[..], b"{}", br#"{"version":"3","alerts":[]}"#, br#"{"alerts":[{"status":"firing"}]}"#]
    {
        assert!(matches!(receiver.receive(body).await, AlertAnswer::Malformed(_)));
    }
    assert_eq!(receiver.receive(br#"{"version":"4","alerts":[]}"#).await, stored(0, 0, 0));
    db.store.close().await;
    assert_eq!(
        receiver.receive(&webhook("firing", T1, ("log", TRACEBACK), "")).await,
        AlertAnswer::Unavailable
    );
}

#[tokio::test]
async fn check_asks_loki_with_token_and_tenant() {
    let answer = |headers: axum::http::HeaderMap| async move {
        let shows = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
        let is_known = shows("x-scope-orgid", "team-a") && shows("authorization", "Bearer hush");
        if is_known { StatusCode::OK } else { StatusCode::UNAUTHORIZED }
    };
    let address = serve(Router::new().route("/loki/api/v1/labels", get(answer))).await;
    let url = url::Url::parse(&format!("http://{address}")).expect("an address");
    for (token, expected) in [("hush", None), ("other", Some("Loki answered 401 Unauthorized"))] {
        let (tenant, token) = (Some("team-a".to_owned()), Some(Secret::new(token)));
        let settings = LokiSettings { url: url.clone(), tenant, token, selector: None };
        let told = check_loki(&settings).await.err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), expected);
    }
}

/// A Loki that answers every query alike, and notes what it was asked.
async fn scripted_loki(status: StatusCode, answer: String) -> (LokiSettings, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&asked);
    let handler = move |RawQuery(query): RawQuery| async move {
        notes.lock().expect("nobody panics with it").push(query.unwrap_or_default());
        (status, answer)
    };
    let url = serve(Router::new().route("/loki/api/v1/query_range", get(handler))).await;
    let url = url::Url::parse(&format!("http://{url}/")).expect("an address");
    (LokiSettings { url, tenant: None, token: None, selector: None }, asked)
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn the_lines_behind_an_alert_are_asked_of_loki() {
    let db = Db::sqlite().await;
    let at = |n: usize| (1_795_233_760_000_000_000_u64 + n as u64).to_string();
    let lines: Vec<_> = TRACEBACK.lines().enumerate().map(|(n, line)| json!([at(n), line, {}])).collect();
    let other = json!({"stream": {"service": "other"}, "values": [[at(0), "panic: runtime error: index out of range"]]});
    let answer = json!({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"service": "shop", "detected_level": "error"}, "values": [lines[0]]},
        {"stream": {"service": "shop", "detected_level": "unknown"}, "values": lines[1..]},
        other,
    ]}});
    let (loki, asked) = scripted_loki(StatusCode::OK, answer.to_string()).await;
    let mut rule = url::Url::parse("http://grafana/graph").expect("an address");
    rule.query_pairs_mut()
        .append_pair("g0.expr", r#"sum(count_over_time({env="prod"} |= "Error" [2m])) > 0"#);
    let told = webhook("firing", T1, ("summary", "errors in the shop"), rule.as_str());
    assert_eq!(alerts(&db.store, Some(loki)).receive(&told).await, stored(1, 0, 0));
    let [issue] = &issues(&db.store).await[..] else { panic!("not one issue") };
    assert_eq!((issue.runtime.name(), issue.service.as_str(), issue.count), ("python", "shop", 1));

    let query = asked.lock().expect("nobody panics with it").join("\n");
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let value = |key: &str| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1.as_str());
    assert_eq!(value("query"), Some(r#"{env="prod"}"#));
    // Seven minutes before it fired: the rule's two, and what rules wait.
    assert_eq!(value("start"), Some("1795233347250000000"));
    assert_eq!(value("direction"), Some("forward"));
}

#[tokio::test]
async fn an_alert_whose_lines_are_only_counted_is_an_issue_by_its_own_words() {
    let db = Db::sqlite().await;
    let line = r#"10.0.0.7 - - [21/Nov/2026:04:02:40 +0000] "GET /pay HTTP/1.1" 502 157 "-" "curl/8""#;
    let answer = json!({"status": "success", "data": {"resultType": "streams", "result": [
        {"stream": {"service": "shop"}, "values": [["1795233760000000000", line]]},
    ]}});
    let (mut loki, _) = scripted_loki(StatusCode::OK, answer.to_string()).await;
    loki.selector = Some(r#"{service="$service"}"#.to_owned());
    let told = webhook("firing", T1, ("summary", "the shop answers 502"), "");
    assert_eq!(alerts(&db.store, Some(loki)).receive(&told).await, stored(1, 0, 0));
    let mut found: Vec<_> =
        issues(&db.store).await.into_iter().map(|it| (it.rule, it.action, it.count)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("alertmanager", Action::Issue, 1), ("http.5xx", Action::Count, 1)];
    assert_eq!(found, expected.map(|(rule, action, count)| (rule.to_owned(), action, count)));
}

#[tokio::test]
async fn an_alert_is_stored_by_its_own_words_when_loki_cannot_answer() {
    let db = Db::sqlite().await;
    let (mut loki, asked) = scripted_loki(StatusCode::INTERNAL_SERVER_ERROR, "at capacity".to_owned()).await;
    loki.selector = Some(r#"{service="$service"}"#.to_owned());
    let told = webhook("firing", T1, ("log", TRACEBACK), "");
    assert_eq!(alerts(&db.store, Some(loki)).receive(&told).await, stored(1, 0, 0));
    assert_eq!(issues(&db.store).await[0].runtime.name(), "python");
    assert_eq!(asked.lock().expect("nobody panics with it").len(), 1);
}
