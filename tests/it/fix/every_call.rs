//! An attempt that is interrupted after each of its tool calls, and one that is run again from its transcript.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::sync::Arc;

use futures_util::StreamExt;
use homeostat::agent::replay::Difference;
use homeostat::agent::scripted::script::{Script, ScriptBlock, Turn};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::heal::fix::FixStage;
use homeostat::heal::fix::replay::replay;
use homeostat::model::attempt::Outcome;
use homeostat::model::stage::{Stage, StageOutcome, StageResult};
use homeostat::store::types::Held;
use serde_json::json;

use super::given::{Desk, Given, Leased, RECORD, SHOP, model};
use super::play::{always, claim, edit_source, read_source, run, write_test};
use crate::support::wait::{PATIENCE, eventually};

/// Tells of itself in a file of the repository.
fn note(n: usize) -> ScriptBlock {
    let input = json!({ "command": format!("echo 'call {n}' >> notes.txt; cat notes.txt") });
    ScriptBlock::ToolUse { name: "run_command".to_owned(), input }
}

/// Every kind of tool, one turn with several calls, thinking that is signed for what stands before it.
fn turns() -> Vec<Turn> {
    let thinking = ScriptBlock::Thinking("One thing after the other.".to_owned());
    vec![
        Turn::new(vec![thinking, note(1), note(2), note(3)]),
        read_source(),
        write_test("def test_nothing():\n    pass\n"),
        edit_source("    return sum(values) / len(values) if values else 0"),
        Turn::new(vec![note(4)]),
        claim("not_a_code_bug"),
    ]
}

const N_CALLS: usize = 8;

fn tool_runs(desk: &Desk) -> Vec<String> {
    desk.steps().into_iter().filter(|step| step.starts_with("tool run: ")).collect()
}

/// How an attempt is interrupted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    /// Asked to stop when the next call would begin.
    Stopped,
    /// Dropped where it stands, in the next call.
    Killed,
}

/// Runs the job until `k` calls or, where it is killed in the next one, perhaps one more are made.
async fn interrupt(given: &Given, stage: &FixStage, leased: &Leased, k: usize, how: How) {
    let desk = Desk::default();
    let begun = async {
        eventually("the next call", PATIENCE, async || (tool_runs(&desk).len() > k).then_some(())).await;
    };
    let stage_run = stage.run(given.context(leased, &desk));
    match how {
        How::Killed => tokio::select! {
            outcome = stage_run => panic!("after {k} calls: {outcome:?}"),
            () = begun => {}
        },
        How::Stopped => {
            desk.stop_at_nth("tool run: ", k + 1);
            assert_eq!(stage_run.await, StageOutcome::released(), "after {k} calls");
        }
    }
}

fn n_calls(transcript: &[String]) -> usize {
    transcript.iter().filter(|line| line.contains(r#""entry":{"tool":"#)).count()
}

async fn resumed_after(k: usize, how: How) {
    let mut given = Given::new(SHOP).await;
    let model: ScriptedModel = model(always(turns())).await;
    let stage = FixStage::new(given.parts(&model).await);
    let leased = given.lease_fix_of(RECORD).await;
    interrupt(&given, &stage, &leased, k, how).await;
    let before = given.store.transcript(given.attempt().await.id).await.unwrap();
    let n_done = n_calls(&before);
    assert!(n_done == k || (how == How::Killed && n_done > k), "{how:?} after {k}: {n_done}");
    given.release(&leased).await;

    let again = given.lease().await;
    let desk = Desk::default();
    let outcome = stage.run(given.context(&again, &desk)).await;
    assert!(matches!(outcome.result, StageResult::Done { .. }), "{outcome:?}");
    // The server refuses a history that is not the one it knows.
    assert_eq!(model.refusals(), Vec::<String>::new(), "{how:?} after {k}");
    let attempt = given.attempt().await;
    let after = given.store.transcript(attempt.id).await.unwrap();
    assert_eq!(after[..before.len()], before[..], "{how:?} after {k}");
    assert_eq!(attempt.outcome, Some(Outcome::NotACodeBug), "{attempt:#?}");
    let (n_again, n_told) = (tool_runs(&desk).len(), attempt.n_tool_calls as usize);
    assert_eq!((n_done + n_again, n_told, n_calls(&after)), (N_CALLS, N_CALLS, N_CALLS), "{how:?} after {k}");
    // Each call left one line: none was made twice, and what they changed came back.
    let notes = "call 1\\ncall 2\\ncall 3\\ncall 4";
    assert!(after.iter().any(|line| line.contains(notes)), "{how:?} after {k}: {after:#?}");
    assert!(attempt.patch.contains("if values else 0"), "{}", attempt.patch);
    let spent = given.store.spend_of_attempt(attempt.id).await.unwrap();
    let books = model.books();
    assert!(spent.total() >= books.cost && spent.reserved.0 == 0, "{how:?} after {k}: {spent:?}, {books:?}");
}

#[tokio::test]
async fn an_attempt_goes_on_after_any_number_of_calls() {
    let cases = (0..N_CALLS).map(|k| (k, if k % 2 == 0 { How::Killed } else { How::Stopped }));
    futures_util::stream::iter(cases)
        .map(|(k, how)| resumed_after(k, how))
        .buffer_unordered(4)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test]
async fn a_job_is_run_again_from_its_transcript() {
    let mut given = Given::new(SHOP).await;
    let mut turns = turns();
    turns.insert(1, run("head -c 300 /dev/urandom | base64"));
    let model = model(vec![Script::new(turns)]).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let n_requests = model.books().n_requests;
    let desk = Desk::default();
    let job = given.store.job(leased.job.id).await.unwrap();
    let context = homeostat::model::stage::StageContext { job, ..given.context(&leased, &desk) };
    let replayed = replay(&given.parts(&model).await, &context).await.unwrap();
    assert_eq!((replayed.len(), model.books().n_requests), (1, n_requests), "the model is not asked");
    let calls = &replayed[0].calls;
    assert_eq!(calls.len(), N_CALLS + 1);
    let differing: Vec<_> = calls.iter().filter(|call| !call.differences.is_empty()).collect();
    assert_eq!(differing.len(), 1, "{differing:#?}");
    assert_eq!(differing[0].tool, "run_command");
    assert!(matches!(differing[0].differences.as_slice(), [Difference::Text { .. }]), "{differing:#?}");
    assert_eq!(given.containers().await, Vec::<String>::new());
}

/// A worker whose lease is gone, to somebody else or with time, writes nothing of the attempt and spends nothing.
#[tokio::test]
async fn a_lost_lease_writes_nothing() {
    let mut given = Given::new(SHOP).await;
    let model = model(always(turns())).await;
    let stage = Arc::new(FixStage::new(given.parts(&model).await));
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let (running, context) = (Arc::clone(&stage), given.context(&leased, &desk));
    let run = tokio::spawn(async move { running.run(context).await });
    eventually("a call", PATIENCE, async || (tool_runs(&desk).len() > 1).then_some(())).await;
    given.release(&leased).await;
    let outcome = run.await.unwrap();
    assert!(matches!(outcome.result, StageResult::Retry { .. }), "{outcome:?}");
    let attempt = given.attempt().await;
    assert_eq!((attempt.outcome, attempt.n_tool_calls), (None, 0), "{attempt:#?}");
    let held = Held { job: leased.job.id, token: leased.token(), now: SystemClock.now() };
    let refused = given.store.save_attempt_held(&attempt, held).await.unwrap_err();
    assert!(matches!(refused, homeostat::store::StoreError::LeaseLost { .. }), "{refused}");

    let again = given.lease().await;
    let outcome = stage.run(given.context(&again, &Desk::default())).await;
    assert!(matches!(outcome.result, StageResult::Done { .. }), "{outcome:?}");
    assert_eq!(given.attempt().await.outcome, Some(Outcome::NotACodeBug));
}
