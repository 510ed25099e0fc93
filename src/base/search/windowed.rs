//! The search by windows: places that may begin one, then a table of the windows there are, then the literals themselves.

use super::literals::ESCAPE;
use super::vector::Vector;
use super::windows::{WIDTH, plan};

/// Bits of the table's size.
const TABLE_BITS: u32 = 12;

/// Bits of the number of bits that windows are marked by.
const MARK_BITS: u32 = 16;

/// Bytes of a window that its place in the table is made of; a literal of less is not searched for by windows.
const KEY: usize = 3;

/// A search for literals by their windows.
#[derive(Debug)]
pub(super) struct Windowed {
    vector: Vector,
    /// The bits of the windows there are: most places that seem to begin one are refuted by them.
    marks: Box<[u64]>,
    /// For the hash of a window the first of its entries, which follow each other, counted from 1; 0: there is none.
    table: Vec<u16>,
    entries: Vec<Entry>,
    literals: Vec<Vec<u8>>,
}

/// A literal and its window.
#[derive(Debug)]
struct Entry {
    literal: u16,
    len: u16,
    /// Where in the literal the window begins.
    offset: u16,
    /// Where in the literal the probe stands, and the probe: bytes far from the window that most texts do not have.
    probe_at: u16,
    probe: u32,
    is_last: bool,
}

impl Windowed {
    /// A search for these literals, in lower case, in texts like `ordinary`; `None` where it cannot be: the processor has no AVX2, or
    /// a literal is too short.
    pub(super) fn new(literals: &[Vec<u8>], ordinary: &[u8]) -> Option<Self> {
        if literals.iter().any(|it| it.len() < KEY) || literals.len() >= usize::from(u16::MAX) {
            return None;
        }
        let (offsets, buckets) = Vector::faster(
            #[inline(always)]
            || plan(literals, ordinary),
        )?;
        let vector = Vector::new(&buckets)?;
        let mut marks = vec![0; 1 << (MARK_BITS - u64::BITS.ilog2())].into_boxed_slice();
        let mut table = vec![0; 1 << TABLE_BITS];
        let mut entries = Vec::with_capacity(literals.len());
        let mut order: Vec<(usize, usize)> =
            literals.iter().zip(&offsets).map(|(it, offset)| place(window(it, *offset))).zip(0..).collect();
        order.sort_unstable();
        for chain in order.chunk_by(|left, right| left.0 == right.0) {
            table[chain[0].0] = u16::try_from(entries.len() + 1).ok()?;
            for (_, number) in chain {
                let (literal, offset) = (&literals[*number], offsets[*number]);
                let here = window(literal, offset);
                // Behind the end of a short literal anything may stand.
                let ends = if literal.len() - offset < WIDTH { 0..=u8::MAX } else { 0..=0 };
                ends.for_each(|end| {
                    let (word, bit) = mark(here | u32::from(end) << (u32::BITS - u8::BITS));
                    marks[word] |= bit;
                });
                entries.push(Entry::new(*number, literal, offset)?);
            }
            entries.last_mut()?.is_last = true;
        }
        Some(Self { vector, marks, table, entries, literals: literals.to_vec() })
    }

    /// A place within the first line at or behind `from` that holds a literal or an escape.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        self.vector.find(text, from, |at| self.is_hit(text, at))
    }

    /// Tells the number of every literal in the text and where it begins, as often as it is there.
    pub(super) fn places(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        self.vector.find(text, 0, |at| {
            if self.is_marked(text, at) {
                self.each(text, at, |number, start| {
                    found(number, start);
                    false
                });
            }
            false
        });
    }

    /// Whether an escape or a literal whose window begins at `at` stands there.
    #[inline]
    fn is_hit(&self, text: &[u8], at: usize) -> bool {
        (self.is_marked(text, at) && self.has_entry(text, at)) || text[at] == ESCAPE
    }

    /// Whether a window may begin at `at`.
    #[inline]
    fn is_marked(&self, text: &[u8], at: usize) -> bool {
        let (word, bit) = mark(window(text, at));
        self.marks[word] & bit != 0
    }

    #[inline(never)]
    fn has_entry(&self, text: &[u8], at: usize) -> bool {
        self.each(text, at, |_, _| true)
    }

    /// Tells the literals whose window begins at `at` and that stand there, with their starts, until one `is_enough`, and whether one was.
    #[inline]
    fn each(&self, text: &[u8], at: usize, mut is_enough: impl FnMut(usize, usize) -> bool) -> bool {
        let Some(mut number) = usize::from(self.table[place(window(text, at))]).checked_sub(1) else {
            return false;
        };
        loop {
            let entry = &self.entries[number];
            if let Some(start) = at.checked_sub(usize::from(entry.offset))
                && let Some(here) = text.get(start..start + usize::from(entry.len))
                && fold(window(here, usize::from(entry.probe_at))) == entry.probe
                && here.eq_ignore_ascii_case(&self.literals[usize::from(entry.literal)])
                && is_enough(usize::from(entry.literal), start)
            {
                return true;
            }
            if entry.is_last {
                return false;
            }
            number += 1;
        }
    }
}

impl Entry {
    fn new(number: usize, literal: &[u8], offset: usize) -> Option<Self> {
        let end = literal.len().saturating_sub(WIDTH);
        let probe_at = if offset < end / 2 { end } else { 0 };
        Some(Self {
            literal: u16::try_from(number).ok()?,
            len: u16::try_from(literal.len()).ok()?,
            offset: u16::try_from(offset).ok()?,
            probe_at: u16::try_from(probe_at).ok()?,
            probe: fold(window(literal, probe_at)),
            is_last: false,
        })
    }
}

/// The bytes of a window as a number; zeros behind the end.
#[inline]
fn window(text: &[u8], at: usize) -> u32 {
    match text[at..].first_chunk::<WIDTH>() {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => text[at..].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)),
    }
}

/// The same for all that differs in the case of letters.
#[inline]
fn fold(window: u32) -> u32 {
    window | 0x2020_2020
}

/// The mark of a window, without regard to case: its word and its bit.
#[inline]
fn mark(window: u32) -> (usize, u64) {
    let hash = fold(window).wrapping_mul(0x9e37_79b1) >> (u32::BITS - MARK_BITS);
    ((hash / u64::BITS) as usize, 1 << (hash % u64::BITS))
}

/// Where the table has windows like this one. Only the first [`KEY`] bytes count, without regard to case.
fn place(window: u32) -> usize {
    let key = fold(window) & 0x00ff_ffff;
    (key.wrapping_mul(0x9e37_79b1) >> (u32::BITS - TABLE_BITS)) as usize
}
