//! The machine's state: what follows from the entries so far.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;

use super::budget::Used;
use super::conversation::Conversation;
use super::react::Reaction;
use super::stuck::StuckWatch;
use crate::agent::contract::{AgentOutcome, AgentTotals, Claim};
use crate::agent::entry::{AssistantEntry, ClaimEntry, EntryKind, ToolEntry, reservation_id};
use crate::agent::usage::Usage;
use crate::base::clock::Timestamp;
use crate::base::id::ReservationId;
use crate::model::money::NanoUsd;

/// Tokens of output that every model of the price table can give.
const MAX_OUTPUT: u64 = 64_000;

/// A call under way, and the most that it can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenCall {
    pub(super) id: ReservationId,
    pub(super) amount: NanoUsd,
    tokens: u64,
}

/// What follows from the entries so far.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) n_entries: usize,
    /// Names the attempt's conversations to the API; that of the first begin.
    pub(super) key: String,
    /// The first turn, word for word; a later conversation begins with it too.
    pub(super) first_turn: Vec<Box<RawValue>>,
    pub(super) conversation: Option<Conversation>,
    pub(super) totals: AgentTotals,
    /// The reservation of a call under way.
    pub(super) open: Option<OpenCall>,
    /// The last call whose usage was seen, in case it was not settled any more.
    pub(super) last_settled: Option<(ReservationId, Usage, NanoUsd)>,
    pub(super) snapshot: Option<String>,
    /// Hash of each file as the model last saw it in this conversation.
    pub(super) seen: BTreeMap<String, String>,
    pub(super) stuck: StuckWatch,
    /// In a row.
    pub(super) n_bad_calls: u32,
    pub(super) n_cut_offs: u32,
    /// Calls in a row that were refused before an answer began.
    pub(super) n_unspent: u32,
    pub(super) n_empty: u32,
    pub(super) n_cut_short: u32,
    pub(super) n_pauses: u32,
    /// Turns without a tool call, in a row and in all.
    pub(super) n_lapses: u32,
    pub(super) n_lapses_in_all: u32,
    pub(super) n_warnings: u32,
    /// What the newest entry, an answer, calls for: done right after it, unless the process ended there.
    pub(super) unanswered: Option<Reaction>,
    /// A claim that was accepted, if only the end is missing.
    pub(super) claimed: Option<Claim>,
    pub(super) ended: Option<AgentOutcome>,
    active: Duration,
    last_at: Option<Timestamp>,
}

impl State {
    /// What has been used of the limits at `now`.
    pub(super) fn used(&self, now: Timestamp) -> Used {
        Used { totals: self.totals, active: self.active + since(self.last_at, now) }
    }

    /// Takes the next entry. An error is a transcript that cannot have been written by this machine.
    pub(super) fn apply(&mut self, kind: &EntryKind, at: Timestamp) -> Result<(), String> {
        if self.ended.is_some() && !matches!(kind, EntryKind::Resumed) {
            return Err("the attempt was over".to_owned());
        }
        if !matches!(kind, EntryKind::Resumed) {
            self.active += since(self.last_at, at).saturating_sub(kind.waited());
        }
        self.last_at = Some(at);
        self.n_entries += 1;
        if !matches!(kind, EntryKind::Resumed) {
            self.unanswered = None;
        }
        match kind {
            EntryKind::Begin(begin) => {
                if self.key.is_empty() {
                    self.key.clone_from(&begin.user_id);
                }
                self.seen.clear();
                (self.n_empty, self.n_cut_short, self.n_pauses, self.n_lapses) = (0, 0, 0, 0);
                self.conversation = Some(Conversation::new(begin.clone()));
            }
            EntryKind::User(user) => {
                if self.first_turn.is_empty() {
                    self.first_turn.clone_from(&user.content);
                }
                self.conversation()?.push_user(user.content.clone());
            }
            EntryKind::Reserved(reserved) => {
                let id = reservation_id(&reserved.reservation)?;
                let tokens = self.conversation()?.worst_tokens();
                self.open = Some(OpenCall { id, amount: NanoUsd(reserved.amount_nano_usd), tokens });
            }
            EntryKind::Assistant(entry) => self.apply_answer(entry)?,
            EntryKind::CutOff(_) => {
                let open = self.open.take().ok_or("no call was under way")?;
                self.totals.n_model_calls += 1;
                self.totals.cost += open.amount;
                self.totals.unseen_tokens = self.totals.unseen_tokens.saturating_add(open.tokens);
                self.n_cut_offs += 1;
            }
            EntryKind::Unspent(_) => {
                self.open = None;
                self.n_unspent += 1;
            }
            EntryKind::Tool(entry) => self.apply_tool(entry)?,
            EntryKind::Waited(_) | EntryKind::Resumed => {}
            EntryKind::End(end) => self.ended = Some(end.outcome()?),
        }
        Ok(())
    }

    fn apply_answer(&mut self, entry: &AssistantEntry) -> Result<(), String> {
        let (usage, cost) = (Usage::from(entry.usage), entry.cost());
        self.open = None;
        self.last_settled = Some((reservation_id(&entry.reservation)?, usage, cost));
        self.totals.n_model_calls += 1;
        self.totals.usage += usage;
        self.totals.cost += cost;
        (self.n_cut_offs, self.n_unspent) = (0, 0);
        let reaction = Reaction::to(entry);
        let is_first_cut = self.n_cut_short == 0;
        let conversation = self.conversation()?;
        let max_tokens = conversation.max_tokens();
        match &reaction {
            Reaction::RunTools(calls) => {
                conversation.push_assistant(entry, calls.clone());
                (self.n_lapses, self.n_pauses, self.n_empty, self.n_cut_short) = (0, 0, 0, 0);
            }
            Reaction::GoOn => {
                conversation.push_assistant(entry, Vec::new());
                self.n_pauses += 1;
            }
            Reaction::Said(_) => {
                conversation.push_assistant(entry, Vec::new());
                let is_lapse = u32::from(conversation.n_asked() == 0);
                (self.n_pauses, self.n_empty, self.n_cut_short) = (0, 0, 0);
                self.n_lapses += is_lapse;
                self.n_lapses_in_all += is_lapse;
            }
            Reaction::Empty => {
                conversation.pass_over(entry, max_tokens);
                self.n_empty += 1;
            }
            Reaction::CutShort => {
                // Once more with room for twice as much, as far as every model has it.
                let more =
                    if is_first_cut { (max_tokens * 2).min(MAX_OUTPUT.max(max_tokens)) } else { max_tokens };
                conversation.pass_over(entry, more);
                self.n_cut_short += 1;
            }
            Reaction::Refused(_) | Reaction::ContextFull => conversation.pass_over(entry, max_tokens),
        }
        self.unanswered = Some(reaction);
        Ok(())
    }

    fn apply_tool(&mut self, entry: &ToolEntry) -> Result<(), String> {
        self.conversation()?.push_result(entry)?;
        if entry.is_skipped {
            return Ok(());
        }
        self.totals.n_tool_calls += 1;
        self.n_bad_calls = if entry.is_bad_call { self.n_bad_calls + 1 } else { 0 };
        self.n_warnings = entry.n_warnings;
        self.stuck.note(&entry.digest, entry.is_error, entry.is_nudged);
        if entry.snapshot.is_some() {
            self.snapshot.clone_from(&entry.snapshot);
        }
        self.claimed = entry.claim.as_ref().map(ClaimEntry::to_claim).transpose()?;
        for file in &entry.seen {
            self.seen.insert(file.path.clone(), file.hash.clone());
        }
        Ok(())
    }

    fn conversation(&mut self) -> Result<&mut Conversation, String> {
        self.conversation.as_mut().ok_or_else(|| "no conversation was begun".to_owned())
    }
}

fn since(last: Option<Timestamp>, now: Timestamp) -> Duration {
    last.map_or(Duration::ZERO, |last| Duration::try_from(now.duration_since(last)).unwrap_or_default())
}
