//! Slack and webhooks: what is sent, to whom again after a failure, and what is given up.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;

use homeostat::base::id::JobId;
use homeostat::base::secret::Secret;
use homeostat::messenger::{Kind, Messenger, Settings, build};
use homeostat::model::job::{Job, JobState, NewJob};
use homeostat::model::notice::NoticeKind;
use homeostat::repo::FetchTokens;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::given::{Given, PAGE, quick};

async fn messengers(server: &MockServer) -> Vec<Arc<dyn Messenger>> {
    let url = |path: &str| Secret::new(format!("{}{path}", server.uri()));
    let webhook = Kind::Webhook { url: url("/hook"), token: Some(Secret::new("t0ken")) };
    build(vec![
        Settings::new("team", Kind::Slack { url: url("/services/T/B/secret") }),
        Settings::new("pager", webhook),
    ])
    .unwrap()
}

/// Announces an issue and waits for the end of the job.
async fn announced(given: &Given, server: &MockServer) -> Job {
    let issue = given.issue("KeyError: <!channel> @here", vec![]).await;
    let job = NewJob::announce(issue, NoticeKind::IssueOpened, None, None, &issue.to_string());
    let id: JobId = given.store.enqueue(job, given.clock.now()).await.unwrap();
    let repos = given.repos(FetchTokens::default()).await;
    let stages = given.stages(vec![given.local_tracker()], vec![], repos, messengers(server).await);
    let working = given.work(stages, quick());
    let job = given.ended(id).await;
    working.stopped().await;
    job
}

async fn bodies(server: &MockServer, to: &str) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().filter(|it| it.url.path() == to).map(|it| it.body_json().unwrap()).collect()
}

#[tokio::test]
async fn everybody_is_told_once_in_plain_text() {
    let (given, server) = (Given::local().await, MockServer::start().await);
    Mock::given(path("/services/T/B/secret")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let hook = Mock::given(method("POST")).and(path("/hook")).and(header("authorization", "Bearer t0ken"));
    hook.respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let job = announced(&given, &server).await;
    assert_eq!((job.state, job.result.as_deref()), (JobState::Done, Some("told 2")));
    let slack = bodies(&server, "/services/T/B/secret").await;
    let title = "shop: new error: KeyError: <!channel> @ here";
    assert_eq!(slack[0]["blocks"][0]["text"], json!({"type": "plain_text", "text": title, "emoji": false}));
    assert_eq!(slack[0]["text"], "shop: new error: KeyError: &lt;!channel&gt; @ here");
    let mut hook = bodies(&server, "/hook").await.remove(0);
    let issue = job.issue.unwrap();
    assert!(
        hook["at"].take().is_string() && hook["text"].take().as_str().unwrap().starts_with("Seen 3 times")
    );
    let expected = json!({"version": 1, "kind": "issue_opened", "issue": issue.to_string(), "service": "shop",
        "title": title, "text": null, "url": format!("{PAGE}/issues/{issue}"), "at": null});
    assert_eq!(hook, expected);
    let deliveries = server.received_requests().await.unwrap();
    let delivery = deliveries.iter().find_map(|it| it.headers.get("x-homeostat-delivery")).unwrap();
    assert_eq!(delivery.to_str().unwrap(), job.id.to_string());
}

#[tokio::test]
async fn who_was_away_is_told_again_and_nobody_else() {
    let (given, server) = (Given::local().await, MockServer::start().await);
    Mock::given(path("/services/T/B/secret")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let away = Mock::given(path("/hook")).respond_with(ResponseTemplate::new(503)).up_to_n_times(2);
    away.mount(&server).await;
    Mock::given(path("/hook")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let job = announced(&given, &server).await;
    assert_eq!((job.state, job.n_failures), (JobState::Done, 2));
    assert_eq!(bodies(&server, "/services/T/B/secret").await.len(), 1);
    assert_eq!(bodies(&server, "/hook").await.len(), 3);
}

#[tokio::test]
async fn a_wrong_address_is_given_up_and_not_shown() {
    let (given, server) = (Given::local().await, MockServer::start().await);
    let gone = ResponseTemplate::new(404).set_body_string("no_service");
    Mock::given(path("/services/T/B/secret")).respond_with(gone).mount(&server).await;
    Mock::given(path("/hook")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let job = announced(&given, &server).await;
    assert_eq!((job.state, job.n_leases), (JobState::Dead, 1));
    assert_eq!(
        job.result.as_deref(),
        Some("failed to tell `team`: it answered 404 (no_service): check the address of its webhook")
    );
    assert_eq!(bodies(&server, "/hook").await.len(), 1, "the others are told all the same");
}
