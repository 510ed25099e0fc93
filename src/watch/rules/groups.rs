//! Patterns by their literals: which of them are found where a literal stands.
//!
//! Each pattern is cut in two where its literal begins. The second halves of all patterns that share a literal are one automaton,
//! which walks on from the literal, and their first halves are another, which walks back from it: most literals are refuted within a
//! few bytes, and what both find is found in the line. Automata are built when their literal is met first. Pure.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::start;
use regex_automata::{Anchored, MatchKind};
use regex_syntax::hir::Hir;

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
    /// Members of which the second and the first half were found.
    behind: Vec<usize>,
    before: Vec<usize>,
    /// The ranks of which a pattern was found, best first.
    found: Vec<usize>,
    /// Bytes walked over so far.
    pub(super) n_steps: usize,
}

/// An automaton could not go on.
struct GaveUp;

impl Walks {
    pub(super) fn found(&self) -> &[usize] {
        &self.found
    }
}

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

    /// Leaves in `walks` which rules have a pattern that is found in `line` with this literal at this place. `false`: that cannot be
    /// told, any rule with the literal may.
    pub(super) fn find(&self, ranked: &[Ranked], hit: Hit, line: &[u8], walks: &mut Walks) -> bool {
        let group = &self.groups[hit.literal];
        let Some(halves) = group.halves.get_or_init(|| group.build(ranked)) else { return false };
        if walks.caches.len() < self.groups.len() {
            walks.caches.resize_with(self.groups.len(), || None);
        }
        halves.find(group, hit, line, walks).is_ok()
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
        Some(Halves { before: automaton(&before, true)?, behind: automaton(&behind, false)? })
    }
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
        .cache_capacity(MAX_CACHE_BYTES)
        .skip_cache_capacity_check(true);
    DFA::builder().configure(config).build_from_nfa(nfa).ok()
}

impl Halves {
    fn find(&self, group: &Group, hit: Hit, line: &[u8], walks: &mut Walks) -> Result<(), GaveUp> {
        let Walks { caches, behind, before, found, n_steps } = walks;
        found.clear();
        let [cache_behind, cache_before] = &mut **caches[hit.literal]
            .get_or_insert_with(|| Box::new([self.behind.create_cache(), self.before.create_cache()]));
        let (head, tail) = line.split_at(hit.start);
        *n_steps += walk(&self.behind, cache_behind, head.last(), tail.iter(), behind)?;
        if behind.is_empty() {
            return Ok(());
        }
        *n_steps += walk(&self.before, cache_before, tail.first(), head.iter().rev(), before)?;
        for member in behind.iter().filter(|it| before.contains(it)) {
            let rank = group.members[*member].rank;
            if !found.contains(&rank) {
                found.push(rank);
            }
        }
        found.sort_unstable();
        Ok(())
    }
}

/// Walks over bytes that follow `look_behind`, as long as some pattern may be found; leaves in `found` which were. Gives how many bytes
/// it walked over.
fn walk<'l>(
    dfa: &DFA,
    cache: &mut Cache,
    look_behind: Option<&u8>,
    bytes: impl Iterator<Item = &'l u8>,
    found: &mut Vec<usize>,
) -> Result<usize, GaveUp> {
    found.clear();
    let config = start::Config::new().look_behind(look_behind.copied()).anchored(Anchored::Yes);
    let mut state = dfa.start_state(cache, &config).map_err(|_| GaveUp)?;
    let mut n_steps = 0;
    let mut note = |cache: &Cache, state| {
        for idx in 0..dfa.match_len(cache, state) {
            let pattern = dfa.match_pattern(cache, state, idx).as_usize();
            if !found.contains(&pattern) {
                found.push(pattern);
            }
        }
        found.len() == dfa.pattern_len()
    };
    for byte in bytes {
        n_steps += 1;
        state = dfa.next_state(cache, state, *byte).map_err(|_| GaveUp)?;
        if !state.is_tagged() {
            continue;
        }
        if state.is_dead() || (state.is_match() && note(cache, state)) {
            return Ok(n_steps);
        }
        if state.is_quit() {
            return Err(GaveUp);
        }
    }
    state = dfa.next_eoi_state(cache, state).map_err(|_| GaveUp)?;
    if state.is_match() {
        note(cache, state);
    }
    Ok(n_steps)
}
