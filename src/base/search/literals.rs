//! The literals and the two ways to search for them.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

#[cfg(target_arch = "x86_64")]
use super::windowed::Windowed;

/// Logs of the usual kinds, in which nothing goes wrong: by them it is decided what is rare, and measured what rules cost.
pub const ORDINARY: &str = include_str!("ordinary.log");

/// Bytes of the text to be searched that are looked at for the same purpose.
#[cfg(target_arch = "x86_64")]
const LOOK: usize = 64 * 1024;

/// Begins what is for terminals. Behind it a literal may hide from the search.
pub(super) const ESCAPE: u8 = 0x1b;

/// Literals, ready to be searched for.
#[derive(Debug)]
pub struct Literals(Search);

#[derive(Debug)]
enum Search {
    #[cfg(target_arch = "x86_64")]
    Windowed(Box<Windowed>),
    Automaton(Box<AhoCorasick>),
}

impl Literals {
    /// A search for these literals, in lower-case ASCII and of three bytes at least, which is quick in texts like `text`.
    pub fn new(literals: &[Vec<u8>], text: &[u8]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(windowed) =
            Windowed::new(literals, &[ORDINARY.as_bytes(), &text[..text.len().min(LOOK)]].concat())
        {
            return Self(Search::Windowed(Box::new(windowed)));
        }
        Self::without_vectors(literals)
    }

    fn without_vectors(literals: &[Vec<u8>]) -> Self {
        Self(Search::Automaton(Box::new(automaton(literals))))
    }

    /// A place within the first line at or behind `from` that holds one of the literals or an escape of terminals. `from` is the
    /// start of a line.
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Search::Windowed(windowed) => windowed.find(text, from),
            Search::Automaton(automaton) => automaton.find(&text[from..]).map(|found| from + found.start()),
        }
    }

    /// Tells the number of every literal in the text and where it begins, as often as it is there, in about their order.
    pub fn places(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Search::Windowed(windowed) => windowed.places(text, found),
            Search::Automaton(automaton) => {
                for it in automaton.find_overlapping_iter(text) {
                    // The first one is the escape.
                    if let Some(number) = it.pattern().as_usize().checked_sub(1) {
                        found(number, it.start());
                    }
                }
            }
        }
    }
}

fn automaton(literals: &[Vec<u8>]) -> AhoCorasick {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .build([&[ESCAPE][..]].into_iter().chain(literals.iter().map(Vec::as_slice)))
        .expect("a few thousand bytes of literals stay far below the automaton's limits")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
