//! Limits within a turn, time that does not count, and the hand-over to a new conversation.

use std::time::Duration;

use serde_json::Value;

use super::world::{Ended, World, call, claim, said, scripted, tool, turn};
use crate::agent::client::assemble::AssistantTurn;
use crate::agent::client::http::CallError;
use crate::agent::client::request::{ModelRequest, Role};
use crate::agent::contract::AgentOutcome;
use crate::agent::usage::Usage;

fn over(limit: &str) -> Ended {
    Ended::Well(AgentOutcome::OverBudget { limit: limit.into() })
}

fn complete() -> AssistantTurn {
    turn(&[call("end", "task_complete")], "tool_use")
}

fn many(n: usize) -> AssistantTurn {
    let calls: Vec<Value> = (0..n).map(|n| call(&format!("t{n}"), "read")).collect();
    turn(&calls, "tool_use")
}

fn results(request: &ModelRequest) -> Vec<String> {
    let blocks = &request.messages.last().unwrap().blocks;
    let text = |block: &serde_json::value::RawValue| -> String {
        let block: Value = serde_json::from_str(block.get()).unwrap();
        block["content"].as_str().or(block["text"].as_str()).unwrap_or_default().to_owned()
    };
    blocks.iter().map(|block| text(block)).collect()
}

#[test]
fn a_turn_of_many_calls_is_cut_when_the_time_is_over() {
    let mut world = World::new();
    world.settings.limits.wall_time = Duration::from_secs(10);
    let mut n_run = 0;
    let mut slow = |it: &_| {
        n_run += 1;
        tool(it)
    };
    let (ended, totals) = world.run(&mut scripted(vec![many(50)]), &mut slow);
    // A second for each event: the reservation, the answer, and then the tools until ten are over.
    assert_eq!((ended, n_run, totals.n_tool_calls), (over("wall_time"), 8, 8));
    assert_eq!(world.kinds().last().map(String::as_str), Some("end"));
    assert_eq!(world.run(&mut |_| panic!("no call"), &mut |_| panic!("no tool")).0, over("wall_time"));
}

#[test]
fn a_turn_has_no_more_calls_than_there_are_steps_left() {
    let mut world = World::new();
    world.settings.limits.model_calls = 4;
    let mut calls: Vec<Value> = (0..6).map(|n| call(&format!("t{n}"), "read")).collect();
    let first = turn(&calls, "tool_use");
    calls.push(call("end", "task_complete"));
    let (ended, totals) = world.run(&mut scripted(vec![first, turn(&calls, "tool_use")]), &mut tool);
    // Four steps and then three are left, that of the turn among them; the end is no step.
    assert_eq!((ended, totals.n_tool_calls), (Ended::Well(AgentOutcome::Claimed(claim())), 4 + 3 + 1));
    let not_run = "not run: one turn may have 4 tool calls now, as many as there are steps left";
    let texts = results(&world.requests[1]);
    assert_eq!(texts[3..], ["result of t3", not_run, not_run]);
}

#[test]
fn what_a_call_that_was_cut_off_may_have_used_counts() {
    let mut world = World::new();
    // Each call reserves about 18,000 tokens at most.
    world.settings.limits.total_tokens = 40_000;
    let mut model = |_: &ModelRequest| Err(CallError::CutOff { message: "reset".into() });
    let (ended, totals) = world.run(&mut model, &mut tool);
    assert_eq!((ended, world.requests.len(), totals.usage), (over("total_tokens"), 2, Usage::default()));
    assert!(totals.unseen_tokens > 32_000 && totals.tokens() <= 40_000, "{totals:?}");
}

#[test]
fn waiting_for_the_model_is_not_work() {
    let mut world = World::new();
    world.settings.limits.wall_time = Duration::from_secs(30);
    let turns = || vec![many(1), many(2), complete()];
    world.waits = Duration::from_secs(3600);
    let mut n = 0;
    let mut answers = scripted(turns());
    let mut model = |request: &ModelRequest| {
        n += 1;
        if n == 2 { Err(CallError::CutOff { message: "reset".into() }) } else { answers(request) }
    };
    let (ended, _) = world.run(&mut model, &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    assert!(world.kinds().contains(&"waited".to_owned()), "{:?}", world.kinds());

    // The same after a kill: what was waited is in the transcript.
    let mut world = World::new();
    world.settings.limits.wall_time = Duration::from_secs(30);
    world.waits = Duration::from_secs(3600);
    world.kill_at = Some(5);
    assert_eq!(world.run(&mut scripted(turns()), &mut tool).0, Ended::Killed);
    world.kill_at = None;
    assert_eq!(world.run(&mut scripted(turns()), &mut tool).0, Ended::Well(AgentOutcome::Claimed(claim())));
}

/// Answers of a model whose context is small: it is asked for a hand-over after its first tool run.
fn small_world() -> World {
    let mut world = World::new();
    world.settings.limits.context_tokens = 1_000;
    world
}

fn full(mut turn: AssistantTurn) -> AssistantTurn {
    turn.usage.input_tokens = 900;
    turn
}

#[test]
fn a_context_that_is_nearly_full_is_handed_over_in_writing() {
    let mut world = small_world();
    let mut model = |request: &ModelRequest| {
        let n = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        Ok(match (request.user_id.as_str(), n) {
            ("key", 0) => full(turn(&[call("a", "edit"), call("b", "read")], "tool_use")),
            ("key", 1) => turn(&[said("The cause is in a.py:3.")], "end_turn"),
            ("key-2", 0) => complete(),
            other => panic!("{other:?}"),
        })
    };
    let (ended, totals) = world.run(&mut model, &mut tool);
    assert_eq!((ended, totals.n_model_calls), (Ended::Well(AgentOutcome::Claimed(claim())), 3));
    let asked = results(&world.requests[1]);
    assert_eq!(asked[0], "result of a");
    assert!(asked[1].contains("Answer in plain text with a hand-over"), "{asked:?}");
    let begun = results(&world.requests[2]);
    assert_eq!(begun[0], "the task");
    assert!(begun[1].ends_with("Its hand-over to you:\n\nThe cause is in a.py:3."), "{begun:?}");
    assert!(begun[1].contains("ended before the task was done: its context was full"), "{begun:?}");

    // After a kill at any entry it goes on to the same history.
    let history = |world: &World| format!("{:?}", world.requests.last().unwrap().messages);
    for kill_at in 1..=world.lines.len() {
        let mut other = small_world();
        other.kill_at = Some(kill_at);
        assert_eq!(other.run(&mut model, &mut tool).0, Ended::Killed);
        other.kill_at = None;
        let n_requests = other.requests.len();
        let (ended, _) = other.run(&mut model, &mut tool);
        assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())), "killed after {kill_at}");
        assert!(
            other.requests.len() == n_requests || history(&other) == history(&world),
            "killed after {kill_at}"
        );
    }
}

#[test]
fn a_model_that_goes_on_with_tools_is_asked_once_more_and_then_replaced() {
    let mut world = small_world();
    let mut n = 0;
    let mut model = |request: &ModelRequest| {
        n += 1;
        let is_last = request.user_id == "key-3";
        let next = turn(&[call(&format!("t{n}"), "edit")], "tool_use");
        Ok(if is_last { complete() } else { full(next) })
    };
    let (ended, totals) = world.run(&mut model, &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    let calls: Vec<&str> = world.requests.iter().map(|it| it.user_id.as_str()).collect();
    assert_eq!(calls, ["key", "key", "key", "key-2", "key-2", "key-2", "key-3"]);
    // Of each conversation only the first call was run.
    assert_eq!(totals.n_tool_calls, 3);
    let last = results(&world.requests[6]);
    assert!(last[1].ends_with("keep what is right."), "{last:?}");
}

#[test]
fn the_last_conversation_goes_on_until_it_is_full() {
    let mut world = small_world();
    world.settings.limits.conversations = 1;
    let turns = vec![full(many(1)), full(turn(&[call("b", "edit")], "tool_use")), complete()];
    let (ended, _) = world.run(&mut scripted(turns), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    assert!(results(&world.requests[1])[0] == "result of t0", "nobody is asked");
}
