//! `POST /v1/alerts`: which answer tells Alertmanager to send a webhook again, and which not to.

use reqwest::Method;

use super::{Answer, ask, ask_with, post};
use crate::pages::server::Server;
use crate::pages::story::Given;

const WEBHOOK: &str = r#"{"version":"4","status":"firing","alerts":[
    {"status":"firing","labels":{"alertname":"Errors","service":"shop"},"annotations":{"summary":"it fails"},
     "startsAt":"2026-11-21T04:02:47.25Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"40ae28c1ea1eff54"},
    {"status":"resolved","labels":{"alertname":"Errors","service":"cart"},"fingerprint":"64ffbb21e716efd3"}]}"#;

fn error(answer: &Answer) -> String {
    assert_eq!(answer.header("content-type"), "application/json", "{}", answer.body);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn stored_is_200_however_often() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    for expected in [r#"{"new":1,"repeated":0,"resolved":1}"#, r#"{"new":0,"repeated":1,"resolved":1}"#] {
        let answer = post(&server, "/v1/alerts", WEBHOOK).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    }
    given.store.close().await;
    let other = WEBHOOK.replace("40ae28c1ea1eff54", "0000000000000000");
    let answer = post(&server, "/v1/alerts", &other).await;
    let told = (answer.status, error(&answer));
    assert_eq!(told, (503, "the alerts cannot be stored now, send them again".to_owned()));
}

#[tokio::test]
async fn what_can_never_be_right_is_4xx_and_says_why() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    for (body, expected) in [
        ("", "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        ("token=x", "the body is not JSON: expected ident at line 1 column 2"),
        ("{\"alerts\":[", "the body is not JSON: EOF while parsing a list at line 1 column 11"),
        ("[]", "the body has no list `alerts`: is it a webhook of Alertmanager, version 4?"),
        (r#"{"version":"3","alerts":[]}"#, "the webhook has the version `3`, this is for version 4"),
        (r#"{"alerts":["x"]}"#, "none of the 1 entries of `alerts` is an alert with labels"),
    ] {
        let answer = post(&server, "/v1/alerts", body).await;
        assert_eq!((answer.status, error(&answer).as_str()), (400, expected), "{body}");
        assert!(answer.body.contains(r#""hint":"point a receiver"#), "{}", answer.body);
    }
    let answer = post(&server, "/v1/alerts", &" ".repeat((8 << 20) + 1)).await;
    let told = (answer.status, error(&answer));
    let expected = "the body is larger than 8 MiB: set `max_alerts` in Alertmanager's `webhook_configs`";
    assert_eq!(told, (413, expected.to_owned()));
}

#[tokio::test]
async fn alertmanager_shows_the_token_as_it_can() {
    let given = Given::empty().await;
    let server = Server::start_with(&given, Some("hush")).await;
    for (headers, status) in [
        (vec![], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("authorization", "Bearer hush")], 200),
        // user `alertmanager`, password `hush`
        (vec![("authorization", "Basic YWxlcnRtYW5hZ2VyOmh1c2g=")], 200),
    ] {
        let answer = ask_with(&server, Method::POST, "/v1/alerts", &headers, WEBHOOK).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    let answer = ask(&server, Method::POST, "/v1/alerts", &[]).await;
    assert_eq!(error(&answer), "show the token: `Authorization: Bearer …`");
}
