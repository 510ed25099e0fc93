//! The search by windows: places that may begin one, then a table of the windows there are, then the literals themselves.

use super::literals::ESCAPE;
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

    /// Tells the number of every literal in the text, as often as it is there.
    pub(super) fn all(&self, text: &[u8], mut found: impl FnMut(usize)) {
        self.vector.find(text, 0, |at| {
            self.entries_at(text, at).for_each(&mut found);
            false
        });
    }

    /// Whether an escape or a literal whose window begins at `at` stands there.
    #[inline]
    fn is_hit(&self, text: &[u8], at: usize) -> bool {
        text[at] == ESCAPE || self.entries_at(text, at).next().is_some()
    }

    /// The numbers of the literals whose window begins at `at` and that stand there.
    #[inline]
    fn entries_at<'t>(&'t self, text: &'t [u8], at: usize) -> impl Iterator<Item = usize> + 't {
        let first = self.table[place(window(text, at))];
        let numbers = std::iter::successors(usize::from(first).checked_sub(1), |number| {
            usize::from(self.entries[*number].next).checked_sub(1)
        });
        numbers.filter(move |number| {
            let entry = &self.entries[*number];
            let start = at.checked_sub(entry.offset);
            let here = start.and_then(|it| text.get(it..it + entry.literal.len()));
            here.is_some_and(|it| it.eq_ignore_ascii_case(&entry.literal))
        })
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
