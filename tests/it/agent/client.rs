//! The client's patience: how it treats a server that is slow, busy or broken.

use std::sync::Arc;
use std::time::Duration;

use homeostat::agent::contract::AgentOutcome;
use homeostat::agent::error::AgentError;
use homeostat::agent::scripted::script::{Instead, Script, Turn};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::agent::settings::Settings;
use homeostat::base::shutdown::Shutdown;
use serde_json::json;

use super::desk::{Bench, Desk, attempt, clear, settings};

fn done() -> Turn {
    Turn::tool("task_complete", json!({ "outcome": "gave_up", "summary": "x" }))
}

/// Plays one turn with faults before it; gives the end, the desk, and how many requests there were.
async fn play(
    turn: Turn,
    change: impl FnOnce(&mut Settings),
) -> (Result<AgentOutcome, AgentError>, Arc<Desk>, u64) {
    let bench = Arc::new(Bench::new(&[("a.txt", "a\n")]).await);
    let model = ScriptedModel::start(vec![Script::new(vec![turn])]).await.unwrap();
    let (desk, mut settings) = (Arc::new(Desk::default()), settings(&model));
    change(&mut settings);
    let end = attempt(&bench, &desk, settings, &Shutdown::new()).await;
    assert_eq!(model.refusals(), Vec::<String>::new());
    clear(bench).await;
    (end.map(|end| end.how), desk, model.books().n_requests)
}

#[tokio::test]
async fn a_stream_that_stands_still_is_left_and_paid() {
    let turn = done().after(Instead::Hang { n_events: 5 });
    let (end, desk, n_requests) =
        play(turn, |settings| settings.timeouts.idle = Duration::from_millis(300)).await;
    assert!(matches!(end, Ok(AgentOutcome::Claimed(_))), "{end:?}");
    assert_eq!(n_requests, 2);
    assert!(desk.unsettled() > homeostat::model::money::NanoUsd::ZERO);
}

#[tokio::test]
async fn an_answer_that_never_begins_is_left_and_paid() {
    let turn = done().after(Instead::Delay { milliseconds: 60_000 });
    let (end, desk, n_requests) =
        play(turn, |settings| settings.timeouts.idle = Duration::from_millis(300)).await;
    assert!(matches!(end, Ok(AgentOutcome::Claimed(_))), "{end:?}");
    assert_eq!(n_requests, 2);
    assert!(desk.unsettled() > homeostat::model::money::NanoUsd::ZERO);
}

#[tokio::test]
async fn a_busy_server_is_left_for_later_without_cost() {
    let busy = |seconds: &str| Instead::Status {
        status: 429,
        kind: "rate_limit_error".to_owned(),
        headers: vec![("retry-after".to_owned(), seconds.to_owned())],
    };
    // Longer than a call may wait: the queue's business.
    let (end, desk, n_requests) = play(done().after(busy("3600")), |_| {}).await;
    let Err(AgentError::ModelAway { retry_after, .. }) = end else { panic!("{end:?}") };
    assert_eq!((retry_after, n_requests), (Some(Duration::from_secs(3600)), 1));
    assert_eq!(desk.paid(), homeostat::model::money::NanoUsd::ZERO);

    let turn = (0..3).fold(done(), |turn, _| turn.after(busy("0")));
    let (end, _, n_requests) = play(turn, |settings| settings.timeouts.retries = 2).await;
    assert!(matches!(end, Err(AgentError::ModelAway { .. })), "{end:?}");
    assert_eq!(n_requests, 3);
}

#[tokio::test]
async fn a_server_that_says_not_to_retry_is_obeyed() {
    let never = Instead::Status {
        status: 500,
        kind: "api_error".to_owned(),
        headers: vec![("x-should-retry".to_owned(), "false".to_owned())],
    };
    let (end, _, n_requests) = play(done().after(never), |_| {}).await;
    assert!(matches!(end, Err(AgentError::ModelRefused { .. })), "{end:?}");
    assert_eq!(n_requests, 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let away = Instead::Status {
        status: 307,
        kind: "moved".to_owned(),
        headers: vec![("location".to_owned(), "http://127.0.0.1:9/v1/messages".to_owned())],
    };
    let (end, _, _) = play(done().after(away), |_| {}).await;
    let Err(AgentError::ModelRefused { message }) = end else { panic!("{end:?}") };
    assert!(message.starts_with("status 307"), "{message}");
}
