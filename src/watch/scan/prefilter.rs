//! The search for many literals at once, and for terminals' escapes, without regard to case: with AVX2 where the processor has it, else with an automaton.
//!
//! Which of the two is chosen when the program runs; both find the same lines.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

#[cfg(target_arch = "x86_64")]
use super::windowed::Windowed;

/// Logs of the usual kinds, in which nothing goes wrong: by them it is decided what is rare.
#[cfg(target_arch = "x86_64")]
const ORDINARY: &[u8] = include_bytes!("ordinary.log");

/// Bytes of the text to be searched that are looked at for the same purpose.
#[cfg(target_arch = "x86_64")]
const LOOK: usize = 64 * 1024;

/// Behind it a literal may hide from the search.
pub(super) const ESCAPE: u8 = 0x1b;

/// Finds the first of many literals. See the module's documentation.
#[derive(Debug)]
pub(super) enum Prefilter {
    #[cfg(target_arch = "x86_64")]
    Windowed(Box<Windowed>),
    Automaton(AhoCorasick),
}

impl Prefilter {
    /// A search for these literals, in lower case, which is quick in texts like `text`.
    pub(super) fn new(literals: &[Vec<u8>], text: &[u8]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(windowed) = Windowed::new(literals, &[ORDINARY, &text[..text.len().min(LOOK)]].concat()) {
            return Self::Windowed(Box::new(windowed));
        }
        Self::Automaton(automaton(literals))
    }

    /// A place within the first line at or behind `from` that holds one of the literals or an escape. `from` is the start of a line.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Windowed(windowed) => windowed.find(text, from),
            Self::Automaton(automaton) => automaton.find(&text[from..]).map(|found| from + found.start()),
        }
    }
}

fn automaton(literals: &[Vec<u8>]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build(literals.iter().map(Vec::as_slice).chain([&[ESCAPE][..]]))
        .expect("a few thousand bytes of literals stay far below the automaton's limits")
}

#[cfg(test)]
#[path = "prefilter_tests.rs"]
mod tests;
