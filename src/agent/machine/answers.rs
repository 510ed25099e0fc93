//! What follows from the model's answers, and from calls that gave none.

use std::time::Duration;

use super::event::{Effect, Failure};
use super::react::{Reaction, words};
use super::state::OpenCall;
use super::step::Machine;
use crate::agent::client::assemble::AssistantTurn;
use crate::agent::client::http::CallError;
use crate::agent::client::request::text_block;
use crate::agent::contract::AgentOutcome;
use crate::agent::entry::{AssistantEntry, EntryKind, FailedEntry, UserEntry, milliseconds};
use crate::agent::tools::text::{cap, reveal};
use crate::agent::usage::Usage;
use crate::base::backoff::Backoff;
use crate::base::clock::Timestamp;
use crate::model::money::NanoUsd;

/// Tries of one call whose answer broke off.
const MAX_CUT_OFFS: u32 = 4;
const MAX_EMPTY: u32 = 1;
const MAX_CUT_SHORT: u32 = 1;
const MAX_PAUSES: u32 = 5;
/// Turns without a tool call: in a row, and in all.
const MAX_LAPSES: u32 = 1;
const MAX_LAPSES_IN_ALL: u32 = 3;
/// Characters of a hand-over that the next conversation gets.
const MAX_HAND_OVER_CHARS: usize = 12_000;

/// The wait before a call whose answer broke off is made again.
const CUT_OFF_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20));

const LAPSE_NOTE: &str = "You stopped without calling task_complete. Go on with the tools, or call task_complete with the \
     outcome that is true now, also if the error could not be fixed.";

impl Machine {
    pub(super) fn answered(&mut self, turn: AssistantTurn, waited: Duration, now: Timestamp) {
        let OpenCall { id, amount, .. } = self.state.open.expect("a call is made with an open reservation");
        let price = self.config.settings.price(self.conversation().model());
        // The price was there when the call was made; without it all that was reserved counts.
        let cost = price.map_or(amount, |price| price.cost(&turn.usage));
        let (stop_reason, stop_detail) = turn.stop_reason.parts();
        let entry = AssistantEntry {
            reservation: id.to_string(),
            message_id: turn.message_id,
            content: turn.blocks,
            stop_reason: stop_reason.to_owned(),
            stop_detail: stop_detail.to_owned(),
            usage: turn.usage.into(),
            cost_nano_usd: cost.0,
            waited_ms: milliseconds(waited),
        };
        let (reaction, said) = (Reaction::to(&entry), words(&entry));
        self.commit(EntryKind::Assistant(entry), now);
        self.effects.push(Effect::Settle { id, usage: turn.usage, cost });
        if !said.trim().is_empty() {
            self.effects.push(Effect::Step { name: "agent says", detail: said });
        }
        self.react(reaction, now);
    }

    pub(super) fn react(&mut self, reaction: Reaction, now: Timestamp) {
        let state = &self.state;
        let is_asked = self.conversation().n_asked() > 0;
        let why = match reaction {
            Reaction::Said(text) if is_asked => {
                return self.begin_anew("its context was full", Some(&text), now);
            }
            Reaction::RunTools(_) => return self.go_on(now),
            Reaction::GoOn if state.n_pauses <= MAX_PAUSES => return self.go_on(now),
            Reaction::GoOn => "the model paused again and again".to_owned(),
            Reaction::Empty if state.n_empty <= MAX_EMPTY => return self.go_on(now),
            Reaction::Empty => "the model gave empty answers".to_owned(),
            Reaction::CutShort if state.n_cut_short <= MAX_CUT_SHORT => return self.go_on(now),
            Reaction::CutShort => "the model's answers were too long".to_owned(),
            Reaction::Said(_)
                if state.n_lapses <= MAX_LAPSES && state.n_lapses_in_all <= MAX_LAPSES_IN_ALL =>
            {
                let content = vec![text_block(LAPSE_NOTE)];
                self.commit(EntryKind::User(UserEntry { content }), now);
                self.effects.push(Effect::Step { name: "agent reminded", detail: String::new() });
                return self.go_on(now);
            }
            Reaction::Said(text) => format!("it stopped without task_complete and said: {}", head(&text)),
            Reaction::Refused(category) => return self.refused(category, now),
            Reaction::ContextFull => return self.context_full(now),
        };
        if is_asked {
            return self.begin_anew("its context was full", None, now);
        }
        self.end(AgentOutcome::GaveUp { why }, now);
    }

    fn refused(&mut self, category: String, now: Timestamp) {
        let fallback = self.config.settings.fallback_model.clone();
        match fallback {
            Some(model) if self.conversation().model() != model && self.may_begin_anew() => {
                self.restart(model, "the model refused to go on", None, now);
            }
            Some(_) | None => {
                let category = if category.is_empty() { "no reason given".to_owned() } else { category };
                self.end(
                    AgentOutcome::Refused { why: format!("the model refused to go on: {category}") },
                    now,
                );
            }
        }
    }

    fn context_full(&mut self, now: Timestamp) {
        // A second one that is full before it did anything says that no other would fit either.
        let is_hopeless = self.conversation().number() > 1 && !self.conversation().has_answers();
        if self.may_begin_anew() && !is_hopeless {
            self.begin_anew("its context was full", None, now);
        } else {
            self.end(AgentOutcome::GaveUp { why: "the model's context was full again".to_owned() }, now);
        }
    }

    pub(super) fn may_begin_anew(&self) -> bool {
        self.conversation().number() < self.config.settings.limits.conversations
    }

    /// Begins another conversation with the same model, with what this one has to say to it.
    pub(super) fn begin_anew(&mut self, why: &str, hand_over: Option<&str>, now: Timestamp) {
        let model = self.conversation().model().to_owned();
        self.restart(model, why, hand_over, now);
    }

    /// History is never changed, so a conversation that cannot go on is followed by a new one; the workspace stays.
    fn restart(&mut self, model: String, why: &str, hand_over: Option<&str>, now: Timestamp) {
        let number = self.conversation().number() + 1;
        let key = format!("{}-{number}", self.state.key);
        let mut note = format!(
            "An earlier conversation about this task ended before the task was done: {why}. What it changed is still in the \
             workspace. Begin with git_status and git_diff, and keep what is right."
        );
        if let Some(hand_over) = hand_over {
            note = format!(
                "{note}\n\nIts hand-over to you:\n\n{}",
                cap(&reveal(hand_over), MAX_HAND_OVER_CHARS)
            );
        }
        self.effects.push(Effect::Step { name: "conversation begun anew", detail: why.to_owned() });
        self.begin(number, model, key, Some(note), now);
        self.go_on(now);
    }

    pub(super) fn call_failed(&mut self, error: CallError, waited: Duration, now: Timestamp) {
        match error {
            CallError::Refused { message } => {
                self.unspent(message.clone(), waited, now);
                self.effects.push(Effect::Fail(Failure::Refused { message }));
            }
            CallError::Away { message, retry_after } => {
                self.unspent(message.clone(), waited, now);
                let n_in_a_row = self.state.n_unspent;
                self.effects.push(Effect::Fail(Failure::Away { message, retry_after, n_in_a_row }));
            }
            CallError::PromptTooLong => {
                self.unspent("the prompt is too long".to_owned(), waited, now);
                self.context_full(now);
            }
            CallError::CutOff { message } => {
                self.commit_failed(EntryKind::CutOff, message.clone(), waited, now);
                self.effects.push(Effect::SettleCutOff);
                self.effects.push(Effect::Step { name: "model call cut off", detail: message.clone() });
                let n_in_a_row = self.state.n_cut_offs;
                if self.time_left(now).is_zero() {
                    self.go_on(now);
                } else if n_in_a_row >= MAX_CUT_OFFS {
                    let failure = Failure::Away { message, retry_after: None, n_in_a_row };
                    self.effects.push(Effect::Fail(failure));
                } else {
                    self.effects.push(Effect::Pause(CUT_OFF_BACKOFF.ceiling(n_in_a_row)));
                }
            }
            CallError::Stopped { is_sent: false } => {
                self.unspent("a stop was requested".to_owned(), waited, now);
                self.effects.push(Effect::End(AgentOutcome::Stopped));
            }
            CallError::Stopped { is_sent: true } => {
                self.commit_failed(EntryKind::CutOff, "a stop was requested".to_owned(), waited, now);
                self.effects.push(Effect::SettleCutOff);
                self.effects.push(Effect::End(AgentOutcome::Stopped));
            }
        }
    }

    /// The call cost nothing.
    fn unspent(&mut self, why: String, waited: Duration, now: Timestamp) {
        if let Some(OpenCall { id, .. }) = self.state.open {
            self.commit_failed(EntryKind::Unspent, why, waited, now);
            self.effects.push(Effect::Settle { id, usage: Usage::default(), cost: NanoUsd::ZERO });
        }
    }

    pub(super) fn commit_failed(
        &mut self,
        kind: fn(FailedEntry) -> EntryKind,
        why: String,
        waited: Duration,
        now: Timestamp,
    ) {
        let reservation = self.state.open.map(|open| open.id.to_string()).unwrap_or_default();
        let waited_ms = milliseconds(waited);
        self.commit(kind(FailedEntry { reservation, why: head(&why), waited_ms }), now);
    }
}

/// The first words of a text.
fn head(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}
