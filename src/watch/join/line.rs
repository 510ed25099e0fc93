//! One line as the machines see it. No allocation.

use super::peel;
use super::shape::Colons;

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
    pub(super) colons: Colons,
    /// The scanner says a rule may match.
    pub(super) is_candidate: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(line: &'a str, is_candidate: bool) -> Self {
        let peeled = peel::peel(line);
        Self {
            body: peeled.text.trim_end(),
            prefix: &line[..line.len() - peeled.text.len()],
            is_prefixed: peeled.is_prefixed && !peeled.is_stamp,
            is_stamped: peeled.is_stamp,
            is_error: peeled.is_error,
            colons: Colons::of(peeled.text),
            is_candidate,
        }
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
        !self.is_prefixed && !peel::stands_alone(self.body)
    }
}
