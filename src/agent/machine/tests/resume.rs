//! A kill after any entry: the attempt goes on, ends the same, and all money is accounted.

use super::world::{Ended, World, call, claim, said, scripted, tool, turn};
use crate::agent::client::assemble::AssistantTurn;
use crate::agent::client::http::CallError;
use crate::agent::client::request::{ModelRequest, Role};
use crate::agent::contract::AgentOutcome;
use crate::agent::entry::Entry;
use crate::agent::machine::{Machine, MachineConfig};
use crate::model::money::NanoUsd;

/// A long attempt: parallel calls, a reminder, an empty answer, a break, and a claim.
fn turns() -> Vec<AssistantTurn> {
    vec![
        turn(&[said("first"), call("a", "read"), call("b", "edit"), call("c", "read")], "tool_use"),
        turn(&[said("I think I am done")], "end_turn"),
        turn(&[call("d", "edit")], "tool_use"),
        turn(&[call("e", "task_complete"), call("f", "read")], "tool_use"),
    ]
}

/// Answers by the history, as the API does; the call after the second turn breaks off the first time.
fn model(n_breaks: &mut u32) -> impl FnMut(&ModelRequest) -> Result<AssistantTurn, CallError> {
    let mut answers = scripted(turns());
    move |request| {
        let n = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        if n == 2 && *n_breaks > 0 {
            *n_breaks -= 1;
            return Err(CallError::CutOff { message: "reset".into() });
        }
        answers(request)
    }
}

#[test]
fn a_kill_after_any_entry_repeats_at_most_one_step() {
    let mut whole = World::new();
    let mut n_breaks = 1;
    let (ended, totals) = whole.run(&mut model(&mut n_breaks), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
    let history = |world: &World| {
        let last = world.requests.last().unwrap();
        last.messages.iter().map(|message| format!("{:?}", message.blocks)).collect::<Vec<_>>()
    };
    for kill_at in 1..=whole.lines.len() {
        let mut world = World::new();
        let mut n_breaks = 1;
        world.kill_at = Some(kill_at);
        assert_eq!(world.run(&mut model(&mut n_breaks), &mut tool).0, Ended::Killed);
        assert_eq!(world.lines.len(), kill_at);
        world.kill_at = None;
        let n_requests = world.requests.len();
        let (ended, resumed) = world.run(&mut model(&mut n_breaks), &mut tool);
        assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())), "killed after {kill_at}");
        if world.requests.len() > n_requests {
            assert_eq!(history(&world), history(&whole), "killed after {kill_at}");
        }
        // At most one call more than without the kill, and what was paid is what is counted.
        assert!(resumed.n_model_calls <= totals.n_model_calls + 1, "killed after {kill_at}: {resumed:?}");
        assert_eq!(resumed.n_tool_calls, totals.n_tool_calls, "killed after {kill_at}");
        assert_eq!(world.paid(), resumed.cost, "killed after {kill_at}");
    }
}

#[test]
fn an_attempt_that_is_over_stays_over() {
    let mut world = World::new();
    let (first, totals) = world.run(&mut scripted(turns()), &mut tool);
    let lines = world.lines.clone();
    let again = world.run(&mut |_| panic!("no call may be made"), &mut |_| panic!("no tool may run"));
    assert_eq!((again, world.lines), ((first, totals), lines));
}

#[test]
fn the_time_between_two_processes_does_not_count() {
    let mut world = World::new();
    world.settings.limits.wall_time = std::time::Duration::from_secs(60);
    world.kill_at = Some(6);
    assert_eq!(world.run(&mut scripted(turns()), &mut tool).0, Ended::Killed);
    world.clock.advance(std::time::Duration::from_secs(3600));
    world.kill_at = None;
    let (ended, _) = world.run(&mut scripted(turns()), &mut tool);
    assert_eq!(ended, Ended::Well(AgentOutcome::Claimed(claim())));
}

#[test]
fn the_workspace_and_what_was_seen_come_back() {
    let mut world = World::new();
    world.kill_at = Some(7);
    assert_eq!(world.run(&mut scripted(turns()), &mut tool).0, Ended::Killed);
    let mut machine = replayed(&world).unwrap();
    assert_eq!(machine.snapshot(), Some("after b"));
    assert!(machine.ended().is_none());
    assert_eq!(machine.totals().cost, NanoUsd(300_000));
    let effects = machine.handle(crate::agent::machine::Event::StopRequested, world.now());
    assert!(
        matches!(effects.as_slice(), [crate::agent::machine::Effect::End(AgentOutcome::Stopped)]),
        "{effects:?}"
    );
}

#[test]
fn a_transcript_that_does_not_follow_is_refused() {
    let mut world = World::new();
    let _ = world.run(&mut scripted(turns()), &mut tool);
    let check = |change: &dyn Fn(&mut Vec<String>), expected: &str| {
        let mut world = World { lines: world.lines.clone(), ..World::new() };
        change(&mut world.lines);
        assert_eq!(replayed(&world).unwrap_err(), expected);
    };
    check(&|lines| drop(lines.remove(0)), "no conversation was begun");
    check(&|lines| lines.swap(4, 5), "the call `a` waits, not `b`");
    check(&|lines| lines.push(lines[4].clone()), "the attempt was over");
    check(&|lines| lines[4] = lines[4].replace("\"v\":1", "\"v\":9"), "version 9 is not known");
}

fn replayed(world: &World) -> Result<Machine, String> {
    let mut machine = Machine::new(MachineConfig {
        settings: world.settings.clone(),
        system: "system".into(),
        tools: crate::agent::client::request::raw("[]".into()),
        first_turn: "the task".into(),
    });
    for line in &world.lines {
        let (entry, at) = Entry::parse(line)?;
        machine.replay(&entry, at)?;
    }
    Ok(machine)
}

impl World {
    fn now(&self) -> crate::base::clock::Timestamp {
        crate::base::clock::Clock::now(&self.clock)
    }
}
