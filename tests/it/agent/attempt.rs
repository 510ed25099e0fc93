//! Whole attempts: a real bug in a real repository, a scripted fix over the real protocol.

use std::sync::Arc;
use std::time::Duration;

use homeostat::agent::contract::{AgentOutcome, Claim, RootCause};
use homeostat::agent::error::AgentError;
use homeostat::agent::scripted::script::{Instead, Script, ScriptBlock, Turn};
use homeostat::agent::scripted::server::{ScriptedModel, ScriptedOptions};
use homeostat::base::redact::Clean;
use homeostat::base::shutdown::Shutdown;
use homeostat::model::attempt::Outcome;
use serde_json::{Value, json};

use super::desk::{Bench, Desk, attempt, clear, settings};

const STATS: &str = "def mean(values):\n    return sum(values) / len(values)\n";
const TEST: &str =
    "from shop.stats import mean\n\n\ndef test_mean_of_nothing_is_zero():\n    assert mean([]) == 0\n";
const TEST_COMMAND: &str = "python3 -m pytest -q -p no:cacheprovider tests/test_stats.py";

async fn bench() -> Arc<Bench> {
    let files = [("shop/stats.py", STATS), ("shop/__init__.py", ""), ("conftest.py", "")];
    Arc::new(Bench::new(&files).await)
}

fn thinking(text: &str) -> ScriptBlock {
    ScriptBlock::Thinking(text.to_owned())
}

fn call(name: &str, input: Value) -> ScriptBlock {
    ScriptBlock::ToolUse { name: name.to_owned(), input }
}

/// The fix of the repository's bug, as a good model would do it.
fn fix() -> Vec<Turn> {
    vec![
        Turn::new(vec![
            thinking("The frames lead to shop/stats.py; I look at it and at the list of files."),
            ScriptBlock::Text("I will read the code first.".to_owned()),
            call("read_file", json!({ "path": "shop/stats.py" })),
            call("list_files", json!({})),
        ]),
        Turn::new(vec![
            thinking("An empty list divides by zero."),
            call("write_file", json!({ "path": "tests/test_stats.py", "content": TEST })),
            call("run_command", json!({ "command": TEST_COMMAND })),
        ]),
        Turn::tool(
            "edit_file",
            json!({
                "path": "shop/stats.py",
                "old_text": "    return sum(values) / len(values)",
                "new_text": "    return sum(values) / len(values) if values else 0",
            }),
        ),
        Turn::tool("run_command", json!({ "command": "python3 -m pytest -q -p no:cacheprovider" })),
        Turn::tool("git_diff", json!({})),
        Turn::tool(
            "task_complete",
            json!({
                "outcome": "fixed",
                "summary": "The mean of an empty list divided by zero.",
                "root_cause": { "file": "shop/stats.py", "line": 2, "explanation": "len([]) is 0" },
                "changes": "An empty list has the mean 0.",
                "test_command": TEST_COMMAND,
                "test_files": ["tests/test_stats.py"],
                "hypotheses": [],
            }),
        ),
    ]
}

fn claim() -> AgentOutcome {
    AgentOutcome::Claimed(Claim {
        outcome: Outcome::Fixed,
        summary: Clean::trusted("The mean of an empty list divided by zero."),
        root_cause: Some(RootCause {
            file: "shop/stats.py".to_owned(),
            line: 2,
            explanation: Clean::trusted("len([]) is 0"),
        }),
        changes: Clean::trusted("An empty list has the mean 0."),
        test_command: Some(TEST_COMMAND.to_owned()),
        test_files: vec!["tests/test_stats.py".to_owned()],
        hypotheses: Vec::new(),
    })
}

async fn model(turns: Vec<Turn>) -> ScriptedModel {
    ScriptedModel::start(vec![Script::new(turns)]).await.unwrap()
}

#[tokio::test]
async fn a_bug_is_fixed_and_paid_to_the_cent() {
    let (bench, desk, model) = (bench().await, Arc::new(Desk::default()), model(fix()).await);
    let end = attempt(&bench, &desk, settings(&model), &Shutdown::new()).await.unwrap();
    assert_eq!((end.how, model.refusals()), (claim(), Vec::<String>::new()));
    assert_eq!((end.totals.n_model_calls, end.totals.n_tool_calls), (6, 8));
    let books = model.books();
    assert_eq!((books.n_requests, books.n_answered, books.n_refused), (6, 6, 0));
    assert_eq!((end.totals.usage, end.totals.cost), (books.usage, books.cost));
    assert_eq!(desk.paid(), books.cost);
    // The prompt cache is used: most of what is sent again is read from it.
    assert!(books.usage.cache_read_tokens > 4 * books.usage.cache_write_tokens, "{books:?}");
    let diff = bench.shell(&format!("git diff --stat {}", bench.base_commit)).await;
    assert!(diff.contains("2 files changed") || diff.contains("shop/stats.py"), "{diff}");
    // The test failed before the fix, with the error, and the model saw it.
    let saw = desk
        .lines()
        .iter()
        .any(|line| line.contains("ZeroDivisionError: division by zero") && line.contains("\"exit code 1"));
    assert!(saw, "{:#?}", desk.lines());
    assert!(desk.steps().iter().any(|step| step == "agent says: I will read the code first."));
    clear(bench).await;
}

#[tokio::test]
async fn faults_of_every_kind_are_overcome() {
    let turns = vec![
        Turn::tool("git_status", json!({}))
            .after(Instead::Status {
                status: 429,
                kind: "rate_limit_error".to_owned(),
                headers: vec![("retry-after-ms".to_owned(), "20".to_owned())],
            })
            .after(Instead::Status {
                status: 529,
                kind: "overloaded_error".to_owned(),
                headers: vec![("retry-after".to_owned(), "0".to_owned())],
            })
            .after(Instead::Status {
                status: 500,
                kind: "api_error".to_owned(),
                headers: vec![("retry-after-ms".to_owned(), "1".to_owned())],
            })
            .after(Instead::BreakOff { n_events: 4 }),
        Turn::tool("task_complete", json!({ "outcome": "not_reproduced", "summary": "It does not happen." }))
            .after(Instead::ErrorEvent { n_events: 3, kind: "overloaded_error".to_owned() })
            .after(Instead::Malformed { n_events: 3 })
            .after(Instead::Answer(Turn::default()))
            .after(Instead::Delay { milliseconds: 30 })
            .after(Instead::Answer(Turn::text("half a").stopped_by("max_tokens"))),
    ];
    let (bench, desk, model) = (bench().await, Arc::new(Desk::default()), model(turns).await);
    let end = attempt(&bench, &desk, settings(&model), &Shutdown::new()).await.unwrap();
    let AgentOutcome::Claimed(claim) = end.how else { panic!("{end:?}") };
    assert_eq!((claim.outcome, model.refusals()), (Outcome::NotReproduced, Vec::<String>::new()));
    let books = model.books();
    assert_eq!((books.n_faults, books.n_broken_off, books.n_answered), (3, 3, 4));
    // Answers that came whole are paid as used, the others as reserved.
    assert_eq!((end.totals.n_model_calls, end.totals.usage), (7, books.usage));
    assert_eq!(desk.paid(), books.cost + desk.unsettled());
    assert_eq!(desk.paid(), end.totals.cost);
    clear(bench).await;
}

#[tokio::test]
async fn a_stopped_attempt_goes_on_where_it_was() {
    for step in ["tool run: write_file", "tool run: run_command", "model call: claude-sonnet-5-5 call 4"] {
        let (bench, desk, model) = (bench().await, Arc::new(Desk::default()), model(fix()).await);
        let stop = Shutdown::new();
        desk.stop_at(step, &stop);
        let end = attempt(&bench, &desk, settings(&model), &stop).await.unwrap();
        assert_eq!(end.how, AgentOutcome::Stopped, "{step}");
        desk.stop_at("never", &stop);
        let n_lines = desk.lines().len();

        // A new process has a new container, at the base commit.
        let fresh = super::attempt::bench().await;
        let end = attempt(&fresh, &desk, settings(&model), &Shutdown::new()).await.unwrap();
        assert_eq!((end.how, model.refusals()), (claim(), Vec::<String>::new()), "{step}");
        assert_eq!(end.totals.n_tool_calls, 8, "{step}");
        assert_eq!(desk.paid(), end.totals.cost, "{step}");
        assert!(desk.lines().len() > n_lines);
        assert_eq!(
            fresh.shell("python3 -m pytest -q -p no:cacheprovider | tail -1 | cut -c1-8").await,
            "1 passed\n"
        );
        clear(fresh).await;
        clear(bench).await;
    }
}

#[tokio::test]
async fn a_call_that_is_stopped_is_paid_in_full_at_once() {
    let turns = vec![Turn::text("never").after(Instead::Hang { n_events: 3 })];
    let (bench, desk, model) = (bench().await, Arc::new(Desk::default()), model(turns).await);
    let stop = Shutdown::new();
    let stopper = stop.clone();
    let books = async {
        let what = "a request under way";
        crate::support::wait::eventually(what, Duration::from_secs(30), async || {
            (model.books().n_broken_off == 1).then_some(())
        })
        .await;
        stopper.request();
    };
    let (end, ()) = tokio::join!(attempt(&bench, &desk, settings(&model), &stop), books);
    let end = end.unwrap();
    assert_eq!((end.how, end.totals.cost), (AgentOutcome::Stopped, desk.paid()));
    assert!(desk.paid() > homeostat::model::money::NanoUsd::ZERO && desk.paid() == desk.unsettled());
    clear(bench).await;
}

#[tokio::test]
async fn a_fix_that_is_claimed_too_early_is_not_accepted() {
    let mut turns = fix();
    let done = turns.pop().unwrap();
    // Claims before anything was changed, then with a test that fails, then rightly.
    let script =
        vec![done.clone(), turns[1].clone(), done.clone(), turns[0].clone(), turns[2].clone(), done.clone()];
    let (bench, desk, model) = (bench().await, Arc::new(Desk::default()), model(script).await);
    let end = attempt(&bench, &desk, settings(&model), &Shutdown::new()).await.unwrap();
    assert_eq!((end.how, model.refusals()), (claim(), Vec::<String>::new()));
    let lines = desk.lines().join("\n");
    assert!(lines.contains("outcome fixed, but no file is changed"));
    assert!(lines.contains("not accepted, the test command does not pass: exit code 1"));
    clear(bench).await;
}

#[tokio::test]
async fn what_stops_an_attempt_is_told_apart() {
    let bench = bench().await;
    let check = async |settings, check: &dyn Fn(&AgentError) -> bool| {
        let desk = Arc::new(Desk::default());
        let error = attempt(&bench, &desk, settings, &Shutdown::new()).await.unwrap_err();
        assert!(check(&error), "{error:?}");
        assert_eq!(desk.paid(), homeostat::model::money::NanoUsd::ZERO);
        error
    };
    let options = ScriptedOptions { api_key: Some("another".to_owned()), ..ScriptedOptions::default() };
    let model = ScriptedModel::start_with(Vec::new(), options).await.unwrap();
    let error = check(settings(&model), &|error| matches!(error, AgentError::ModelRefused { .. })).await;
    assert_eq!(
        error.to_string(),
        "the model API refused the request: status 401, authentication_error, invalid x-api-key, req_scripted"
    );
    assert!(!error.is_transient());

    let mut unknown = settings(&model);
    unknown.model = "claude-next".to_owned();
    check(unknown, &|error| matches!(error, AgentError::UnknownPrice { .. })).await;

    let mut away = settings(&model);
    drop(model);
    away.timeouts.retries = 1;
    let error = check(away, &|error| matches!(error, AgentError::ModelAway { .. })).await;
    assert!(error.is_transient());
    clear(bench).await;
}
