//! Which texts must stand in everything a pattern matches.
//!
//! One search for these texts over a whole block tells which lines are worth a closer look.

use regex_syntax::hir::Hir;

use super::cuts::{Cut, Set};
use super::rarity::GOOD_LENGTH;

/// What a rule costs in the scan of ordinary lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// Nothing: its literals are part of the one prefilter.
    Prefiltered,
    /// Its literals are short and common, so many ordinary lines are looked at closely.
    Common,
    /// No literal at all: every line is looked at.
    EveryLine,
}

impl Cost {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefiltered => "prefiltered",
            Self::Common => "common",
            Self::EveryLine => "every-line",
        }
    }
}

/// What the pattern is searched for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searched {
    /// Lines without their breaks.
    Lines,
    /// Texts of several lines.
    Texts,
}

/// Texts, in lower-case ASCII, of which at least one is in everything that is matched; empty if there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequiredLiterals(Set);

impl RequiredLiterals {
    /// Reads them off a parsed pattern.
    pub fn of(pattern: &Hir, searched: Searched) -> Self {
        Self::of_cuts(&Cut::all(pattern, searched))
    }

    /// The same, of a pattern with these cuts.
    pub fn of_cuts(cuts: &[Cut]) -> Self {
        Self(shortest(cuts.iter().flat_map(Cut::literals).map(<[u8]>::to_vec).collect()))
    }

    /// What is required by one of several patterns; nothing as soon as one of them requires nothing.
    pub fn union(all: impl IntoIterator<Item = Self>) -> Self {
        let mut union = Set::new();
        for Self(set) in all {
            if set.is_empty() {
                return Self::default();
            }
            union.extend(set);
        }
        Self(shortest(union))
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a rule with these literals costs.
    pub fn cost(&self) -> Cost {
        match self.0.iter().map(Vec::len).min() {
            None => Cost::EveryLine,
            Some(shortest) if shortest < GOOD_LENGTH => Cost::Common,
            Some(_) => Cost::Prefiltered,
        }
    }
}

/// Without those that contain another.
fn shortest(mut set: Set) -> Set {
    let all: Vec<Vec<u8>> = set.iter().cloned().collect();
    set.retain(|it| !all.iter().any(|other| other.len() < it.len() && contains(it, other)));
    set
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &[&str]) {
        let parsed = regex_automata::util::syntax::parse_with(
            pattern,
            &regex_automata::util::syntax::Config::new().unicode(false).utf8(false).multi_line(true),
        )
        .unwrap();
        let found = RequiredLiterals::of(&parsed, Searched::Lines);
        let found: Vec<_> = found.iter().map(|it| std::str::from_utf8(it).unwrap()).collect();
        assert_eq!(found, expected, "of: {pattern}");
    }

    #[test]
    fn finds_what_every_match_contains() {
        check("(?i)traceback", &["traceback"]);
        check(r"\b[A-Z]\w+(?:Error|Exception): ", &["error: ", "exception: "]);
        check(r#""level": ?"error""#, &[r#""error""#]);
        check(r#""level": ?50\b"#, &[r#""level": 50"#, r#""level":50"#]);
        check(r"(?i)\bout of memory|oom-?kill", &["oom-kill", "oomkill", "out of memory"]);
        check(r"(?:foo)?bar\w+bazqux\d*", &["bazqux"]);
        check(r"^goroutine \d+ \[", &["goroutine "]);
        check(r"(?i)error[: ]|errors", &["error ", "error:", "errors"]);
        check(r"(?i)\b(?:build|job|step) failed[:!]", &[" failed"]);
    }

    #[test]
    fn says_when_there_is_none() {
        for pattern in [r"\d+", "a|b", r"(?:error)*", r"x.y", r"(?i)error|\w+"] {
            check(pattern, &[]);
        }
    }
}
