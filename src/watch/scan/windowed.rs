//! The search by windows: places that may begin one, then a table of the windows there are, then the literals themselves.

use super::prefilter::ESCAPE;
use super::vector::Vector;
use super::windows::{WIDTH, plan};

/// Bits of the table's size.
const TABLE_BITS: u32 = 12;

/// Bytes of a window that its place in the table is made of; a literal of less is not searched for by windows.
const KEY: usize = 3;

/// A search for literals by their windows.
#[derive(Debug)]
pub(super) struct Windowed {
    vector: Vector,
    /// For the hash of a window the first of its entries, counted from 1; 0: there is none.
    table: Vec<u16>,
    entries: Vec<Entry>,
}

/// A literal and its window.
#[derive(Debug)]
struct Entry {
    literal: Vec<u8>,
    /// Where in the literal the window begins.
    offset: usize,
    /// The next entry with this hash, counted from 1.
    next: u16,
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
        let mut table = vec![0; 1 << TABLE_BITS];
        let mut entries = Vec::with_capacity(literals.len());
        for (literal, offset) in literals.iter().zip(offsets) {
            let first = &mut table[place(window(literal, offset))];
            entries.push(Entry { literal: literal.clone(), offset, next: *first });
            *first = u16::try_from(entries.len()).ok()?;
        }
        Some(Self { vector, table, entries })
    }

    /// A place within the first line at or behind `from` that holds a literal or an escape.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        self.vector.find(text, from, |at| self.is_hit(text, at))
    }

    /// Whether an escape or a literal whose window begins at `at` stands there.
    #[inline]
    fn is_hit(&self, text: &[u8], at: usize) -> bool {
        if text[at] == ESCAPE {
            return true;
        }
        let mut number = self.table[place(window(text, at))];
        while let Some(entry) = usize::from(number).checked_sub(1).map(|it| &self.entries[it]) {
            let start = at.checked_sub(entry.offset);
            let here = start.and_then(|it| text.get(it..it + entry.literal.len()));
            if here.is_some_and(|it| it.eq_ignore_ascii_case(&entry.literal)) {
                return true;
            }
            number = entry.next;
        }
        false
    }
}

/// The bytes of a window as a number; zeros behind the end.
fn window(text: &[u8], at: usize) -> u32 {
    match text[at..].first_chunk::<WIDTH>() {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => text[at..].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)),
    }
}

/// Where the table has windows like this one. Only the first [`KEY`] bytes count, without regard to case.
fn place(window: u32) -> usize {
    let key = (window | 0x2020_2020) & 0x00ff_ffff;
    (key.wrapping_mul(0x9e37_79b1) >> (u32::BITS - TABLE_BITS)) as usize
}
