//! A world for one attempt: answers calls, runs tools, keeps the ledger, and checks what every request must be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::client::assemble::{AssistantTurn, StopReason};
use crate::agent::client::http::CallError;
use crate::agent::client::request::{ModelRequest, Role, raw};
use crate::agent::contract::{AgentOutcome, AgentTotals, Claim};
use crate::agent::entry::Entry;
use crate::agent::machine::{Effect, Event, Failure, Machine, MachineConfig, ToolCall, ToolOutcome};
use crate::agent::settings::Settings;
use crate::agent::usage::Usage;
use crate::base::clock::{Clock, ManualClock, Timestamp};
use crate::base::id::ReservationId;
use crate::base::redact::Clean;
use crate::base::secret::Secret;
use crate::model::attempt::Outcome;
use crate::model::money::NanoUsd;

type Answer = Result<AssistantTurn, CallError>;

/// What outlives the process: transcript and ledger; and what happened.
#[derive(Debug)]
pub(super) struct World {
    pub(super) settings: Settings,
    pub(super) clock: ManualClock,
    pub(super) lines: Vec<String>,
    /// Reservation → amount, and what it was settled at.
    pub(super) ledger: BTreeMap<ReservationId, (NanoUsd, Option<NanoUsd>)>,
    /// Limit that the ledger refuses the next reservation with.
    pub(super) refuse_with: Option<String>,
    pub(super) requests: Vec<ModelRequest>,
    pub(super) steps: Vec<&'static str>,
    /// Stops like a kill once so many entries are written.
    pub(super) kill_at: Option<usize>,
    /// How long the next call waits for a try that is taken.
    pub(super) waits: Duration,
}

/// How a run ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ended {
    Well(AgentOutcome),
    Failed(Failure),
    Killed,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::new("http://127.0.0.1:1".parse().unwrap(), Secret::new("k")),
            clock: ManualClock::new("2026-11-20T12:00:00Z".parse::<Timestamp>().unwrap()),
            lines: Vec::new(),
            ledger: BTreeMap::new(),
            refuse_with: None,
            requests: Vec::new(),
            steps: Vec::new(),
            kill_at: None,
            waits: Duration::ZERO,
        }
    }

    /// Runs the attempt from where its transcript ends. Every event takes a second.
    pub(super) fn run(
        &mut self,
        model: &mut dyn FnMut(&ModelRequest) -> Answer,
        tool: &mut dyn FnMut(&ToolCall) -> ToolOutcome,
    ) -> (Ended, AgentTotals) {
        let mut machine = Machine::new(MachineConfig {
            settings: self.settings.clone(),
            system: "system".into(),
            tools: raw("[]".into()),
            first_turn: "the task".into(),
        });
        for line in &self.lines {
            let (entry, at) = Entry::parse(line).unwrap();
            machine.replay(&entry, at).unwrap();
        }
        let is_new = self.lines.is_empty();
        let mut event = Some(if is_new { Event::Started { key: "key".into() } } else { Event::Resumed });
        let mut effects = std::collections::VecDeque::new();
        loop {
            if let Some(event) = event.take() {
                assert!(effects.is_empty(), "something was still to be done: {effects:?}");
                self.clock.advance(Duration::from_secs(1));
                effects.extend(machine.handle(event, self.clock.now()));
            }
            if self.kill_at.is_some_and(|at| self.lines.len() >= at) {
                return (Ended::Killed, machine.totals());
            }
            match effects.pop_front().expect("a machine that has not ended asks for something") {
                Effect::End(outcome) => return (Ended::Well(outcome), machine.totals()),
                Effect::Fail(failure) => return (Ended::Failed(failure), machine.totals()),
                Effect::Append { seq, entry } => {
                    assert_eq!(seq, self.lines.len() as i64 + 1);
                    self.lines.push(entry.to_line());
                }
                Effect::Step { name, .. } => self.steps.push(name),
                Effect::Pause(pause) => {
                    self.clock.advance(pause);
                    event = Some(Event::Waited(pause));
                }
                Effect::Reserve { amount, .. } => event = Some(self.reserve(amount)),
                Effect::Settle { id, cost, .. } => {
                    let (amount, settled) = self.ledger.get_mut(&id).unwrap();
                    assert!(cost <= *amount, "a call cost {cost}, reserved were {amount}");
                    settled.get_or_insert(cost);
                }
                Effect::SettleCutOff => {
                    for (amount, settled) in self.ledger.values_mut() {
                        settled.get_or_insert(*amount);
                    }
                }
                Effect::Call(request) => {
                    self.check(&request);
                    let waited = std::mem::take(&mut self.waits);
                    self.clock.advance(waited);
                    event = Some(match model(&request) {
                        Ok(turn) => Event::Answered { turn, waited },
                        Err(error) => Event::CallFailed { error, waited },
                    });
                    self.requests.push(request);
                }
                Effect::RunTool(call) => event = Some(Event::ToolRan(tool(&call))),
            }
        }
    }

    fn reserve(&mut self, amount: NanoUsd) -> Event {
        if let Some(limit) = self.refuse_with.clone() {
            return Event::NotReserved { limit };
        }
        let id = ReservationId::new();
        self.ledger.insert(id, (amount, None));
        Event::Reserved { id, amount }
    }

    /// History only grows, calls are answered, and nothing follows the answers.
    fn check(&self, request: &ModelRequest) {
        let texts = |request: &ModelRequest| -> Vec<String> {
            request.messages.iter().map(|message| format!("{:?}{:?}", message.role, message.blocks)).collect()
        };
        if let Some(before) = self.requests.iter().rev().find(|it| it.user_id == request.user_id) {
            assert!(texts(request).starts_with(&texts(before)), "history has changed");
        }
        let mut asked: Vec<Value> = Vec::new();
        for message in &request.messages {
            let blocks: Vec<Value> =
                message.blocks.iter().map(|block| serde_json::from_str(block.get()).unwrap()).collect();
            let of = |kind: &str, field: &str| -> Vec<Value> {
                blocks.iter().filter(|it| it["type"] == kind).map(|it| it[field].clone()).collect()
            };
            match message.role {
                Role::User => {
                    assert_eq!(of("tool_result", "tool_use_id"), asked);
                    assert!(asked.is_empty() || blocks.len() == asked.len());
                    asked.clear();
                }
                Role::Assistant => asked = of("tool_use", "id"),
            }
        }
        assert!(asked.is_empty());
    }

    /// Everything that was paid or may have to be; nothing may be left open.
    pub(super) fn paid(&self) -> NanoUsd {
        self.ledger.values().map(|(_, settled)| settled.expect("a reservation was left open")).sum()
    }

    /// The kinds of the entries.
    pub(super) fn kinds(&self) -> Vec<String> {
        let kind = |line: &String| {
            let value: Value = serde_json::from_str(line).unwrap();
            let entry = &value["entry"];
            let name = entry.as_str().or_else(|| entry.as_object()?.keys().next().map(String::as_str));
            name.unwrap().to_owned()
        };
        self.lines.iter().map(kind).collect()
    }
}

/// A turn with these blocks, for 100 tokens in and 10 out.
pub(super) fn turn(blocks: &[Value], stop_reason: &str) -> AssistantTurn {
    AssistantTurn {
        message_id: "msg".into(),
        blocks: blocks.iter().map(|block| raw(block.to_string())).collect(),
        stop_reason: StopReason::from_name(stop_reason, "category"),
        usage: Usage { input_tokens: 100, output_tokens: 10, ..Usage::default() },
    }
}

pub(super) fn said(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

pub(super) fn call(id: &str, name: &str) -> Value {
    json!({ "type": "tool_use", "id": id, "name": name, "input": { "n": id } })
}

/// What a tool of this world gives: `task_complete` is accepted, `edit` changes the workspace, `unknown` does not exist.
pub(super) fn tool(call: &ToolCall) -> ToolOutcome {
    let text = format!("result of {}", call.id);
    match call.name.as_str() {
        "task_complete" => ToolOutcome { text, claim: Some(claim()), ..ToolOutcome::default() },
        "edit" => {
            ToolOutcome { text, snapshot: Some(format!("after {}", call.id)), ..ToolOutcome::default() }
        }
        "unknown" => ToolOutcome { text, is_error: true, is_bad_call: true, ..ToolOutcome::default() },
        _ => ToolOutcome { text, ..ToolOutcome::default() },
    }
}

pub(super) fn claim() -> Claim {
    Claim {
        outcome: Outcome::NotACodeBug,
        summary: Clean::trusted("all is well"),
        root_cause: None,
        changes: Clean::default(),
        test_command: None,
        test_files: Vec::new(),
        hypotheses: Vec::new(),
    }
}

/// A model that says these turns, one for each number of turns in the history.
pub(super) fn scripted(turns: Vec<AssistantTurn>) -> impl FnMut(&ModelRequest) -> Answer {
    move |request| {
        let n = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        Ok(turns.get(n).unwrap_or_else(|| panic!("no turn {n}")).clone())
    }
}
