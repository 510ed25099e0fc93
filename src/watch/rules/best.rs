//! The search for the best rule that hits a text: from the places of literals to the rules' conditions.
//!
//! A text without a literal costs one search, and a literal that no pattern follows a few bytes more. Nothing is allocated for a
//! line. What several rules ask of a line is looked up once. The work is linear: where literals stand so near to each other that walks
//! from each of them would go over the same bytes again and again, the rules are tried one by one. Pure.

use std::sync::Arc;

use super::escape;
use super::groups::{Hit, Walks};
use super::lazy::Lazy;
use super::set::{Ranked, RuleSet};
use super::stamp;

/// Bytes that may be walked over in a line of this length.
const fn max_steps(len: usize) -> usize {
    4096 + 16 * len
}

/// What a search needs, kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    hits: Vec<Hit>,
    walks: Walks,
    /// A line with its escapes undone, and the literals in it.
    inner: Vec<u8>,
    inner_hits: Vec<Hit>,
    /// Ranks that do not hit what is looked at.
    refuted: Vec<usize>,
    /// What lists of conditions and excludes, named by their addresses, say of what is looked at, and of the line around it.
    on_piece: Vec<(usize, bool)>,
    on_whole: Vec<(usize, bool)>,
}

/// When a search may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Best,
    Any,
}

/// One search.
struct Search<'s> {
    rules: &'s RuleSet,
    scratch: &'s mut Scratch,
    wanted: Wanted,
    /// Rules that do not count alone are left out.
    is_alone: bool,
    /// The best rank so far; the number of ranks where there is none.
    best: usize,
}

impl RuleSet {
    /// The best rank that hits any line of a text; any rank where that is enough.
    pub(super) fn best_rank(&self, text: &[u8], wanted: Wanted, is_alone: bool) -> Option<usize> {
        let mut scratch = self.scratch.get();
        let best = self.ranked.len();
        let mut search = Search { rules: self, scratch: &mut scratch, wanted, is_alone, best };
        search.text(text);
        Some(search.best).filter(|it| *it < self.ranked.len())
    }
}

impl Search<'_> {
    fn is_done(&self) -> bool {
        self.best == 0 || (self.wanted == Wanted::Any && self.best < self.rules.ranked.len())
    }

    fn text(&mut self, text: &[u8]) {
        let mut hits = std::mem::take(&mut self.scratch.hits);
        self.rules.groups.search(text, &mut hits);
        let has_breaks = escape::has_break(text);
        if !hits.is_empty() || has_breaks || self.rules.needs_every_line() {
            each_line(text, &hits, |line, own, base| {
                self.line(line, own, base, has_breaks);
                self.is_done()
            });
        }
        self.scratch.hits = hits;
    }

    /// Looks at a line, at what stands behind a shipper's stamp, and at the lines that are escaped within it. The places of hits count
    /// from `base` bytes before the line.
    fn line(&mut self, line: &[u8], hits: &[Hit], base: usize, has_breaks: bool) {
        self.scratch.on_whole.clear();
        if !hits.is_empty() || self.rules.needs_every_line() {
            self.piece(line, line, hits, base);
            if let Some(behind) = stamp::behind(line) {
                let base = base + line.len() - behind.len();
                let first = hits.iter().position(|it| it.start >= base).unwrap_or(hits.len());
                self.piece(behind, line, &hits[first..], base);
            }
        }
        if has_breaks && !self.is_done() && escape::has_break(line) {
            let mut inner = std::mem::take(&mut self.scratch.inner);
            let mut hits = std::mem::take(&mut self.scratch.inner_hits);
            escape::unescape(line, &mut inner);
            self.rules.groups.search(&inner, &mut hits);
            each_line(&inner, &hits, |piece, own, base| {
                self.piece(piece, line, own, base);
                self.is_done()
            });
            (self.scratch.inner, self.scratch.inner_hits) = (inner, hits);
        }
    }

    /// Looks at a text that is `whole` or a part of it.
    fn piece(&mut self, piece: &[u8], whole: &[u8], hits: &[Hit], base: usize) {
        self.scratch.on_piece.clear();
        self.scratch.refuted.clear();
        self.scratch.walks.n_steps = 0;
        let rules = self.rules;
        for Hit { literal, start } in hits.iter().copied() {
            if self.is_done() {
                return;
            }
            if rules.groups.best_rank(literal).is_none_or(|rank| rank >= self.best) {
                continue;
            }
            let hit = Hit { literal, start: start - base };
            if self.scratch.walks.n_steps > max_steps(piece.len()) {
                self.one_by_one(0..rules.ranked.len(), piece, whole);
                return;
            }
            match rules.groups.walk_on(&rules.ranked, hit, piece, &mut self.scratch.walks) {
                Some(n_left) => self.walk_back(hit, n_left, piece, whole),
                None => self.one_by_one(rules.groups.ranks(literal), piece, whole),
            }
        }
        self.one_by_one(rules.on_every_line.iter().copied(), piece, whole);
    }

    /// Takes the best of the rules of which a pattern may be found around a literal.
    fn walk_back(&mut self, hit: Hit, n_left: usize, piece: &[u8], whole: &[u8]) {
        let groups = &self.rules.groups;
        for idx in 0..n_left {
            let rank = groups.rank_left(hit.literal, &self.scratch.walks, idx);
            if rank >= self.best {
                break;
            }
            if !self.may_hit(rank) || self.scratch.refuted.contains(&rank) {
                continue;
            }
            match groups.walk_back(hit, piece, &mut self.scratch.walks, idx) {
                Some(false) => {}
                Some(true) if self.is_kept(&self.rules.ranked[rank], piece, whole) => self.best = rank,
                Some(true) => self.scratch.refuted.push(rank),
                None => self.one_by_one([rank], piece, whole),
            }
        }
    }

    /// Takes the best of these ranks, which are in their order, by its whole patterns.
    fn one_by_one(&mut self, ranks: impl IntoIterator<Item = usize>, piece: &[u8], whole: &[u8]) {
        for rank in ranks {
            if rank >= self.best {
                break;
            }
            let ranked = &self.rules.ranked[rank];
            if self.may_hit(rank) && !self.scratch.refuted.contains(&rank) {
                match ranked.patterns.is_match(piece) && self.is_kept(ranked, piece, whole) {
                    true => self.best = rank,
                    false => self.scratch.refuted.push(rank),
                }
            }
        }
    }

    fn may_hit(&self, rank: usize) -> bool {
        !self.is_alone || self.rules.ranked[rank].counts_alone
    }

    /// Whether a rule of which a pattern is found keeps the line.
    fn is_kept(&mut self, ranked: &Ranked, piece: &[u8], whole: &[u8]) -> bool {
        ranked.conditions.as_ref().is_none_or(|it| self.holds(it, piece, whole))
            && !ranked.excludes.iter().any(|it| self.holds(it, piece, whole))
    }

    fn holds(&mut self, list: &Arc<Lazy>, piece: &[u8], whole: &[u8]) -> bool {
        once(&mut self.scratch.on_piece, list, piece)
            || (piece.len() != whole.len() && once(&mut self.scratch.on_whole, list, whole))
    }
}

/// Whether one of the list is found in the text, which is the same in all calls with these answers.
fn once(answers: &mut Vec<(usize, bool)>, list: &Arc<Lazy>, text: &[u8]) -> bool {
    let name = Arc::as_ptr(list).addr();
    if let Some((_, answer)) = answers.iter().find(|(it, _)| *it == name) {
        return *answer;
    }
    let answer = list.is_match(text);
    answers.push((name, answer));
    answer
}

/// Hands over the lines of a text, each with its hits and its place, until `is_done`.
fn each_line(text: &[u8], hits: &[Hit], mut is_done: impl FnMut(&[u8], &[Hit], usize) -> bool) {
    let (mut rest, mut start) = (hits, 0);
    loop {
        let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |it| start + it);
        let first = rest.iter().position(|it| it.start >= start).unwrap_or(rest.len());
        let last = rest.iter().position(|it| it.start >= end).unwrap_or(rest.len());
        if is_done(&text[start..end], &rest[first..last], start) || end == text.len() {
            return;
        }
        (rest, start) = (&rest[last..], end + 1);
    }
}

#[cfg(test)]
#[path = "best_tests.rs"]
mod tests;
