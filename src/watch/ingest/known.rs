//! What was found out about lines that came lately.
//!
//! A service says the same again and again, with other times and numbers: lines are known by what is left when their digits are made
//! [`alike`](digits::alike), and only what is the same for all such lines is kept. Nothing is worked out before it is asked for.
//! Bounded: what was not asked for lately is forgotten.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::recurring::{Asked, Class, Fixed, Likeness, Recurring};
use crate::base::redact::Redactor;
use crate::base::search::digits;
use crate::watch::fingerprint::{Identities, LineId, Numbered};
use crate::watch::join::Seen;
use crate::watch::rules::RuleSet;

/// Lines and bytes of lines in a generation.
const MAX_LINES: usize = 1024;
const MAX_BYTES: usize = 128 << 10;

/// Longer lines are not remembered.
const MAX_LINE_BYTES: usize = 1024;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Known {
    lines: Lines,
    pub(super) identities: Identities,
    /// Records of lines whose text is written as it is, and such in which it is escaped.
    pub(super) recurring: [Recurring; 2],
    /// Of lines that tell more by their digits than a value, just as they were logged.
    ids: HashMap<Box<str>, LineId, RandomState>,
    n_id_bytes: usize,
}

/// What is asked of a line.
#[derive(Debug, Clone, Copy)]
struct Facts {
    seen: Seen,
    /// What rules and redactor say hangs on its ids too.
    has_ids: bool,
    /// The best rank of a rule that hits it within a record.
    rank: Fact<Option<usize>>,
    is_clean: Fact<bool>,
    /// Whether a record that begins with it may be in an envelope.
    may_be_wrapped: Fact<bool>,
    id: Fact<LineId>,
}

/// What is known of lines that are alike.
#[derive(Debug, Clone, Copy)]
enum Fact<T> {
    /// Nobody asked.
    Unknown,
    Is(T),
    /// It hangs on their digits.
    Differs,
}

impl Known {
    /// Forgets everything when it is time to.
    pub(super) fn tidy(&mut self) {
        if self.identities.is_full() || self.ids.len() > MAX_LINES || self.n_id_bytes > MAX_BYTES {
            *self = Self::default();
        }
    }

    /// What the joiner sees in a line.
    pub(super) fn seen(&mut self, line: &str) -> Seen {
        self.lines.facts(line).map_or_else(|| Seen::of(line), |it| it.seen)
    }

    /// The best rank of a rule that hits a line within a record.
    pub(super) fn rank(&mut self, line: &str, rules: &RuleSet) -> Option<usize> {
        rank(self.lines.facts(line), line, rules)
    }

    /// Both of them.
    pub(super) fn look(&mut self, line: &str, rules: &RuleSet) -> (Seen, Option<usize>) {
        let facts = self.lines.facts(line);
        let seen = facts.as_deref().map_or_else(|| Seen::of(line), |it| it.seen);
        (seen, rank(facts, line, rules))
    }

    /// Rank and number of a line of a record; `None` where it may hold something to hide.
    pub(super) fn judged(
        &mut self,
        line: &str,
        rules: &RuleSet,
        redactor: &Redactor,
    ) -> Option<(Option<usize>, LineId)> {
        let Self { lines, identities, ids, n_id_bytes, recurring: _ } = self;
        let mut facts = lines.facts(line);
        if !is_clean(facts.as_deref_mut(), line, redactor) {
            return None;
        }
        let rank = rank(facts.as_deref_mut(), line, rules);
        if let Some(Facts { id: Fact::Is(id), .. }) = facts {
            return Some((rank, *id));
        }
        if let Some(id) = ids.get(line) {
            return Some((rank, *id));
        }
        let Numbered { id, is_alike, is_as_logged } = identities.line(line);
        if let Some(facts) = facts {
            facts.id = if is_alike { Fact::Is(id) } else { Fact::Differs };
            // Lines with other numbers in them hardly come again.
            if !is_alike && is_as_logged {
                *n_id_bytes += line.len();
                ids.insert(line.into(), id);
            }
        }
        Some((rank, id))
    }

    /// By what a line of a record that was judged is known again.
    pub(super) fn likeness(&mut self, line: &str, rules: &RuleSet) -> Likeness {
        let Self { lines, ids, .. } = self;
        let Some(facts) = lines.facts(line).filter(|_| !ids.contains_key(line)) else {
            return Likeness { fixed: Fixed::All, asked: Asked::default() };
        };
        let rank = (!facts.rank.is_known()).then(|| rules.rank(line.as_bytes(), false));
        let asked = Asked { rank, is_clean: !facts.is_clean.is_known(), is_sound: false };
        let fixed = if facts.id.is_known() { Fixed::Nothing } else { Fixed::But(Identities::values(line)) };
        Likeness { fixed, asked }
    }

    /// What is the same of all lines that mean this one in a record.
    pub(super) fn class(&mut self, line: &str, rules: &RuleSet) -> Class {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let (seen, rank) = self.look(line, rules);
        Class { id: self.identities.line(line).id, seen: seen.shape(), rank, indent }
    }

    /// Whether a record that begins with this line must be asked for by its text: its lines may be in an envelope.
    pub(super) fn needs_text(&mut self, first_line: &str) -> bool {
        let ask = || Identities::needs_text(first_line);
        self.lines.facts(first_line).map_or_else(ask, |it| it.may_be_wrapped.get(|| Some(ask()), ask))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lines.young.facts.len() + self.lines.old.facts.len() + self.ids.len()
    }
}

fn rank(facts: Option<&mut Facts>, line: &str, rules: &RuleSet) -> Option<usize> {
    let ask = || rules.rank(line.as_bytes(), false);
    let Some(Facts { has_ids, rank, .. }) = facts else { return ask() };
    let is_alike = || {
        let alike = digits::all_alike(line.as_bytes());
        if *has_ids { rules.is_never_hit(&alike) } else { rules.rank_alike(&alike) }
    };
    rank.get(|| is_alike().then(ask), ask)
}

fn is_clean(facts: Option<&mut Facts>, line: &str, redactor: &Redactor) -> bool {
    let ask = || redactor.is_surely_clean(line);
    let Some(Facts { has_ids, is_clean, .. }) = facts else { return ask() };
    let are_clean = || !*has_ids && redactor.are_surely_clean(&digits::all_alike(line.as_bytes()));
    is_clean.get(|| are_clean().then_some(true), ask)
}

impl<T: Copy> Fact<T> {
    /// Whether one answer holds for all lines that are alike.
    fn is_known(&self) -> bool {
        matches!(self, Self::Is(_))
    }

    /// The answer for a line. What holds for all that are alike, if anything does, is asked for once and remembered.
    fn get(&mut self, of_all: impl FnOnce() -> Option<T>, of_line: impl FnOnce() -> T) -> T {
        if let Self::Unknown = self {
            *self = of_all().map_or(Self::Differs, Self::Is);
        }
        match self {
            Self::Is(answer) => *answer,
            Self::Unknown | Self::Differs => of_line(),
        }
    }
}

/// Facts of lines by their keys, in two generations: when the young one is full, it becomes the old one, and what is asked for again
/// becomes young.
#[derive(Debug, Default)]
struct Lines {
    young: Generation,
    old: Generation,
    /// Kept for its memory.
    key: Vec<u8>,
}

#[derive(Debug, Default)]
struct Generation {
    by_key: HashMap<Box<[u8]>, usize, RandomState>,
    facts: Vec<Facts>,
    n_bytes: usize,
}

impl Lines {
    /// What is known of a line; `None` where nothing is remembered of it.
    fn facts(&mut self, line: &str) -> Option<&mut Facts> {
        if line.len() > MAX_LINE_BYTES {
            return None;
        }
        let has_ids = digits::alike(line.as_bytes(), &mut self.key);
        let idx = match self.young.by_key.get(&*self.key) {
            Some(idx) => *idx,
            None => self.rejuvenate(line, has_ids),
        };
        self.young.facts.get_mut(idx)
    }

    fn rejuvenate(&mut self, line: &str, has_ids: bool) -> usize {
        if self.young.facts.len() >= MAX_LINES || self.young.n_bytes >= MAX_BYTES {
            self.old = std::mem::take(&mut self.young);
        }
        let (key, facts) = match self.old.by_key.remove_entry(&*self.key) {
            Some((key, idx)) => (key, self.old.facts[idx]),
            None => (self.key.as_slice().into(), Facts::of(line, has_ids)),
        };
        let idx = self.young.facts.len();
        self.young.n_bytes += key.len();
        self.young.by_key.insert(key, idx);
        self.young.facts.push(facts);
        idx
    }
}

impl Facts {
    fn of(line: &str, has_ids: bool) -> Self {
        Self {
            seen: Seen::of(line),
            has_ids,
            rank: Fact::Unknown,
            is_clean: Fact::Unknown,
            may_be_wrapped: Fact::Unknown,
            id: Fact::Unknown,
        }
    }
}
