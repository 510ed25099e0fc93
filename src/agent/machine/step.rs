//! The machine itself: what to do next, given the state and what just happened.

use serde_json::value::RawValue;

use super::budget;
use super::conversation::Conversation;
use super::event::{Effect, Event, Failure, ToolOutcome};
use super::state::State;
use super::stuck::{self, Course};
use crate::agent::client::request::text_block;
use crate::agent::contract::{AgentOutcome, AgentTotals};
use crate::agent::entry::{
    BeginEntry, ClaimEntry, EndEntry, Entry, EntryKind, ReservedEntry, ToolEntry, UserEntry,
};
use crate::agent::settings::Settings;
use crate::base::clock::Timestamp;

const MAX_BAD_CALLS: u32 = 3;
const STUCK_NOTE: &str = "[homeostat: you have done this several times with the same result. Look at the problem in another way; \
     if there is none, call task_complete with what you have found.]";

/// What a new attempt begins with.
#[derive(Debug)]
pub(in crate::agent) struct MachineConfig {
    pub(in crate::agent) settings: Settings,
    pub(in crate::agent) system: String,
    pub(in crate::agent) tools: Box<RawValue>,
    /// The task, fenced.
    pub(in crate::agent) first_turn: String,
}

/// An attempt of the agent.
#[derive(Debug)]
pub(in crate::agent) struct Machine {
    pub(super) config: MachineConfig,
    pub(super) state: State,
    /// Of the event at hand.
    pub(super) effects: Vec<Effect>,
}

impl Machine {
    pub(in crate::agent) fn new(config: MachineConfig) -> Self {
        Self { config, state: State::default(), effects: Vec::new() }
    }

    /// Takes an entry that was written by an earlier process.
    pub(in crate::agent) fn replay(&mut self, entry: &Entry, at: Timestamp) -> Result<(), String> {
        self.state.apply(&entry.kind, at)
    }

    pub(in crate::agent) const fn totals(&self) -> AgentTotals {
        self.state.totals
    }

    /// The workspace as it was after the last tool that may have changed it.
    pub(in crate::agent) fn snapshot(&self) -> Option<&str> {
        self.state.snapshot.as_deref()
    }

    /// Hash of the file as the model last saw it.
    pub(in crate::agent) fn seen(&self, path: &str) -> Option<&str> {
        self.state.seen.get(path).map(String::as_str)
    }

    #[cfg(test)]
    pub(in crate::agent) const fn ended(&self) -> Option<&AgentOutcome> {
        self.state.ended.as_ref()
    }

    /// What to do after `event`.
    pub(in crate::agent) fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        match event {
            Event::Started { key } => {
                let model = self.config.settings.model.clone();
                let first_turn = self.first_turn();
                self.begin(1, model, key, first_turn, now);
                self.go_on(now);
            }
            Event::Resumed => self.resume(now),
            Event::Reserved { id, amount } => {
                let reserved = ReservedEntry { reservation: id.to_string(), amount_nano_usd: amount.0 };
                self.commit(EntryKind::Reserved(reserved), now);
                let request = self.conversation().request();
                self.effects.push(Effect::Call(request));
            }
            Event::NotReserved { limit } => self.end(AgentOutcome::OverBudget { limit }, now),
            Event::Answered(turn) => self.answered(turn, now),
            Event::CallFailed(error) => self.call_failed(error, now),
            Event::ToolRan(outcome) => self.tool_ran(outcome, now),
            Event::StopRequested => self.effects.push(Effect::End(AgentOutcome::Stopped)),
        }
        std::mem::take(&mut self.effects)
    }

    /// Every state the transcript can end in has a way on.
    fn resume(&mut self, now: Timestamp) {
        // The answer may have been written and the process killed before it was settled; settling twice is no harm.
        if let Some((id, usage, cost)) = self.state.last_settled {
            self.effects.push(Effect::Settle { id, usage, cost });
        }
        self.effects.push(Effect::SettleCutOff);
        if let Some(outcome) = self.state.ended.clone() {
            self.effects.push(Effect::End(outcome));
            return;
        }
        self.commit(EntryKind::Resumed, now);
        if self.state.open.is_some() {
            self.commit_failed(EntryKind::CutOff, "the process was stopped".to_owned(), now);
        }
        if self.conversation().is_empty() {
            let content = self.first_turn();
            self.commit(EntryKind::User(UserEntry { content }), now);
        }
        match (self.state.claimed.clone(), self.state.unanswered.take()) {
            (Some(claim), _) => self.end(AgentOutcome::Claimed(claim), now),
            (None, Some(reaction)) => self.react(reaction, now),
            (None, None) => self.go_on(now),
        }
    }

    /// The task: as it was first put, if it was.
    fn first_turn(&self) -> Vec<Box<RawValue>> {
        match self.state.first_turn.as_slice() {
            [] => vec![text_block(&self.config.first_turn)],
            first_turn => first_turn.to_vec(),
        }
    }

    /// Runs the next tool, or makes the next call.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        if let Some(call) = self.conversation().next_call() {
            let call = call.clone();
            self.effects.push(Effect::RunTool(call));
            return;
        }
        let conversation = self.conversation();
        let (bound, max_tokens) = (conversation.prompt_bound(), conversation.max_tokens());
        let model = conversation.model().to_owned();
        let Some(price) = self.config.settings.price(&model) else {
            self.effects.push(Effect::Fail(Failure::UnknownPrice { model }));
            return;
        };
        let amount = price.worst_case(bound, max_tokens);
        let used = self.state.used(now);
        match budget::exceeded(&self.config.settings.limits, &used, bound + max_tokens, amount) {
            Some(limit) => self.end(AgentOutcome::OverBudget { limit: limit.to_owned() }, now),
            None => self.effects.push(Effect::Reserve { model, amount }),
        }
    }

    fn tool_ran(&mut self, outcome: ToolOutcome, now: Timestamp) {
        let conversation = self.conversation();
        let Some(call) = conversation.next_call().cloned() else { return };
        let is_last = conversation.is_last_call();
        let digest = stuck::digest(&call, &outcome.text);
        let course = self.state.stuck.look(&digest, outcome.is_error);
        let mut text = outcome.text;
        if course == Course::Nudge {
            text = format!("{text}\n{STUCK_NOTE}");
        }
        let (limits, used) = (&self.config.settings.limits, self.state.used(now));
        let mut n_warnings = self.state.n_warnings;
        if let Some(warning) = budget::warning(limits, &used, n_warnings).filter(|_| is_last) {
            text = format!("{text}\n{warning}");
            n_warnings += 1;
        }
        let entry = ToolEntry {
            tool_use_id: call.id,
            name: call.name,
            is_error: outcome.is_error,
            is_bad_call: outcome.is_bad_call,
            text,
            digest,
            snapshot: outcome.snapshot,
            seen: outcome.seen,
            n_warnings,
            is_nudged: course == Course::Nudge,
            claim: outcome.claim.as_ref().map(ClaimEntry::from),
        };
        self.commit(EntryKind::Tool(entry), now);
        if let Some(claim) = outcome.claim {
            self.end(AgentOutcome::Claimed(claim), now);
        } else if course == Course::Stuck {
            let why = "it went in circles: the same action gave the same result again and again".to_owned();
            self.end(AgentOutcome::GaveUp { why }, now);
        } else if self.state.n_bad_calls >= MAX_BAD_CALLS {
            let why = "it called tools that do not exist, or with input that cannot be read".to_owned();
            self.end(AgentOutcome::GaveUp { why }, now);
        } else {
            self.go_on(now);
        }
    }

    pub(super) fn begin(
        &mut self,
        conversation: u32,
        model: String,
        user_id: String,
        turn: Vec<Box<RawValue>>,
        now: Timestamp,
    ) {
        let begin = BeginEntry {
            conversation,
            model,
            max_tokens: self.config.settings.limits.output_tokens_per_call,
            effort: self.config.settings.effort.clone(),
            user_id,
            system: self.config.system.clone(),
            tools: self.config.tools.clone(),
        };
        self.commit(EntryKind::Begin(begin), now);
        self.commit(EntryKind::User(UserEntry { content: turn }), now);
    }

    pub(super) fn end(&mut self, outcome: AgentOutcome, now: Timestamp) {
        if let Some(end) = EndEntry::of(&outcome) {
            self.commit(EntryKind::End(end), now);
        }
        self.effects.push(Effect::End(outcome));
    }

    pub(super) fn commit(&mut self, kind: EntryKind, now: Timestamp) {
        let entry = Entry::new(kind, now);
        self.state.apply(&entry.kind, now).expect("an entry made from the state fits it");
        let seq = i64::try_from(self.state.n_entries).unwrap_or(i64::MAX);
        self.effects.push(Effect::Append { seq, entry: Box::new(entry) });
    }

    pub(super) fn conversation(&self) -> &Conversation {
        self.state.conversation.as_ref().expect("every attempt begins with a conversation")
    }
}
