//! One line as the machines see it. No allocation.

use super::peel;

/// A line without its prefix.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The text with its indentation, without blanks at its end.
    pub(super) body: &'a str,
    pub(super) is_prefixed: bool,
    /// The prefix says error or worse.
    pub(super) is_error: bool,
    /// The scanner says a rule may match.
    pub(super) is_candidate: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(line: &'a str, is_candidate: bool) -> Self {
        let peeled = peel::peel(line);
        Self {
            body: peeled.text.trim_end(),
            is_prefixed: peeled.is_prefixed,
            is_error: peeled.is_error,
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

    /// A line without prefix that is no log line of its own.
    pub(super) fn is_bare(&self) -> bool {
        !self.is_prefixed && !peel::stands_alone(self.body)
    }
}
