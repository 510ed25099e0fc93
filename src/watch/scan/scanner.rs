//! The prefilter over raw bytes.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::watch::rules::RuleSet;

/// Finds the lines worth a closer look. Case is folded; a block without a hit costs one pass.
#[derive(Debug)]
pub struct Scanner {
    rules: Arc<RuleSet>,
    /// `None` where every line must be looked at, or none.
    prefilter: Option<AhoCorasick>,
    needs_every_line: bool,
}

/// Bytes behind which a literal may hide: terminal escapes, raw and as JSON writes them.
const ESCAPES: [&[u8]; 2] = [b"\x1b", br"\u001b"];

impl Scanner {
    /// A scanner for these rules.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let needs_every_line = rules.needs_every_line();
        let wanted: BTreeSet<Vec<u8>> = rules.literals().chain(ESCAPES).flat_map(spellings).collect();
        let shortest: Vec<&Vec<u8>> = wanted
            .iter()
            .filter(|it| !wanted.iter().any(|other| other.len() < it.len() && contains(it, other)))
            .collect();
        let prefilter = (!needs_every_line).then(|| {
            AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .match_kind(MatchKind::Standard)
                .kind(Some(AhoCorasickKind::DFA))
                .build(shortest)
                .expect("a few thousand bytes of literals stay far below the automaton's limits")
        });
        Self { rules, prefilter, needs_every_line }
    }

    /// Whether a rule hits this line. The line is as the joiner gets it: decoded, without terminal escapes.
    pub fn is_candidate(&self, line: &[u8]) -> bool {
        self.rules.is_hit(line)
    }

    /// The lines of a block that may be candidates, as ranges without their line breaks, in order.
    /// Works on plain lines and on lines wrapped in JSON alike. What stands behind the last line break is a line too.
    pub fn candidates<'b>(&'b self, block: &'b [u8]) -> impl Iterator<Item = Range<usize>> + 'b {
        let mut at = 0;
        std::iter::from_fn(move || {
            if at >= block.len() {
                return None;
            }
            let hit = match &self.prefilter {
                Some(prefilter) => at + prefilter.find(&block[at..])?.start(),
                None if self.needs_every_line => at,
                None => return None,
            };
            let start = memchr::memrchr(b'\n', &block[..hit]).map_or(0, |it| it + 1);
            let end = memchr::memchr(b'\n', &block[hit..]).map_or(block.len(), |it| hit + it);
            at = end + 1;
            Some(start..end)
        })
    }
}

/// A literal as plain text and as Docker and other writers of JSON spell it.
fn spellings(literal: &[u8]) -> Vec<Vec<u8>> {
    let escape = |docker: bool| {
        literal.iter().fold(Vec::with_capacity(literal.len()), |mut out, byte| {
            match (byte, docker) {
                (b'"' | b'\\', _) => out.extend([b'\\', *byte]),
                (b'\t', false) => out.extend(br"\t"),
                (b'<' | b'>' | b'&' | b'\t', true) => out.extend(format!("\\u{byte:04x}").into_bytes()),
                (byte, _) => out.push(*byte),
            }
            out
        })
    };
    vec![literal.to_vec(), escape(false), escape(true)]
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
