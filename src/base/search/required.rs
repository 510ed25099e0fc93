//! Which texts must stand in everything a pattern matches.
//!
//! One search for these texts over a whole block tells which lines are worth a closer look. `regex-syntax` extracts
//! literals at the ends of a pattern only; most rules have theirs in the middle (`\b[A-Z]\w+Error: `), so this walks
//! the parsed pattern itself and keeps the rarest set of texts of which every match contains one.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Sets larger than this are not worth their place in the prefilter.
const MAX_LITERALS: usize = 64;

/// Classes larger than this are not spelled out.
const MAX_CLASS: usize = 8;

/// A literal shorter than this is found in nearly every line and is not used.
const MIN_LENGTH: usize = 3;

/// From here on rarer is not better: `error:` is rare enough, and one literal is cheaper than thirty longer ones.
const RARE_ENOUGH: f32 = 5.6;

/// Words of which ordinary lines are full: they say nothing.
const COMMON: &str = "level severity info message status http log com. org. name with code due line time user signal backend column connection server process \
    request after while waiting finished connecting reading caught received thread task worker upstream mongo php exceeded terminated started database disk";

/// A literal shorter than this is taken only where there is no other.
const GOOD_LENGTH: usize = 4;

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
pub struct RequiredLiterals(BTreeSet<Vec<u8>>);

impl RequiredLiterals {
    /// Reads them off a parsed pattern.
    pub fn of(pattern: &Hir, searched: Searched) -> Self {
        Self(shortest(analyse(pattern, searched).best().filter(|set| score(set) > 0.0).unwrap_or_default()))
    }

    /// What is required by one of several patterns; nothing as soon as one of them requires nothing.
    pub fn union(all: impl IntoIterator<Item = Self>) -> Self {
        let mut union = BTreeSet::new();
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

type Set = BTreeSet<Vec<u8>>;

/// What is known of a piece of a pattern.
#[derive(Default)]
struct Piece {
    /// All that it can match, where that is a short list.
    exact: Option<Set>,
    /// The best set of which every match contains one.
    required: Option<Set>,
}

impl Piece {
    fn exactly(texts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { exact: Some(texts.into_iter().collect()), required: None }
    }

    fn best(self) -> Option<Set> {
        better(self.exact, self.required)
    }
}

fn analyse(pattern: &Hir, searched: Searched) -> Piece {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => Piece::exactly([Vec::new()]),
        HirKind::Literal(literal) => Piece::exactly([literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => Piece { exact: spelled_out(class, searched), required: None },
        HirKind::Capture(capture) => analyse(&capture.sub, searched),
        HirKind::Repetition(repetition) => {
            let piece = analyse(&repetition.sub, searched);
            match (repetition.min, repetition.max, piece.exact) {
                (0, Some(1), Some(exact)) => Piece::exactly(exact.into_iter().chain([Vec::new()])),
                (0, _, _) => Piece::default(),
                (1, Some(1), exact) => Piece { exact, required: piece.required },
                (_, _, exact) => Piece { exact: None, required: better(exact, piece.required) },
            }
        }
        HirKind::Concat(pieces) => concat(pieces, searched),
        HirKind::Alternation(pieces) => alternation(pieces, searched),
    }
}

fn concat(pieces: &[Hir], searched: Searched) -> Piece {
    // `run` is all that the last exact pieces can be together; `word` is the part of it that has no choice, which may
    // be enough by itself: `failed` in `(?:build|job|step) failed`.
    let (mut run, mut word) = (nothing(), Vec::new());
    let (mut required, mut is_whole) = (None, true);
    for piece in pieces.iter().map(|it| analyse(it, searched)) {
        required = better(required, piece.required);
        match &piece.exact {
            Some(exact) if exact.len() == 1 => word.extend(exact.iter().flatten()),
            exact => {
                required = better(required, Some(Set::from([std::mem::take(&mut word)])));
                required = better(required, exact.clone());
            }
        }
        match piece.exact {
            Some(exact) if run.len() * exact.len() <= MAX_LITERALS => {
                let with_each =
                    |head: &Vec<u8>| exact.iter().map(|tail| [&head[..], tail].concat()).collect::<Vec<_>>();
                run = run.iter().flat_map(with_each).collect();
            }
            exact => {
                is_whole = false;
                required = better(required, Some(std::mem::replace(&mut run, exact.unwrap_or_else(nothing))));
            }
        }
    }
    required = better(required, Some(Set::from([word])));
    match is_whole {
        true => Piece { exact: Some(run), required },
        false => Piece { exact: None, required: better(required, Some(run)) },
    }
}

/// The set of the empty text: what follows can be anything so far.
fn nothing() -> Set {
    Set::from([Vec::new()])
}

fn alternation(pieces: &[Hir], searched: Searched) -> Piece {
    let pieces: Vec<Piece> = pieces.iter().map(|it| analyse(it, searched)).collect();
    let exact = pieces.iter().try_fold(Set::new(), |mut all, piece| {
        all.extend(piece.exact.clone()?);
        (all.len() <= MAX_LITERALS).then_some(all)
    });
    let required = pieces.into_iter().try_fold(Set::new(), |mut all, piece| {
        all.extend(piece.best()?);
        (all.len() <= MAX_LITERALS).then_some(all)
    });
    Piece { exact, required }
}

/// The members of a small class, without regard to case.
fn spelled_out(class: &Class, searched: Searched) -> Option<Set> {
    let mut members = Set::new();
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                for byte in range.start()..=range.end() {
                    members.insert(vec![byte.to_ascii_lowercase()]);
                    if members.len() > MAX_CLASS {
                        return None;
                    }
                }
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                for member in range.start()..=range.end() {
                    members.insert(member.to_ascii_lowercase().to_string().into_bytes());
                    if members.len() > MAX_CLASS {
                        return None;
                    }
                }
            }
        }
    }
    if searched == Searched::Lines {
        members.remove(b"\n".as_slice());
    }
    (!members.is_empty()).then_some(members)
}

fn better(left: Option<Set>, right: Option<Set>) -> Option<Set> {
    match (left, right) {
        (Some(left), Some(right)) => Some(if score(&right) > score(&left) { right } else { left }),
        (left, right) => left.or(right),
    }
}

/// How rare the most common member is in ordinary logs, less something for each member; 0 if it is of no use.
fn score(set: &Set) -> f32 {
    let weight_of = |text: &[u8]| text.iter().map(|byte| weight(*byte)).sum::<f32>();
    let rarity = |literal: &Vec<u8>| -> f32 {
        // At the start of a word: `uncaught` is not common because `caught` is.
        let has_word = |word: &str| {
            let is_start = |at: usize| at == 0 || !literal[at - 1].is_ascii_alphabetic();
            let word = word.as_bytes();
            literal.windows(word.len()).enumerate().any(|(at, here)| here == word && is_start(at))
        };
        let common = COMMON.split(' ').filter(|it| has_word(it));
        weight_of(literal) - common.map(|it| weight_of(it.as_bytes())).sum::<f32>()
    };
    let shortest = set.iter().map(Vec::len).min().unwrap_or_default();
    if shortest < MIN_LENGTH {
        return 0.0;
    }
    let ceiling = if shortest < GOOD_LENGTH { 0.5 } else { RARE_ENOUGH };
    let rarest = set.iter().map(rarity).fold(ceiling, f32::min);
    (rarest - 0.05 * set.len() as f32).max(0.01)
}

/// How much a byte says: less where ordinary logs are full of it.
fn weight(byte: u8) -> f32 {
    match byte {
        b' ' | b'"' | b':' | b',' | b'.' | b'-' | b'/' | b'=' => 0.6,
        b'0'..=b'9' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0.9,
        _ => 1.3,
    }
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
