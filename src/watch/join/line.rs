//! One line as the machines see it. No allocation.

use super::machine::{self, Opening};
use super::shape::Colons;
use super::{callstack, native, peel};

/// A line longer than this is looked at by its beginning only.
const LOOK: usize = 4096;

/// What the joiner sees in a line. The same for all lines that differ in nothing but digits, so it may be remembered for those that are
/// [`alike`](crate::base::search::digits::alike).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where the text begins, behind the prefix.
    text: usize,
    /// Where it ends, without blanks.
    end: usize,
    is_prefixed: bool,
    is_stamped: bool,
    is_error: bool,
    stands_alone: bool,
    colons: Colons,
    opening: Option<Opening>,
    /// It begins nothing that its text tells, but a stack may follow.
    is_weak: bool,
}

/// A line without its prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The text with its indentation, without blanks at its end.
    pub(super) body: &'a str,
    pub(super) prefix: &'a str,
    /// It has a prefix that a logger writes.
    pub(super) is_prefixed: bool,
    /// It has a prefix that a shipper may have put before every line.
    pub(super) is_stamped: bool,
    /// The prefix says error or worse.
    pub(super) is_error: bool,
    /// Nothing follows such a line.
    pub(super) stands_alone: bool,
    pub(super) colons: Colons,
    /// The scanner says a rule may match.
    pub(super) is_candidate: bool,
    opening: Option<Opening>,
    /// See [`callstack::weak`].
    pub(super) is_weak: bool,
}

impl Seen {
    /// Looks at a line without escapes of terminals.
    pub fn of(line: &str) -> Self {
        let line = beginning(line);
        let peeled = peel::peel(line);
        let body = peeled.text.trim_end();
        let text = line.len() - peeled.text.len();
        let mut seen = Self {
            text,
            end: text + body.len(),
            is_prefixed: peeled.is_prefixed && !peeled.is_stamp,
            is_stamped: peeled.is_stamp,
            is_error: peeled.is_error,
            stands_alone: peel::stands_alone(body),
            colons: Colons::of(peeled.text),
            opening: None,
            is_weak: false,
        };
        seen.opening = machine::open(&View::new(line, &seen, false));
        seen.is_weak = seen.opening.is_none() && !seen.is_prefixed && callstack::is_weak_head(body);
        seen
    }

    /// The same but for the places, which hang on how long numbers are.
    pub fn shape(self) -> Self {
        Self { text: 0, end: 0, ..self }
    }

    /// Whether this is a log line of its own that begins nothing: no record goes on across it, and none begins with it. No rule hits
    /// `line`, in which this was seen.
    pub fn parts(&self, line: &str) -> bool {
        let view = View::new(line, self, false);
        let is_own_line = view.is_prefixed || !view.is_stamped && !view.is_bare();
        // PostgreSQL puts a second blank behind its level.
        let has_own_indent =
            view.indent() == 0 || view.is_prefixed && view.indent() == 1 && view.body.starts_with(' ');
        is_own_line && self.opening.is_none() && !view.is_blank() && has_own_indent
    }
}

impl<'a> View<'a> {
    /// The line in which this was seen.
    pub(super) fn new(line: &'a str, seen: &Seen, is_candidate: bool) -> Self {
        Self {
            body: &line[seen.text..seen.end],
            prefix: &line[..seen.text],
            is_prefixed: seen.is_prefixed,
            is_stamped: seen.is_stamped,
            is_error: seen.is_error,
            stands_alone: seen.stands_alone,
            colons: seen.colons,
            is_candidate,
            opening: seen.opening,
            is_weak: seen.is_weak,
        }
    }

    /// The record that may begin with this line.
    pub(super) fn opening(&self) -> Option<Opening> {
        let (mut state, sure) = self.opening?;
        native::note_place(&mut state, self.body);
        Some((state, sure))
    }

    /// How many blanks or tabs lead.
    pub(super) fn indent(&self) -> usize {
        self.body.len() - self.body.trim_start_matches([' ', '\t']).len()
    }

    pub(super) fn is_blank(&self) -> bool {
        self.body.is_empty()
    }

    /// The text from column `base` on; less where it is indented less.
    pub(super) fn from(&self, base: usize) -> &'a str {
        &self.body[base.min(self.indent())..]
    }

    pub(super) fn has_prefix(&self) -> bool {
        self.is_prefixed || self.is_stamped
    }

    /// A line without a logger's prefix that is no log line of its own.
    pub(super) fn is_bare(&self) -> bool {
        !self.is_prefixed && !self.stands_alone
    }

    /// Whether this line begins something else: no machine takes it into a message.
    pub(super) fn begins_other(&self) -> bool {
        self.is_prefixed || !self.is_bare() || self.opening.is_some()
    }
}

fn beginning(line: &str) -> &str {
    if line.len() > 4 * LOOK { &line[..line.floor_char_boundary(LOOK)] } else { line }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
