//! The machine itself: what to do next, given the state and what just happened.

use std::time::Duration;

use serde_json::value::RawValue;

use super::budget;
use super::conversation::Conversation;
use super::event::{Effect, Event, Failure, ToolCall, ToolOutcome};
use super::state::State;
use super::stuck::{self, Course};
use crate::agent::client::request::text_block;
use crate::agent::contract::{AgentOutcome, AgentTotals};
use crate::agent::entry::{
    BeginEntry, ClaimEntry, EndEntry, Entry, EntryKind, ReservedEntry, ToolEntry, UserEntry, WaitedEntry,
    milliseconds,
};
use crate::agent::settings::Settings;
use crate::base::clock::Timestamp;

const MAX_BAD_CALLS: u32 = 3;
/// How often the model is asked for a hand-over before the next conversation begins without one.
const MAX_ASKED: u32 = 2;
/// How full the context is when it is asked, in percent.
const HAND_OVER_PERCENT: u64 = 80;
/// The tool that ends an attempt; it costs no step more.
const COMPLETE: &str = "task_complete";
const STUCK_NOTE: &str = "[homeostat: you have done this several times with the same result. Look at the problem in another way; \
     if there is none, call task_complete with what you have found.]";
const HAND_OVER_NOTE: &str = "[homeostat: this conversation is nearly full, and another one will go on with the task. Call no tool now, \
     none will be run. Answer in plain text with a hand-over for whoever goes on, who will see the task and the workspace but \
     nothing of this conversation: what you know of the cause and where (file:line), what you changed and why, what you ran and what \
     came of it, what did not work, and what is to be done next.]";

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
                self.begin(1, model, key, None, now);
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
            Event::Answered { turn, waited } => self.answered(turn, waited, now),
            Event::CallFailed { error, waited } => self.call_failed(error, waited, now),
            Event::Waited(waited) => {
                self.commit(EntryKind::Waited(WaitedEntry { waited_ms: milliseconds(waited) }), now);
                self.go_on(now);
            }
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
            self.commit_failed(EntryKind::CutOff, "the process was stopped".to_owned(), Duration::ZERO, now);
        }
        if self.conversation().is_empty() {
            self.say_task(now);
        }
        match (self.state.claimed.clone(), self.state.unanswered.take()) {
            (Some(claim), _) => self.end(AgentOutcome::Claimed(claim), now),
            (None, Some(reaction)) => self.react(reaction, now),
            (None, None) => self.go_on(now),
        }
    }

    /// Says the task, as it was first put if it was, and what the conversation begins with besides.
    fn say_task(&mut self, now: Timestamp) {
        let mut content = match self.state.first_turn.as_slice() {
            [] => vec![text_block(&self.config.first_turn)],
            first_turn => first_turn.to_vec(),
        };
        content.extend(self.conversation().note().map(text_block));
        self.commit(EntryKind::User(UserEntry { content }), now);
    }

    /// Time that is left for tools and calls.
    pub(in crate::agent) fn time_left(&self, now: Timestamp) -> Duration {
        self.state.used(now).time_left(&self.config.settings.limits)
    }

    /// Runs the next tool, or makes the next call.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        while let Some(call) = self.conversation().next_call().cloned() {
            if self.time_left(now).is_zero() {
                self.end(AgentOutcome::OverBudget { limit: "wall_time".to_owned() }, now);
                return;
            }
            if self.conversation().n_asked() >= MAX_ASKED {
                self.begin_anew("its context was full", None, now);
                return;
            }
            match self.why_not(&call) {
                Some(why) => self.skip(call, why, now),
                None => {
                    self.effects.push(Effect::RunTool(call));
                    return;
                }
            }
        }
        self.next_call(now);
    }

    /// Why a call of the model is not run, if it is not: a turn gets as many as there are steps left, its own among them.
    fn why_not(&self, call: &ToolCall) -> Option<String> {
        let conversation = self.conversation();
        if conversation.n_asked() > 0 {
            return Some(HAND_OVER_NOTE.to_owned());
        }
        let n_left =
            self.config.settings.limits.model_calls.saturating_sub(self.state.totals.n_model_calls) + 1;
        if call.name == COMPLETE || conversation.n_answered() < n_left as usize {
            return None;
        }
        Some(format!("not run: one turn may have {n_left} tool calls now, as many as there are steps left"))
    }

    /// Answers a call that is not run.
    fn skip(&mut self, call: ToolCall, why: String, now: Timestamp) {
        let asks_hand_over = self.conversation().n_asked() > 0 && self.conversation().is_last_call();
        let entry = ToolEntry {
            tool_use_id: call.id,
            name: call.name,
            is_error: true,
            is_bad_call: false,
            is_skipped: true,
            asks_hand_over,
            text: why,
            digest: String::new(),
            snapshot: None,
            seen: Vec::new(),
            n_warnings: self.state.n_warnings,
            is_nudged: false,
            claim: None,
        };
        self.commit(EntryKind::Tool(entry), now);
    }

    fn next_call(&mut self, now: Timestamp) {
        let conversation = self.conversation();
        let (bound, max_tokens) = (conversation.prompt_bound(), conversation.max_tokens());
        let worst_tokens = conversation.worst_tokens();
        let model = conversation.model().to_owned();
        let Some(price) = self.config.settings.price(&model) else {
            self.effects.push(Effect::Fail(Failure::UnknownPrice { model }));
            return;
        };
        let amount = price.worst_case(bound, max_tokens);
        let used = self.state.used(now);
        match budget::exceeded(&self.config.settings.limits, &used, worst_tokens, amount) {
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
        let is_over = outcome.claim.is_some() || course == Course::Stuck;
        let asks_hand_over = is_last && !is_over && self.is_nearly_full(text.len());
        if asks_hand_over {
            text = format!("{text}\n{HAND_OVER_NOTE}");
        }
        let entry = ToolEntry {
            tool_use_id: call.id,
            name: call.name,
            is_error: outcome.is_error,
            is_bad_call: outcome.is_bad_call,
            is_skipped: false,
            asks_hand_over,
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

    /// Whether it is time for a hand-over, with a result of so many bytes more.
    fn is_nearly_full(&self, more_bytes: usize) -> bool {
        let full_at = self.config.settings.limits.context_tokens / 100 * HAND_OVER_PERCENT;
        self.may_begin_anew() && self.conversation().prompt_estimate(more_bytes) >= full_at
    }

    pub(super) fn begin(
        &mut self,
        conversation: u32,
        model: String,
        user_id: String,
        note: Option<String>,
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
            note,
        };
        self.commit(EntryKind::Begin(begin), now);
        self.say_task(now);
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
