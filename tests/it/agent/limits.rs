//! Limits of an attempt, with a real clock and real commands.

use std::sync::Arc;
use std::time::{Duration, Instant};

use homeostat::agent::contract::{AgentEnd, AgentOutcome};
use homeostat::agent::scripted::script::{Instead, Script, ScriptBlock, Turn};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::agent::settings::Settings;
use homeostat::base::shutdown::Shutdown;
use homeostat::model::attempt::Outcome;
use serde_json::json;

use super::desk::{Bench, Desk, attempt, clear, settings};

/// Plays scripts with changed settings; gives the end, how long it took, the desk and the model.
async fn play(
    scripts: Vec<Script>,
    change: impl FnOnce(&mut Settings),
) -> (AgentEnd, Duration, Arc<Desk>, ScriptedModel) {
    let bench = Arc::new(Bench::new(&[("a.txt", "a\n")]).await);
    let model = ScriptedModel::start(scripts).await.unwrap();
    let (desk, mut settings) = (Arc::new(Desk::default()), settings(&model));
    change(&mut settings);
    let began = Instant::now();
    let end = attempt(&bench, &desk, settings, &Shutdown::new()).await.unwrap();
    let took = began.elapsed();
    assert_eq!(model.refusals(), Vec::<String>::new());
    clear(bench).await;
    (end, took, desk, model)
}

fn over(limit: &str) -> AgentOutcome {
    AgentOutcome::OverBudget { limit: limit.to_owned() }
}

#[tokio::test]
async fn commands_of_one_turn_end_with_the_time() {
    let run = |seconds: u32| ScriptBlock::ToolUse {
        name: "run_command".to_owned(),
        input: json!({ "command": format!("echo run >> a.txt; sleep {seconds}"), "timeout_seconds": 600 }),
    };
    let turn = Turn::new(vec![run(1), run(300), run(300), run(300)]);
    let (end, took, desk, model) = play(vec![Script::new(vec![turn])], |settings| {
        settings.limits.wall_time = Duration::from_secs(6);
    })
    .await;
    assert_eq!((end.how, end.totals.n_tool_calls, model.books().n_requests), (over("wall_time"), 2, 1));
    assert!(took < Duration::from_secs(20), "{took:?}");
    let killed = desk.lines().iter().filter(|line| line.contains("killed with all its children")).count();
    assert_eq!(killed, 1, "{:#?}", desk.lines());
}

#[tokio::test]
async fn an_answer_that_takes_all_the_time_is_cut_off_and_paid() {
    let turn = Turn::text("x").after(Instead::Hang { n_events: 3 });
    let (end, took, desk, _) = play(vec![Script::new(vec![turn])], |settings| {
        settings.limits.wall_time = Duration::from_secs(2);
    })
    .await;
    assert_eq!((end.how, end.totals.n_model_calls), (over("wall_time"), 1));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(end.totals.unseen_tokens > 0 && desk.unsettled() == end.totals.cost, "{:?}", end.totals);
}

#[tokio::test]
async fn waiting_for_a_busy_api_is_not_the_attempts_time() {
    let busy = || Instead::Status {
        status: 529,
        kind: "overloaded_error".to_owned(),
        headers: vec![("retry-after".to_owned(), "2".to_owned())],
    };
    let done = Turn::tool("task_complete", json!({ "outcome": "not_a_code_bug", "summary": "x" }));
    let turn = done.after(busy()).after(busy());
    let (end, took, _, model) = play(vec![Script::new(vec![turn])], |settings| {
        settings.limits.wall_time = Duration::from_secs(3);
    })
    .await;
    let AgentOutcome::Claimed(claim) = end.how else { panic!("{end:?}") };
    assert_eq!((claim.outcome, model.books().n_faults), (Outcome::NotACodeBug, 2));
    assert!(took >= Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_nearly_full_context_is_handed_over_in_writing() {
    let read = || Turn::tool("read_file", json!({ "path": "a.txt" }));
    let second = Script {
        when: "The line with the cause is a.txt:1.".to_owned(),
        ..Script::new(vec![Turn::tool(
            "task_complete",
            json!({ "outcome": "not_a_code_bug", "summary": "It says a." }),
        )])
    };
    let first = Script::new(vec![read(), Turn::text("The line with the cause is a.txt:1.")]);
    let (end, _, desk, model) = play(vec![second, first], |settings| {
        // The system prompt, the tools and the task take more than two thousand.
        settings.limits.context_tokens = 2_500;
    })
    .await;
    let AgentOutcome::Claimed(claim) = end.how else { panic!("{end:?}\n{:#?}", desk.lines()) };
    assert_eq!(claim.summary.as_str(), "It says a.");
    assert_eq!(model.conversations().len(), 2);
    assert_eq!(desk.paid(), model.books().cost);
    assert!(desk.steps().contains(&"conversation begun anew: its context was full".to_owned()));
}
