//! Patterns by their literals: which of them are found where a literal stands.
//!
//! Each pattern is cut in two where its literal begins. The second halves of all patterns that share a literal are one automaton,
//! which walks on from the literal: most literals are refuted by it within a few bytes. The first half of each that is left walks back
//! from the literal, and what both find is found in the line. Automata are built when their literal is met first. Pure.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind, PatternID};
use regex_syntax::hir::{Dot, Hir, HirKind, Repetition};

use super::lazy::Lazy;
use super::set::Ranked;
use crate::base::search::Literals;

/// What the automata of one literal may grow to together; a pattern of a user may take a sixteenth of it.
const MAX_AUTOMATON_BYTES: usize = 16 << 20;

/// What an automaton may remember of its walks; it forgets all when it needs more.
const MAX_CACHE_BYTES: usize = 256 << 10;

/// The patterns of all rules that have literals.
#[derive(Debug)]
pub(super) struct Groups {
    /// The literals of all cuts but those that begin with another, sorted.
    texts: Vec<Vec<u8>>,
    /// The search for them; made when it is needed first.
    literals: OnceLock<Literals>,
    /// For each text.
    groups: Vec<Group>,
}

/// The cuts that have one literal, by rank.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    halves: OnceLock<Option<Halves>>,
}

/// One cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    rank: usize,
    pattern: usize,
    cut: usize,
}

/// The automata of a group, with a pattern for each member.
#[derive(Debug)]
struct Halves {
    before: DFA,
    behind: DFA,
    /// What the first half is before anything at all, for those that end so: it is quicker to find than to walk back to.
    heads: Vec<Option<Lazy>>,
}

/// A literal in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) literal: usize,
    pub(super) start: usize,
}

/// What walks need, kept for its memory.
#[derive(Debug, Default)]
pub(super) struct Walks {
    /// For each literal.
    caches: Vec<Option<Box<[Cache; 2]>>>,
    /// Members of which the second half was found, by their rank.
    left: Vec<usize>,
    /// Bytes walked over so far.
    pub(super) n_steps: usize,
}

/// An automaton could not go on.
struct GaveUp;

impl Groups {
    pub(super) fn new(ranked: &[Ranked]) -> Self {
        let mut by_text: BTreeMap<&[u8], Group> = BTreeMap::new();
        for (rank, it) in ranked.iter().enumerate().filter(|(_, it)| !it.literals.is_empty()) {
            for (pattern, cuts) in it.cuts.iter().enumerate() {
                for (cut, literal) in
                    cuts.iter().enumerate().flat_map(|(cut, it)| it.literals().map(move |text| (cut, text)))
                {
                    by_text.entry(literal).or_default().members.push(Member { rank, pattern, cut });
                }
            }
        }
        // A text that begins with another is left to it: both have their cut at one place, and the walk tells them apart.
        let mut shorter: Option<&[u8]> = None;
        for text in by_text.keys().copied().collect::<Vec<_>>() {
            match shorter.filter(|it| text.starts_with(it)) {
                Some(shorter) => {
                    let members = by_text.remove(text).map(|it| it.members);
                    by_text.entry(shorter).or_default().members.extend(members.into_iter().flatten());
                }
                None => shorter = Some(text),
            }
        }
        for group in by_text.values_mut() {
            group.members.sort_unstable();
            group.members.dedup();
        }
        let (texts, groups) = by_text.into_iter().map(|(text, group)| (text.to_vec(), group)).unzip();
        Self { texts, literals: OnceLock::new(), groups }
    }

    /// Puts the literals of a text into `hits`, in their order.
    pub(super) fn search(&self, text: &[u8], hits: &mut Vec<Hit>) {
        hits.clear();
        if self.texts.is_empty() {
            return;
        }
        let literals = self.literals.get_or_init(|| Literals::new(&self.texts, b""));
        literals.places(text, |literal, start| hits.push(Hit { literal, start }));
        hits.sort_unstable_by_key(|it| it.start);
    }

    /// The best of the rules that have this literal.
    pub(super) fn best_rank(&self, literal: usize) -> Option<usize> {
        self.groups[literal].members.first().map(|it| it.rank)
    }

    /// All of them, best first; some more than once.
    pub(super) fn ranks(&self, literal: usize) -> impl Iterator<Item = usize> {
        self.groups[literal].members.iter().map(|it| it.rank)
    }

    /// Walks on from a literal of `line`: how many patterns may be found around it. `None`: that cannot be told, any rule with the
    /// literal may hit.
    pub(super) fn walk_on(
        &self,
        ranked: &[Ranked],
        hit: Hit,
        line: &[u8],
        walks: &mut Walks,
    ) -> Option<usize> {
        let group = &self.groups[hit.literal];
        let halves = group.halves.get_or_init(|| group.build(ranked)).as_ref()?;
        if walks.caches.len() < self.groups.len() {
            walks.caches.resize_with(self.groups.len(), || None);
        }
        let [cache, _] = &mut **walks.caches[hit.literal].get_or_insert_with(|| halves.caches());
        let (head, tail) = line.split_at(hit.start);
        let Walks { left, n_steps, .. } = walks;
        left.clear();
        let found = |member| {
            if !left.contains(&member) {
                left.push(member);
            }
            left.len() == group.members.len()
        };
        let (look_behind, bytes) = (head.last().copied(), tail.iter().copied());
        let from = start::Config::new().look_behind(look_behind).anchored(Anchored::Yes);
        walk(&halves.behind, cache, &from, bytes, n_steps, found).ok()?;
        left.sort_unstable();
        Some(left.len())
    }

    /// The rank of the `idx`th pattern that is left after the last [`Groups::walk_on`]; they come best first.
    pub(super) fn rank_left(&self, literal: usize, walks: &Walks, idx: usize) -> usize {
        self.groups[literal].members[walks.left[idx]].rank
    }

    /// Walks back from the literal that [`Groups::walk_on`] walked on from: whether the `idx`th pattern that is left is found. `None`:
    /// that cannot be told.
    pub(super) fn walk_back(&self, hit: Hit, line: &[u8], walks: &mut Walks, idx: usize) -> Option<bool> {
        let halves = self.groups[hit.literal].halves.get()?.as_ref()?;
        let Walks { caches, left, n_steps } = walks;
        if let Some(head) = &halves.heads[left[idx]] {
            *n_steps += hit.start;
            return Some(head.is_match_before(line, hit.start));
        }
        let [_, cache] = &mut **caches[hit.literal].get_or_insert_with(|| halves.caches());
        let (head, tail) = line.split_at(hit.start);
        let (look_behind, bytes) = (tail.first().copied(), head.iter().rev().copied());
        let pattern = Anchored::Pattern(PatternID::new(left[idx]).ok()?);
        let from = start::Config::new().look_behind(look_behind).anchored(pattern);
        walk(&halves.before, cache, &from, bytes, n_steps, |_| true).ok()
    }
}

impl Group {
    /// `None` where the automata cannot be built: they would be too large, or know Unicode's words.
    fn build(&self, ranked: &[Ranked]) -> Option<Halves> {
        let halves = self.members.iter().map(|it| {
            let ranked = &ranked[it.rank];
            ranked.cuts[it.pattern][it.cut].halves(&ranked.patterns.patterns()[it.pattern])
        });
        let (before, behind): (Vec<Hir>, Vec<Hir>) = halves.map(|[before, behind]| (before, behind)).unzip();
        let heads = before.iter().map(head).collect();
        Some(Halves { before: automaton(&before, true)?, behind: automaton(&behind, false)?, heads })
    }
}

/// What stands before `.*` at the end of a pattern.
fn head(pattern: &Hir) -> Option<Lazy> {
    let HirKind::Concat(pieces) = pattern.kind() else { return None };
    let (last, head) = pieces.split_last()?;
    let HirKind::Repetition(Repetition { min: 0, max: None, sub, .. }) = last.kind() else { return None };
    let is_any = *sub.kind() == *Hir::dot(Dot::AnyByteExceptLF).kind();
    is_any.then(|| Lazy::new(vec![Hir::concat(head.to_vec())]))
}

fn automaton(patterns: &[Hir], is_reverse: bool) -> Option<DFA> {
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .reverse(is_reverse)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(MAX_AUTOMATON_BYTES)),
        )
        .build_many_from_hir(patterns)
        .ok()?;
    let config = Config::new()
        .match_kind(MatchKind::All)
        .starts_for_each_pattern(is_reverse)
        .cache_capacity(MAX_CACHE_BYTES)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

impl Halves {
    fn caches(&self) -> Box<[Cache; 2]> {
        Box::new([self.behind.create_cache(), self.before.create_cache()])
    }
}

/// Walks over bytes as long as some pattern may be found and none `is_enough`; gives whether one was. Adds up the bytes it walked over.
fn walk(
    dfa: &DFA,
    cache: &mut Cache,
    from: &start::Config,
    bytes: impl Iterator<Item = u8>,
    n_steps: &mut usize,
    mut is_enough: impl FnMut(usize) -> bool,
) -> Result<bool, GaveUp> {
    let mut state = dfa.start_state(cache, from).map_err(|_| GaveUp)?;
    let mut noted = None;
    let mut note = |cache: &Cache, state| {
        // Where anything may follow, the next byte often finds the same.
        let now = Some((state, cache.clear_count()));
        std::mem::replace(&mut noted, now) != now
            && (0..dfa.match_len(cache, state))
                .any(|idx| is_enough(dfa.match_pattern(cache, state, idx).as_usize()))
    };
    for byte in bytes {
        *n_steps += 1;
        state = dfa.next_state(cache, state, byte).map_err(|_| GaveUp)?;
        if state.is_tagged() {
            if state.is_dead() {
                return Ok(false);
            }
            if state.is_quit() {
                return Err(GaveUp);
            }
            if state.is_match() && note(cache, state) {
                return Ok(true);
            }
        }
    }
    state = dfa.next_eoi_state(cache, state).map_err(|_| GaveUp)?;
    Ok(state.is_match() && note(cache, state))
}
