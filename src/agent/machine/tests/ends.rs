//! Every way an attempt can end, and what it takes.

use std::time::Duration;

use serde_json::Value;

use super::world::{Ended, World, call, claim, said, scripted, tool, turn};
use crate::agent::client::assemble::AssistantTurn;
use crate::agent::client::http::CallError;
use crate::agent::client::request::ModelRequest;
use crate::agent::contract::AgentOutcome;
use crate::agent::machine::{Failure, ToolOutcome};
use crate::agent::settings::{Limits, Settings};
use crate::agent::usage::Usage;
use crate::model::money::NanoUsd;

/// Price of one call of this world: 100 tokens in, 10 out, at the default model's price.
const CALL: NanoUsd = NanoUsd(300_000);

fn gave_up(why: &str) -> Ended {
    Ended::Well(AgentOutcome::GaveUp { why: why.into() })
}

fn complete() -> AssistantTurn {
    turn(&[call("end", "task_complete")], "tool_use")
}

fn end_of(turns: Vec<AssistantTurn>) -> (Ended, World) {
    let mut world = World::new();
    let (ended, totals) = world.run(&mut scripted(turns), &mut tool);
    assert_eq!(world.paid(), totals.cost);
    (ended, world)
}

fn results_of(request: &ModelRequest) -> Vec<Value> {
    let blocks = &request.messages.last().unwrap().blocks;
    blocks.iter().map(|block| serde_json::from_str(block.get()).unwrap()).collect()
}

#[test]
fn a_claim_ends_it_and_everything_is_counted() {
    let mut world = World::new();
    let turns =
        vec![turn(&[said("let me look"), call("a", "read"), call("b", "edit")], "tool_use"), complete()];
    let (ended, totals) = world.run(&mut scripted(turns), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    let expected =
        ["begin", "user", "reserved", "assistant", "tool", "tool", "reserved", "assistant", "tool", "end"];
    assert_eq!(world.kinds(), expected);
    assert_eq!((totals.n_model_calls, totals.n_tool_calls), (2, 3));
    assert_eq!(totals.usage, Usage { input_tokens: 200, output_tokens: 20, ..Usage::default() });
    assert_eq!((totals.cost, world.paid()), (NanoUsd(2 * CALL.0), NanoUsd(2 * CALL.0)));
    // Both results in one message, in order.
    let ids: Vec<Value> = results_of(&world.requests[1]).iter().map(|it| it["tool_use_id"].clone()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(world.steps, ["agent says"]);
}

#[test]
fn each_reason_to_stop_has_its_end() {
    let (ended, world) =
        end_of(vec![turn(&[said("done!")], "end_turn"), turn(&[call("a", "read")], "tool_use"), complete()]);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    assert_eq!(world.steps[1], "agent reminded");

    let (ended, _) =
        end_of(vec![turn(&[said("done!")], "end_turn"), turn(&[said("I said done")], "stop_sequence")]);
    assert_eq!(ended, gave_up("it stopped without task_complete and said: I said done"));

    let (ended, world) = end_of(vec![turn(&[call("a", "read")], "max_tokens")]);
    assert_eq!(ended, gave_up("the model's answers were too long"));
    let limits: Vec<u64> = world.requests.iter().map(|request| request.max_tokens).collect();
    assert_eq!(limits, [16_000, 32_000]);
    // Never more than a model has: that would be refused, and the attempt with it.
    for (limit, expected) in [(40_000, [40_000, 64_000]), (100_000, [100_000, 100_000])] {
        let mut world = World::new();
        world.settings.limits.output_tokens_per_call = limit;
        world.run(&mut scripted(vec![turn(&[call("a", "read")], "max_tokens")]), &mut tool);
        let limits: Vec<u64> = world.requests.iter().map(|request| request.max_tokens).collect();
        assert_eq!(limits, expected);
    }

    let (ended, world) = end_of(vec![turn(&[], "end_turn")]);
    assert_eq!((ended, world.requests.len()), (gave_up("the model gave empty answers"), 2));

    let (ended, _) = end_of(vec![turn(&[said("no")], "refusal")]);
    assert_eq!(
        ended,
        Ended::Well(AgentOutcome::Refused { why: "the model refused to go on: category".into() })
    );

    let (ended, world) = end_of(vec![turn(&[said("hm")], "pause_turn"), complete()]);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    assert_eq!(world.requests[1].messages.len(), 2);

    let (ended, _) = end_of(vec![turn(&[said("hm")], "pause_turn"); 6]);
    assert_eq!(ended, gave_up("the model paused again and again"));

    let (ended, world) = end_of(vec![turn(&[said("x")], "model_context_window_exceeded")]);
    assert_eq!(ended, gave_up("the model's context was full again"));
    assert_eq!(world.requests.iter().map(|it| it.user_id.as_str()).collect::<Vec<_>>(), ["key", "key-2"]);
    assert_eq!(world.requests[1].messages[0].blocks.len(), 2);
}

#[test]
fn a_refusal_goes_to_the_fallback_model() {
    let mut world = World::new();
    world.settings.fallback_model = Some("claude-opus-5".into());
    let mut model = |request: &ModelRequest| {
        Ok(if request.model == "claude-opus-5" { complete() } else { turn(&[said("no")], "refusal") })
    };
    let (ended, totals) = world.run(&mut model, &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    // 100 tokens in and 10 out at 5 and 25 dollars.
    assert_eq!(totals.cost, NanoUsd(CALL.0 + 750_000));
    assert_eq!(world.paid(), totals.cost);
}

#[test]
fn a_call_that_failed_costs_what_it_may_have_cost() {
    let check = |error: CallError, expected: Ended, n_calls: usize, is_paid: bool| {
        let mut world = World::new();
        let (ended, totals) = world.run(&mut |_| Err(error.clone()), &mut tool);
        assert_eq!((ended, world.requests.len()), (expected, n_calls), "{error:?}");
        let reserved: NanoUsd = world.ledger.values().map(|(amount, _)| *amount).sum();
        let paid = if is_paid { reserved } else { NanoUsd::ZERO };
        assert_eq!((world.paid(), totals.cost), (paid, paid), "{error:?}");
    };
    let away = CallError::Away { message: "529".into(), retry_after: Some(Duration::from_secs(9)) };
    let failure =
        Failure::Away { message: "529".into(), retry_after: Some(Duration::from_secs(9)), n_in_a_row: 1 };
    check(away, Ended::Failed(failure), 1, false);
    let refused = Failure::Refused { message: "401".into() };
    check(CallError::Refused { message: "401".into() }, Ended::Failed(refused), 1, false);
    let cut_off = Failure::Away { message: "reset".into(), retry_after: None, n_in_a_row: 4 };
    check(CallError::CutOff { message: "reset".into() }, Ended::Failed(cut_off), 4, true);
    check(CallError::PromptTooLong, gave_up("the model's context was full again"), 2, false);
    let stopped = || Ended::Well(AgentOutcome::Stopped);
    check(CallError::Stopped { is_sent: true }, stopped(), 1, true);
    check(CallError::Stopped { is_sent: false }, stopped(), 1, false);
}

#[test]
fn a_call_that_was_cut_off_is_made_again() {
    let mut world = World::new();
    let mut n = 0;
    let mut model = |_: &ModelRequest| {
        n += 1;
        if n < 3 { Err(CallError::CutOff { message: "reset".into() }) } else { Ok(complete()) }
    };
    let (ended, totals) = world.run(&mut model, &mut tool);
    assert_eq!((ended, totals.n_model_calls), (Ended::Well(AgentOutcome::Claimed(claim())), 3));
    let amount = world.ledger.values().next().unwrap().0;
    assert_eq!(world.paid(), NanoUsd(2 * amount.0 + CALL.0));
}

#[test]
fn no_call_is_made_that_could_pass_a_limit() {
    let check = |change: &dyn Fn(&mut Settings), expected: &str, n_calls: usize| {
        let mut world = World::new();
        change(&mut world.settings);
        let mut n = 0;
        let mut model = |_: &ModelRequest| {
            n += 1;
            Ok(turn(&[call(&n.to_string(), "read")], "tool_use"))
        };
        let (ended, totals) = world.run(&mut model, &mut tool);
        let limit = expected.to_owned();
        assert_eq!((ended, world.requests.len()), (Ended::Well(AgentOutcome::OverBudget { limit }), n_calls));
        assert!(totals.cost <= world.settings.limits.cost);
        assert_eq!(world.paid(), totals.cost);
    };
    check(&|settings| settings.limits.model_calls = 3, "model_calls", 3);
    // The first call may take 18,000 tokens and more; the second is reserved on top of the 110 used.
    check(&|settings| settings.limits.total_tokens = 18_200, "total_tokens", 1);
    check(&|settings| settings.limits.cost = NanoUsd::from_usd(0.1), "cost", 0);
    check(&|settings| settings.limits.cost = NanoUsd::from_usd(0.166), "cost", 2);
    // Two events a call, a second each.
    check(&|settings| settings.limits.wall_time = Duration::from_secs(8), "wall_time", 3);
    let no_output = Limits { output_tokens_per_call: 1, cost: NanoUsd::ZERO, ..Limits::default() };
    check(&|settings| settings.limits = no_output, "cost", 0);
}

#[test]
fn the_ledger_and_the_price_table_can_forbid_a_call() {
    let mut world = World::new();
    world.refuse_with = Some("day".into());
    let (ended, _) = world.run(&mut |_| panic!("no call may be made"), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::OverBudget { limit: "day".into() }));

    let mut world = World::new();
    world.settings.model = "claude-next".into();
    let (ended, _) = world.run(&mut |_| panic!("no call may be made"), &mut tool);
    assert_eq!(ended, Ended::Failed(Failure::UnknownPrice { model: "claude-next".into() }));
}

#[test]
fn calls_that_cannot_be_read_end_it() {
    let bad = |n: &str| turn(&[call(n, "unknown")], "tool_use");
    let (ended, _) = end_of(vec![bad("1"), bad("2"), bad("3")]);
    assert_eq!(ended, gave_up("it called tools that do not exist, or with input that cannot be read"));
    let (ended, _) = end_of(vec![
        bad("1"),
        bad("2"),
        turn(&[call("3", "read")], "tool_use"),
        bad("4"),
        bad("5"),
        complete(),
    ]);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
}

#[test]
fn circles_are_told_once_and_then_end_it() {
    let mut world = World::new();
    let mut n = 0;
    let mut model = |_: &ModelRequest| {
        n += 1;
        let block =
            serde_json::json!({ "type": "tool_use", "id": format!("t{n}"), "name": "read", "input": {} });
        Ok(turn(&[block], "tool_use"))
    };
    let mut same =
        |_: &_| ToolOutcome { text: "no such file".into(), is_error: true, ..ToolOutcome::default() };
    let (ended, _) = world.run(&mut model, &mut same);
    assert_eq!(ended, gave_up("it went in circles: the same action gave the same result again and again"));
    let is_told = |request: &ModelRequest| {
        results_of(request)[0]["content"]
            .as_str()
            .unwrap_or_default()
            .contains("[homeostat: you have done this")
    };
    let told: Vec<bool> = world.requests[1..].iter().map(is_told).collect();
    assert_eq!(told, [false, false, true, false, false]);
}

#[test]
fn the_end_of_the_budget_is_told_in_the_last_result() {
    let mut world = World::new();
    world.settings.limits.model_calls = 4;
    let turns =
        (0..4).map(|n| turn(&[call(&format!("a{n}"), "read"), call(&format!("b{n}"), "read")], "tool_use"));
    let (ended, _) = world.run(&mut scripted(turns.collect()), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::OverBudget { limit: "model_calls".into() }));
    let results = results_of(&world.requests[3]);
    let is_told: Vec<bool> = results
        .iter()
        .map(|it| it["content"].as_str().unwrap_or_default().contains("1 model calls are left"))
        .collect();
    assert_eq!(is_told, [false, true]);
}
