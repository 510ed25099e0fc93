//! Which texts stand in everything that a pattern matches, and where in the pattern they begin.
//!
//! `regex-syntax` extracts literals at the ends of a pattern only; most rules have theirs in the middle
//! (`\b[A-Z]\w+Error: `), so this walks the parsed pattern itself and keeps the rarest set of texts of which every match
//! contains one. There the pattern can be cut in two: a text is matched where one of the literals stands, the first half
//! matches up to it and the second from it on.

use std::collections::BTreeSet;

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::rarity::score;
use super::required::Searched;

/// Sets larger than this are not worth their place in the prefilter.
const MAX_LITERALS: usize = 64;

/// Classes larger than this are not spelled out.
const MAX_CLASS: usize = 8;

/// Texts in lower-case ASCII.
pub(super) type Set = BTreeSet<Vec<u8>>;

/// A place to cut a pattern in two, for one of the ways to match it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    literals: Set,
    /// From the whole pattern to the place.
    way: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Into this piece of a sequence.
    Piece(usize),
    /// Into this one of several patterns.
    Branch(usize),
    /// Into the first time of a repetition.
    First,
    /// The place is before this piece of a sequence; without it, it is before the whole.
    Before(usize),
}

impl Cut {
    /// The cuts of a pattern, one for each way to match it that has literals of its own; none where nothing is required, or only
    /// what is in nearly every line. Every match goes one of these ways, and at its cut one of its literals begins.
    pub fn all(pattern: &Hir, searched: Searched) -> Vec<Self> {
        let best = analyse(pattern, searched).best();
        best.filter(|it| it.score > 0.0).map(|it| it.cuts).unwrap_or_default()
    }

    /// In lower-case ASCII; a match has one of them, in whatever case, at the cut.
    pub fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.literals.iter().map(Vec::as_slice)
    }

    /// What stands before and what stands behind the cut in `pattern`, which is the one that was cut.
    pub fn halves(&self, pattern: &Hir) -> [Hir; 2] {
        halves(pattern, &self.way).map(Hir::concat)
    }
}

fn halves(pattern: &Hir, way: &[Step]) -> [Vec<Hir>; 2] {
    let Some((step, rest)) = way.split_first() else { return [Vec::new(), vec![pattern.clone()]] };
    match (step, pattern.kind()) {
        (_, HirKind::Capture(capture)) => halves(&capture.sub, way),
        (Step::Before(at), HirKind::Concat(pieces)) => [pieces[..*at].to_vec(), pieces[*at..].to_vec()],
        (Step::Piece(at), HirKind::Concat(pieces)) => {
            let [before, behind] = halves(&pieces[*at], rest);
            [[&pieces[..*at], &before].concat(), [&behind, &pieces[at + 1..]].concat()]
        }
        (Step::Branch(at), HirKind::Alternation(pieces)) => halves(&pieces[*at], rest),
        (Step::First, HirKind::Repetition(repetition)) => {
            let [before, mut behind] = halves(&repetition.sub, rest);
            behind.push(Hir::repetition(Repetition {
                min: repetition.min.saturating_sub(1),
                max: repetition.max.map(|it| it.saturating_sub(1)),
                ..repetition.clone()
            }));
            [before, behind]
        }
        (step, kind) => unreachable!("a way leads through its own pattern, not {step:?} through {kind:?}"),
    }
}

/// A set of texts of which every match contains one.
struct Found {
    cuts: Vec<Cut>,
    score: f32,
}

impl Found {
    fn at(place: Option<usize>, literals: Set) -> Self {
        let score = score(&literals);
        Self { cuts: vec![Cut { literals, way: place.map(Step::Before).into_iter().collect() }], score }
    }

    fn behind(mut self, step: Step) -> Self {
        self.cuts.iter_mut().for_each(|cut| cut.way.insert(0, step));
        self
    }
}

/// What is known of a piece of a pattern.
#[derive(Default)]
struct Piece {
    /// All that it can match, where that is a short list.
    exact: Option<Set>,
    /// The best set of which every match contains one.
    required: Option<Found>,
}

impl Piece {
    fn exactly(texts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { exact: Some(texts.into_iter().collect()), required: None }
    }

    fn best(self) -> Option<Found> {
        better(self.exact.map(|it| Found::at(None, it)), self.required)
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
                (1, Some(1), exact) => {
                    Piece { exact, required: piece.required.map(|it| it.behind(Step::First)) }
                }
                (_, _, exact) => {
                    let best = Piece { exact, required: piece.required }.best();
                    Piece { exact: None, required: best.map(|it| it.behind(Step::First)) }
                }
            }
        }
        HirKind::Concat(pieces) => concat(pieces, searched),
        HirKind::Alternation(pieces) => alternation(pieces, searched),
    }
}

fn concat(pieces: &[Hir], searched: Searched) -> Piece {
    // `run` is all that the last exact pieces can be together; `word` is the part of it that has no choice, which may
    // be enough by itself: `failed` in `(?:build|job|step) failed`. Each with the piece it begins with.
    let (mut run, mut word) = ((0, nothing()), (0, Vec::new()));
    let (mut required, mut is_whole) = (None, true);
    let found = |(at, set): (usize, Set)| Some(Found::at(Some(at), set));
    for (at, piece) in pieces.iter().map(|it| analyse(it, searched)).enumerate() {
        required = better(required, piece.required.map(|it| it.behind(Step::Piece(at))));
        match &piece.exact {
            Some(exact) if exact.len() == 1 => word.1.extend(exact.iter().flatten()),
            exact => {
                let (from, text) = std::mem::replace(&mut word, (at + 1, Vec::new()));
                required = better(required, found((from, Set::from([text]))));
                required = better(required, exact.clone().and_then(|it| found((at, it))));
            }
        }
        match piece.exact {
            Some(exact) if run.1.len() * exact.len() <= MAX_LITERALS => {
                let with_each =
                    |head: &Vec<u8>| exact.iter().map(|tail| [&head[..], tail].concat()).collect::<Vec<_>>();
                run.1 = run.1.iter().flat_map(with_each).collect();
            }
            exact => {
                is_whole = false;
                let next = exact.map_or_else(|| (at + 1, nothing()), |it| (at, it));
                required = better(required, found(std::mem::replace(&mut run, next)));
            }
        }
    }
    let (from, text) = word;
    required = better(required, found((from, Set::from([text]))));
    match is_whole {
        true => Piece { exact: Some(run.1), required },
        false => Piece { exact: None, required: better(required, found(run)) },
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
    let (mut literals, mut cuts) = (Set::new(), Vec::new());
    let required = pieces.into_iter().enumerate().try_for_each(|(at, piece)| {
        let best = piece.best()?.behind(Step::Branch(at));
        literals.extend(best.cuts.iter().flat_map(|it| it.literals.iter().cloned()));
        cuts.extend(best.cuts);
        (literals.len() <= MAX_LITERALS).then_some(())
    });
    Piece { exact, required: required.map(|()| Found { cuts, score: score(&literals) }) }
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

fn better(left: Option<Found>, right: Option<Found>) -> Option<Found> {
    match (left, right) {
        (Some(left), Some(right)) => Some(if right.score > left.score { right } else { left }),
        (left, right) => left.or(right),
    }
}

#[cfg(test)]
mod tests {
    use regex_automata::meta::Regex;
    use regex_automata::util::syntax::{Config, parse_with};

    use super::*;

    /// The literals of each cut; and what the halves match, put together again, is what the pattern matches.
    fn check(pattern: &str, expected: &[&str], matched: &str) {
        let syntax = Config::new().unicode(false).utf8(false).multi_line(true);
        let parsed = parse_with(pattern, &syntax).unwrap();
        let cuts = Cut::all(&parsed, Searched::Lines);
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let said = cuts.iter().map(|cut| cut.literals().map(text).collect::<Vec<_>>().join("|"));
        assert_eq!(said.collect::<Vec<_>>(), expected, "of: {pattern}");
        let joined: Vec<Hir> = cuts.iter().map(|cut| Hir::concat(cut.halves(&parsed).to_vec())).collect();
        let joined = Regex::builder().build_many_from_hir(&joined).unwrap();
        assert_eq!(joined.find(matched).map(|it| it.range()), Some(0..matched.len()), "of: {pattern}");
    }

    #[test]
    fn a_pattern_is_cut_where_its_literals_begin() {
        check("traceback", &["traceback"], "traceback");
        check(r"\d+ files? failed:", &[" failed:"], "12 files failed:");
        check(
            "x.*(?:deadlock (?:found|seen)|.kernel panic)+ now",
            &["deadlock ", "kernel panic"],
            "x deadlock seen!kernel panic now",
        );
    }

    #[test]
    fn a_pattern_without_literals_is_not_cut() {
        let parsed = parse_with("a.c", &Config::new()).unwrap();
        assert_eq!(Cut::all(&parsed, Searched::Lines), []);
    }
}
