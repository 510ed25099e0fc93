//! The pure way of one record: line → joined → redacted → detected → fingerprinted.
//!
//! The ingest task and the command line use the same one, so that `homeostat scan` finds in a file what the daemon
//! finds in a stream. No clock and no I/O; whoever calls says what time it is.

use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::base::redact::{Clean, Redactor};
use crate::model::detection::Detection;
use crate::model::record::Record;
use crate::watch::fingerprint::{Fingerprinted, Fingerprinter};
use crate::watch::ingest::decode::line::{MAX_LINE_BYTES, readable};
use crate::watch::join::{Joiner, Limits};
use crate::watch::rules::RuleSet;
use crate::watch::scan::Scanner;

/// What all streams share: rules, redactor, fingerprinter and bounds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pipeline {
    rules: Arc<RuleSet>,
    scanner: Arc<Scanner>,
    redactor: Redactor,
    fingerprinter: Fingerprinter,
    limits: Limits,
}

/// What is remembered of one stream between its lines.
#[derive(Debug)]
pub struct StreamState {
    joiner: Joiner,
    counts: LineCounts,
    /// Kept between calls for its memory.
    records: Vec<Record>,
}

/// What was read and what had to be mended, since the stream's state was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCounts {
    pub lines: u64,
    /// Lines longer than [`MAX_LINE_BYTES`], of which only the beginning was kept.
    pub cut: u64,
    /// Lines that were no UTF-8.
    pub not_utf8: u64,
}

/// One detected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Number of the record's first line, counted from 0 by pushes on its [`StreamState`].
    pub first_line: u64,
    pub n_lines: u32,
    /// When the first line was logged, where that is known.
    pub at: Option<Timestamp>,
    /// The record, redacted.
    pub text: Clean,
    pub detection: Detection,
    pub fingerprinted: Fingerprinted,
    /// Whether lines or bytes were left out because the record reached its bounds.
    pub is_cut: bool,
}

impl StreamState {
    /// The state of a stream of which nothing was read yet.
    pub fn new(limits: Limits) -> Self {
        Self { joiner: Joiner::new(limits), counts: LineCounts::default(), records: Vec::new() }
    }

    /// Number of the first line that belongs to an open record: a cursor must not pass it. `None` when nothing is open.
    pub fn held_since(&self) -> Option<u64> {
        self.joiner.held_since()
    }

    /// When [`Pipeline::tick`] should be called next; `None` when nothing is open.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.joiner.deadline()
    }

    /// What was read so far.
    pub fn counts(&self) -> LineCounts {
        self.counts
    }
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(
        rules: Arc<RuleSet>,
        redactor: Redactor,
        fingerprinter: Fingerprinter,
        limits: Limits,
    ) -> Self {
        let scanner = Arc::new(Scanner::new(Arc::clone(&rules), &[]));
        Self { rules, scanner, redactor, fingerprinter, limits }
    }

    /// The shipped rules, patterns and bounds.
    pub fn builtin() -> Self {
        Self::new(RuleSet::builtin(), Redactor::builtin(), Fingerprinter::builtin(), Limits::default())
    }

    /// A state for a new stream, with the pipeline's bounds.
    pub fn stream(&self) -> StreamState {
        StreamState::new(self.limits)
    }

    /// The scanner over the pipeline's rules.
    pub fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Takes the next line of a stream, as its source gave it, without its line break. `at`: when it was logged, where
    /// the source knows; `now`: the clock. Finished records that a rule hits are appended to `out`.
    pub fn push(
        &self,
        state: &mut StreamState,
        line: &[u8],
        at: Option<Timestamp>,
        now: Timestamp,
        out: &mut Vec<Found>,
    ) {
        let text = readable(line);
        state.counts.lines += 1;
        state.counts.cut += u64::from(line.len() > MAX_LINE_BYTES);
        state.counts.not_utf8 += u64::from(text.was_mended);
        let is_candidate = self.scanner.is_candidate(text.text.as_bytes());
        state.joiner.push(&text.text, is_candidate, at, now, &mut state.records);
        self.judge(state, out);
    }

    /// Ends what is open: end of input, death of the container.
    pub fn flush(&self, state: &mut StreamState, out: &mut Vec<Found>) {
        state.joiner.flush(&mut state.records);
        self.judge(state, out);
    }

    /// Ends what has been silent for too long.
    pub fn tick(&self, state: &mut StreamState, now: Timestamp, out: &mut Vec<Found>) {
        state.joiner.tick(now, &mut state.records);
        self.judge(state, out);
    }

    /// Whole texts that are one record already, for example a line of an alert or a file given as one: redacted,
    /// detected and fingerprinted; `None` if no rule hits.
    pub fn judge_text(&self, text: &str) -> Option<(Clean, Detection, Fingerprinted)> {
        let text = self.redactor.redact(text);
        let detection = self.rules.detect(&text)?;
        let fingerprinted = self.fingerprinter.fingerprint(&text);
        Some((text, detection, fingerprinted))
    }

    fn judge(&self, state: &mut StreamState, out: &mut Vec<Found>) {
        for record in state.records.drain(..) {
            let Some((text, detection, fingerprinted)) = self.judge_text(&record.text) else { continue };
            let Record { first_line, n_lines, at, is_cut, text: _, runtime: _ } = record;
            out.push(Found { first_line, n_lines, at, text, detection, fingerprinted, is_cut });
        }
    }
}
