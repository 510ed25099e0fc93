//! Records that came lately, as a tree of their lines.
//!
//! An error that repeats is most often the same lines again with other numbers. So a record that was read is known again by its lines,
//! from the first to the last: by what is left of them without digits where these say nothing, by their bytes where they do. What the
//! joiner, the rules and the fingerprinter say of such a record was said before. Lines that mean the same lead to the same place, so
//! that a trace is kept once however its head is written. Bounded: when it is full, all is forgotten.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::ops::Range;

use foldhash::fast::RandomState;

use crate::base::search::digits;
use crate::watch::fingerprint::{Identity, LineId};
use crate::watch::join::{Ending, Seen};

/// Lines and bytes of lines kept.
const MAX_LINES: usize = 4096;
const MAX_BYTES: usize = 512 << 10;

/// Lines of which it is remembered that they came alone.
const MAX_ALONE: usize = 1024;

/// Lines that may follow the same ones.
const MAX_BRANCHES: usize = 64;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Recurring {
    places: Vec<Place>,
    lines: Vec<Line>,
    /// The first lines of records, by what is left of them without digits.
    first: HashMap<Box<[u8]>, usize, RandomState>,
    /// Places behind the first lines.
    of_class: HashMap<LineId, usize, RandomState>,
    n_bytes: usize,
    /// Hashes of lines that were a record alone.
    alone: Vec<u64>,
    /// Kept for its memory.
    key: Vec<u8>,
}

/// Where one stands behind some lines of a record.
#[derive(Debug)]
struct Place {
    class: Option<Class>,
    /// The first of the lines that may follow.
    next: Option<usize>,
    outcome: Option<Outcome>,
}

/// A line that may follow.
#[derive(Debug)]
struct Line {
    /// Its bytes where they are fixed, its key elsewhere.
    written: Box<[u8]>,
    /// For each byte whether it is fixed: all ones or none; `None` where that is the same for all.
    fixed: Option<Box<[u8]>>,
    is_fixed: bool,
    asked: Asked,
    place: usize,
    /// Another line that may stand here.
    other: Option<usize>,
}

/// What all lines have that mean the same in their records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) id: LineId,
    pub(super) seen: Seen,
    /// The best rank of a rule that hits it within a record.
    pub(super) rank: Option<usize>,
    pub(super) indent: usize,
}

/// Which lines are taken for a known one: those that are [`alike`](digits::alike), the same where it is fixed, and answer so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Likeness {
    pub(super) fixed: Fixed,
    pub(super) asked: Asked,
}

/// Where a line's very bytes count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fixed {
    All,
    Nothing,
    But(Vec<Range<usize>>),
}

/// What is asked of a line because it hangs on its digits, and the answer that makes it the known line. The default asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// The best rank of a rule that hits it within a record.
    pub(super) rank: Option<Option<usize>>,
    /// Whether it holds nothing to hide.
    pub(super) is_clean: bool,
    /// Whether its numbers are such as JSON allows.
    pub(super) is_sound: bool,
}

/// What became of a record of these lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) ending: Ending,
    /// The best rank of a rule that hits it.
    pub(super) rank: usize,
    pub(super) identity: Identity,
    /// How many of its lines a rule hits.
    pub(super) n_candidates: u32,
}

/// A line of a record, to be remembered.
#[derive(Debug)]
pub(super) struct KnownLine<'l> {
    pub(super) written: &'l [u8],
    pub(super) likeness: Likeness,
    /// `None` where it leads to a place of its own.
    pub(super) class: Option<Class>,
}

impl Recurring {
    /// The place behind the line that is written so; `None` where it did not follow there before. `from`: the place before it, `None` for
    /// a record's first. `ask`: whether the line answers so.
    pub(super) fn next(
        &mut self,
        from: Option<usize>,
        written: &[u8],
        mut ask: impl FnMut(&Asked) -> bool,
    ) -> Option<usize> {
        let mut has_key = from.is_none();
        let mut next = match from {
            Some(place) => self.places[place].next,
            None => {
                digits::alike(written, &mut self.key);
                self.first.get(&*self.key).copied()
            }
        };
        while let Some(line_idx) = next {
            let line = &self.lines[line_idx];
            if line.written.len() == written.len() {
                if !line.is_fixed && !has_key {
                    digits::alike(written, &mut self.key);
                    has_key = true;
                }
                if line.is(written, &self.key) && ask(&line.asked) {
                    return Some(line.place);
                }
            }
            next = line.other;
        }
        None
    }

    /// Whether a record of these lines was learned that asks nothing of them.
    pub(super) fn knows_as_written<'l>(&mut self, mut lines: impl Iterator<Item = &'l [u8]>) -> bool {
        let mut place = None;
        let mut follow = |line| {
            place = self.next(place, line, |asked| *asked == Asked::default());
            place.is_some()
        };
        let is_known = lines.all(&mut follow);
        is_known && place.is_some_and(|it| self.outcome(it).is_some())
    }

    /// What became of a record that ended at this place.
    pub(super) fn outcome(&self, place: usize) -> Option<&Outcome> {
        self.places[place].outcome.as_ref()
    }

    /// Whether a line that is a record alone came lately, so that it is worth to be remembered: many come once.
    pub(super) fn came_alone(&mut self, written: &[u8]) -> bool {
        digits::alike(written, &mut self.key);
        let hash = self.first.hasher().hash_one(&self.key);
        self.alone.resize(MAX_ALONE, 0);
        let place = &mut self.alone[usize::try_from(hash % MAX_ALONE as u64).unwrap_or_default()];
        std::mem::replace(place, hash) == hash
    }

    /// Remembers a record by its lines.
    pub(super) fn learn<'l>(&mut self, lines: impl Iterator<Item = KnownLine<'l>>, outcome: Outcome) {
        if self.lines.len() > MAX_LINES || self.n_bytes > MAX_BYTES {
            *self = Self { alone: std::mem::take(&mut self.alone), ..Self::default() };
        }
        let mut place = None;
        for line in lines {
            let Some(next) = self.branch(place, line) else { return };
            place = Some(next);
        }
        if let Some(place) = place {
            let before = self.places[place].outcome.replace(outcome);
            debug_assert!(before.is_none_or(|it| it == outcome), "{before:?} and {outcome:?}");
        }
    }

    /// The place behind a line, made where it is new; `None` where there are too many.
    fn branch(&mut self, from: Option<usize>, known: KnownLine<'_>) -> Option<usize> {
        let KnownLine { written, likeness, class } = known;
        digits::alike(written, &mut self.key);
        let first = from.map_or_else(|| self.first.get(&*self.key).copied(), |it| self.places[it].next);
        let line = Line::new(written, &self.key, likeness, first);
        let mut same = None;
        let mut n_branches = 0;
        let mut next = first;
        while let Some(line_idx) = next {
            let known = &self.lines[line_idx];
            if known.is_like(&line) {
                return Some(known.place);
            }
            if class.is_some() && self.places[known.place].class == class {
                same = Some(known.place);
            }
            n_branches += 1;
            next = known.other;
        }
        if n_branches >= MAX_BRANCHES {
            return None;
        }
        if let (None, Some(class)) = (from, class) {
            let known = self.of_class.get(&class.id).copied();
            same = same.or(known.filter(|it| self.places[*it].class == Some(class)));
        }
        let place = same.unwrap_or_else(|| {
            self.places.push(Place { class, next: None, outcome: None });
            self.places.len() - 1
        });
        let line_idx = self.lines.len();
        self.n_bytes += written.len() * if line.fixed.is_some() { 2 } else { 1 };
        self.lines.push(Line { place, ..line });
        match from {
            Some(from) => self.places[from].next = Some(line_idx),
            None => {
                self.n_bytes += written.len();
                self.first.insert(self.key.as_slice().into(), line_idx);
                if let Some(class) = class {
                    self.of_class.insert(class.id, place);
                }
            }
        }
        Some(place)
    }
}

impl Line {
    fn new(written: &[u8], key: &[u8], likeness: Likeness, other: Option<usize>) -> Self {
        let Likeness { fixed, asked } = likeness;
        let is_fixed = fixed == Fixed::All;
        let mut kept: Box<[u8]> = if fixed == Fixed::Nothing { key.into() } else { written.into() };
        let fixed = match fixed {
            Fixed::All | Fixed::Nothing => None,
            Fixed::But(values) => {
                let mut mask = vec![0xff; written.len()].into_boxed_slice();
                for value in values {
                    mask[value.clone()].fill(0);
                    kept[value.clone()].copy_from_slice(&key[value]);
                }
                Some(mask)
            }
        };
        Self { written: kept, fixed, is_fixed, asked, place: 0, other }
    }

    /// Whether a line of this length that is written so is this one; its key is not looked at where all is fixed.
    fn is(&self, written: &[u8], key: &[u8]) -> bool {
        match &self.fixed {
            None => *self.written == *if self.is_fixed { written } else { key },
            Some(fixed) => {
                let bytes = self.written.iter().zip(fixed).zip(written.iter().zip(key));
                bytes.fold(0, |other, ((line, fixed), (byte, key))| {
                    other | (line ^ (byte & fixed | key & !fixed))
                }) == 0
            }
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.written == other.written
            && self.fixed == other.fixed
            && self.is_fixed == other.is_fixed
            && self.asked == other.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fingerprint::Fingerprint;
    use crate::model::trace::Runtime;
    use crate::watch::join::{Joiner, Limits};

    fn outcome(n: u8) -> Outcome {
        let (mut joiner, mut out) = (Joiner::new(Limits::default()), Vec::new());
        joiner.push("error: x", true, None, &mut out);
        joiner.push("2026-01-02 03:04:05 INFO y", false, None, &mut out);
        let identity = Identity { fingerprint: Fingerprint::from_bytes([n; 32]), runtime: Runtime::Message };
        Outcome { ending: joiner.ending().unwrap(), rank: 0, identity, n_candidates: 1 }
    }

    fn known(written: &str, fixed: Fixed) -> KnownLine<'_> {
        let likeness = Likeness { fixed, asked: Asked::default() };
        KnownLine { written: written.as_bytes(), likeness, class: None }
    }

    fn find(recurring: &mut Recurring, lines: &[&str]) -> Option<Outcome> {
        let place = lines.iter().try_fold(None, |place, line| {
            recurring.next(place, line.as_bytes(), |asked| *asked == Asked::default()).map(Some)
        });
        recurring.outcome(place??).copied()
    }

    #[test]
    fn lines_are_known_by_what_is_fixed() {
        let mut recurring = Recurring::default();
        let lines = ["error 12 of user7", "  at a.rs:3"];
        let number = 6..8;
        let fixed = [Fixed::But(Vec::from([number])), Fixed::All];
        let record = lines.iter().zip(fixed).map(|(line, fixed)| known(line, fixed));
        recurring.learn(record, outcome(1));
        recurring.learn([known("error 1 of 2", Fixed::Nothing)].into_iter(), outcome(2));
        for (lines, expected) in [
            (&["error 12 of user7", "  at a.rs:3"][..], Some(1)),
            (&["error 99 of user7", "  at a.rs:3"], Some(1)),
            (&["error 99 of user8", "  at a.rs:3"], None),
            (&["error 99 of user7", "  at a.rs:4"], None),
            (&["error 99 of user7"], None),
            (&["error 123 of user7", "  at a.rs:3"], None),
            (&["error 3 of 4"], Some(2)),
            (&["error 3 of x"], None),
            (&["  at a.rs:3"], None),
        ] {
            assert_eq!(find(&mut recurring, lines), expected.map(outcome), "{lines:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recurring = Recurring::default();
        for n in 0..20_000_u32 {
            let name: String = n.to_string().bytes().map(|it| char::from(it - b'0' + b'g')).collect();
            let lines = [format!("error: {name}"), "  at x".to_owned()];
            recurring.came_alone(lines[0].as_bytes());
            recurring.learn(lines.iter().map(|it| known(it, Fixed::Nothing)), outcome(1));
            assert_eq!(find(&mut recurring, &[&lines[0], &lines[1]]), Some(outcome(1)));
            assert!(recurring.lines.len() <= MAX_LINES + 2 && recurring.places.len() <= MAX_LINES + 2);
            assert!(recurring.n_bytes <= MAX_BYTES + 256 && recurring.alone.len() <= MAX_ALONE);
        }
        let many = |n: usize| vec!["error".to_owned(), format!("at {}", "x".repeat(n))];
        for n in 0..2 * MAX_BRANCHES {
            let lines = many(n);
            recurring.learn(lines.iter().map(|it| known(it, Fixed::All)), outcome(1));
        }
        let n_known = (0..2 * MAX_BRANCHES).filter(|n| {
            let lines = many(*n);
            find(&mut recurring, &[&lines[0], &lines[1]]).is_some()
        });
        assert_eq!(n_known.count(), MAX_BRANCHES);
    }
}
