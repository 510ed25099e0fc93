//! Identities of records that were read lately, looked up by their lines.
//!
//! A fingerprint's identity depends on nothing but the lines without their wrapping and with their numbers made alike, so these are the
//! key: an error that repeats with other times, levels and numbers is not read again, unless people's rules look at messages. Lines are kept once each and known by their
//! numbers here, a record by the numbers of its lines.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::{Grouped, UserRules, group_alike, group_logged, numbers, unwrap};
use crate::base::redact::Clean;
use crate::watch::join::peel::peel;
use crate::watch::join::plain;

/// Lines and records kept. Beyond it all are forgotten: those that repeat are back at once.
const MAX_KEPT: usize = 4096;

/// Bytes kept of lines, and lines kept of records.
const MAX_BYTES: usize = 1 << 20;

/// The number of a line that is known to these [`Identities`], and to no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineId(u32);

/// A line and its number.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    pub id: LineId,
    /// All lines that are [`alike`](crate::base::search::digits::alike) have this number.
    pub is_alike: bool,
    /// Nothing of the line was left out or made alike.
    pub is_as_logged: bool,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Identities {
    ids: HashMap<Arc<str>, LineId, RandomState>,
    lines: Vec<Arc<str>>,
    known: HashMap<Box<[LineId]>, Grouped, RandomState>,
    n_bytes: usize,
    /// Kept for their memory.
    masked: Vec<u8>,
    of_text: Vec<LineId>,
}

impl Identities {
    /// The number of one line of a record.
    pub fn line(&mut self, line: &str) -> Numbered {
        let shown = plain(line);
        let (id, is_alike) = self.bare_line(&unwrap::plain(peel(&shown).text));
        Numbered { id, is_alike, is_as_logged: self.masked == line.as_bytes() }
    }

    /// Where a line's number does not hang on the very bytes: its prefix, and values.
    pub fn values(line: &str) -> Vec<Range<usize>> {
        let text = peel(line).text;
        let start = line.len() - text.len();
        let prefix = 0..start;
        let mut values = Vec::from([prefix]);
        if !text.contains('\r') {
            numbers::values(text, |value, kind| {
                if numbers::is_same_of_alike(&text.as_bytes()[value.clone()], kind) {
                    values.push(start + value.start..start + value.end);
                }
            });
        }
        values
    }

    /// Whether a record that begins with this line must be asked for by its text: its lines may be in an envelope.
    pub fn needs_text(first_line: &str) -> bool {
        unwrap::may_have_envelope(first_line)
    }

    /// What a record of these lines is, by `rules` that do not look at messages. They are the same at every call.
    pub fn of_lines(&mut self, lines: &[LineId], rules: &UserRules) -> Grouped {
        if let Some(known) = self.known.get(lines) {
            return *known;
        }
        let texts: Vec<&str> = lines.iter().map(|it| &*self.lines[it.0 as usize]).collect();
        let made = group_alike(&texts, rules);
        self.known.insert(lines.into(), made);
        self.n_bytes += size_of_val(lines);
        made
    }

    /// What a whole record is. `rules` are the same at every call.
    pub fn of_text(&mut self, text: &Clean, rules: &UserRules) -> Grouped {
        let unwrapped = unwrap::unwrap(text.as_str());
        if rules.look_at_messages() {
            let lines: Vec<&str> = unwrapped.lines.iter().map(String::as_str).collect();
            return group_logged(&lines, rules);
        }
        let mut ids = std::mem::take(&mut self.of_text);
        ids.clear();
        ids.extend(unwrapped.lines.iter().map(|it| self.bare_line(it).0));
        let found = self.of_lines(&ids, rules);
        self.of_text = ids;
        found
    }

    /// Whether all texts that are [`alike`](crate::base::search::digits::alike) and whose [numbers](Self::has_sound_numbers) are JSON's have
    /// the identity of this one.
    pub fn is_alike(&mut self, text: &Clean) -> bool {
        let unwrapped = unwrap::unwrap(text.as_str());
        unwrapped.is_of_shape && unwrapped.lines.iter().all(|it| self.bare_line(it).1)
    }

    /// Whether the numbers of a text that may be JSON are such as JSON allows.
    pub fn has_sound_numbers(text: &str) -> bool {
        unwrap::has_sound_numbers(text)
    }

    /// Whether so much is kept that it is time to begin anew.
    pub fn is_full(&self) -> bool {
        self.lines.len() > MAX_KEPT || self.known.len() > MAX_KEPT || self.n_bytes > MAX_BYTES
    }

    fn bare_line(&mut self, line: &str) -> (LineId, bool) {
        self.masked.clear();
        let is_alike = numbers::mask(line, &mut self.masked);
        // Masks are ASCII for ASCII, so it is a text still.
        let masked = std::str::from_utf8(&self.masked).unwrap_or(line);
        if let Some(id) = self.ids.get(masked) {
            return (*id, is_alike);
        }
        let id = LineId(u32::try_from(self.lines.len()).unwrap_or(u32::MAX));
        let kept: Arc<str> = Arc::from(masked);
        self.n_bytes += kept.len();
        self.lines.push(Arc::clone(&kept));
        self.ids.insert(kept, id);
        (id, is_alike)
    }
}
