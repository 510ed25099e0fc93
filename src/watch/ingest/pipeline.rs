//! The pure way of one record: line → joined → redacted → detected → fingerprinted.
//!
//! The ingest task and the command line use the same one, so that `homeostat scan` finds in a file what the daemon
//! finds in a stream. No clock and no I/O; whoever calls says what time it is.
//!
//! While nothing is open, lines that no rule hits go no further than a short look-back.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::base::redact::{Clean, Redactor};
use crate::model::detection::Detection;
use crate::model::fingerprint::Fingerprint;
use crate::model::occurrence::Around;
use crate::model::record::Record;
use crate::watch::fingerprint::{FORMER, Fingerprinter, Former, Identity};
use crate::watch::ingest::around;
use crate::watch::ingest::decode::line::{MAX_LINE_BYTES, Readable, readable};
use crate::watch::ingest::judge::{Judge, Judged, Memo};
use crate::watch::ingest::look_back::LookBack;
use crate::watch::ingest::rule_cost::{self, LineSample, RuleCost};
use crate::watch::join::{Ending, Joiner, Limits, Line};
use crate::watch::rules::RuleSet;
use crate::watch::scan::Scanner;

/// The judge of a service with rules of its own, and the scanner over them.
type OwnRules = (Judge, Arc<Scanner>);

/// Judges of services about whose errors people decided something.
type Decided = Vec<(Option<String>, Judge)>;

/// What all streams share: rules, redactor and bounds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(super) judge: Judge,
    scanner: Arc<Scanner>,
    limits: Limits,
    around: around::Settings,
    sample: Arc<LineSample>,
    former: Option<Former>,
    /// Of services that want some rules to be other.
    of_services: Arc<HashMap<String, OwnRules>>,
    /// With what people decided about errors, of all services.
    fingerprinter: Fingerprinter,
    /// One for all services with the same rules and decisions.
    decided: Arc<Mutex<Decided>>,
}

/// What is remembered of one stream between its lines.
#[derive(Debug)]
pub struct StreamState {
    joiner: Joiner,
    look_back: LookBack,
    limits: Limits,
    /// Lines that the joiner was given.
    n_joined: u64,
    /// Where the caller's numbers leave the joiner's: (first of the joiner's, first of the caller's), while open.
    runs: Vec<(u64, u64)>,
    counts: LineCounts,
    /// Kept between calls for its memory.
    records: Vec<Record>,
}

/// What was read and what had to be mended, since the stream's state was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineCounts {
    pub lines: u64,
    /// Lines that were worth a closer look.
    pub candidates: u64,
    /// Lines longer than [`MAX_LINE_BYTES`], of which only the beginning was kept.
    pub cut: u64,
    /// Lines that were no UTF-8.
    pub not_utf8: u64,
}

/// A line as its source gave it, without its line break.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine<'l> {
    pub(super) bytes: &'l [u8],
    /// The caller's number; grows from line to line.
    pub(super) number: u64,
    /// When it was logged, where the source knows.
    pub(super) at: Option<Timestamp>,
    /// Whether a rule hits it, where the caller knows.
    pub(super) is_candidate: Option<bool>,
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
    /// Its other fingerprints are made of the text where they are needed: for an issue that is new.
    pub identity: Identity,
    /// People decided that it says nothing: it is not counted.
    pub is_ignored: bool,
    /// Whether lines or bytes were left out because the record reached its bounds.
    pub is_cut: bool,
    /// The lines around it, where somebody may want to see them.
    pub around: Option<Box<Around>>,
}

impl StreamState {
    /// The state of a stream of which nothing was read yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            joiner: Joiner::new(limits),
            look_back: LookBack::default(),
            limits,
            n_joined: 0,
            runs: Vec::new(),
            counts: LineCounts::default(),
            records: Vec::new(),
        }
    }

    /// Number of the first line that belongs or may yet belong to a record: a cursor must not pass it. `None` when
    /// nothing is open and silence has parted the last lines from what comes.
    pub fn held_since(&self) -> Option<u64> {
        self.joiner.held_since().map(|number| self.callers(number)).or_else(|| self.look_back.first_number())
    }

    /// What was read so far.
    pub fn counts(&self) -> LineCounts {
        self.counts
    }

    /// Whether a record is open, so that the next line must be pushed whatever it says.
    pub(super) fn is_open(&self) -> bool {
        self.joiner.is_open()
    }

    /// Whether nothing before it can belong to the record that begins with the next line. Forgets what stands before the last line that
    /// `parts` it from what comes.
    pub(super) fn is_at_border(&mut self, parts: impl FnMut(&str) -> bool) -> bool {
        self.look_back.forget_parted(parts);
        self.look_back.first_number().is_none()
    }

    /// Counts lines of which the state was not told, and how many of them a rule hits.
    pub(super) fn count_recurred(&mut self, n_lines: u32, n_candidates: u32) {
        self.counts.lines += u64::from(n_lines);
        self.counts.candidates += u64::from(n_candidates);
    }

    /// How the record ended that was found last.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.joiner.ending()
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Forgets the lines that were passed by.
    pub(super) fn forget_passed(&mut self) {
        self.look_back.clear();
    }

    /// The caller's number of a line that the joiner counted.
    fn callers(&self, number: u64) -> u64 {
        let run = self.runs.iter().rev().find(|(joiners, _)| *joiners <= number);
        run.map_or(number, |(joiners, callers)| callers + (number - joiners))
    }

    fn join(&mut self, line: &Line<'_>, number: u64) {
        if self.callers(self.n_joined) != number || self.runs.is_empty() {
            self.runs.push((self.n_joined, number));
        }
        self.n_joined += 1;
        self.joiner.push_seen(line, &mut self.records);
    }
}

impl Pipeline {
    /// A pipeline of these parts.
    pub fn new(rules: Arc<RuleSet>, redactor: Redactor, limits: Limits) -> Self {
        let scanner = Arc::new(Scanner::new(Arc::clone(&rules)));
        let around = around::Settings { before: 0, after: 0, ..around::Settings::default() };
        Self {
            judge: Judge::new(rules, redactor),
            scanner,
            limits,
            around,
            sample: Arc::default(),
            former: FORMER,
            of_services: Arc::default(),
            fingerprinter: Fingerprinter::builtin(),
            decided: Arc::default(),
        }
    }

    /// Where lines go while somebody asks what the rules cost.
    pub(super) fn sample(&self) -> &LineSample {
        &self.sample
    }

    /// What each rule costs on the lines of so much time from now on, and how many these are; on ordinary ones where none come. `None`
    /// while somebody else asks.
    pub async fn rule_costs(&self, time: Duration) -> Option<(usize, Vec<RuleCost>)> {
        let lines = self.sample.collect(time).await?;
        let n_recent = lines.len();
        let lines = if lines.is_empty() { rule_cost::ordinary() } else { lines };
        let rules = Arc::clone(&self.judge.rules);
        let costs = tokio::task::spawn_blocking(move || rule_cost::measure(&rules, &lines)).await;
        costs.ok().map(|costs| (n_recent, costs))
    }

    /// The same, with the lines around records. Without this there are none.
    #[must_use]
    pub fn with_around(self, around: around::Settings) -> Self {
        Self { around, ..self }
    }

    /// How much is told of the lines around records.
    pub(super) const fn around(&self) -> around::Settings {
        self.around
    }

    /// The same, where issues may be known by what another version of the algorithm made of their records.
    #[must_use]
    pub fn with_former(self, former: Option<Former>) -> Self {
        Self { former, ..self }
    }

    /// The identity that the version of the algorithm before this one gives, if there is one. To be asked for where an issue is not known
    /// by its own.
    pub(super) fn former(&self, service: &str, text: &Clean) -> Option<Fingerprint> {
        let rules = || self.fingerprinter.for_service(service).into_rules();
        self.former.map(|former| former.identity(&rules(), text))
    }

    /// A text without what must not leave the watching half.
    pub(super) fn redact(&self, text: &str) -> Clean {
        self.judge.redactor.redact(text)
    }

    /// The same, with rules of their own for some services.
    pub fn with_services(self, rules: impl IntoIterator<Item = (String, Arc<RuleSet>)>) -> Self {
        let own =
            |rules: Arc<RuleSet>| (self.judge.with_rules(Arc::clone(&rules)), Arc::new(Scanner::new(rules)));
        let of_services = rules.into_iter().map(|(name, rules)| (name, own(rules))).collect();
        Self { of_services: Arc::new(of_services), ..self }
    }

    /// The same, with what people decided about errors. It holds for what [`Pipeline::for_service`] gives.
    #[must_use]
    pub fn with_fingerprinter(self, fingerprinter: Fingerprinter) -> Self {
        Self { fingerprinter, decided: Arc::default(), ..self }
    }

    /// What makes the fingerprints of all services.
    pub(super) const fn fingerprinter(&self) -> &Fingerprinter {
        &self.fingerprinter
    }

    /// The pipeline for what this service logs.
    pub fn for_service(&self, name: &str) -> Self {
        let own = self.of_services.get(name);
        let (judge, scanner) = own.map_or((&self.judge, &self.scanner), |(judge, scanner)| (judge, scanner));
        let judge = self.decided(own.map(|_| name), name, judge);
        Self { judge, scanner: Arc::clone(scanner), ..self.clone() }
    }

    /// The judge with what people decided about errors of this service. What it remembers is shared by all services with the same rules
    /// (`own` names one that has others) and decisions.
    fn decided(&self, own: Option<&str>, name: &str, judge: &Judge) -> Judge {
        let rules = self.fingerprinter.for_service(name).into_rules();
        if rules.is_empty() {
            return judge.clone();
        }
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        let known = decided.iter().find(|(of, it)| of.as_deref() == own && it.user_rules.is_same(&rules));
        if let Some((_, known)) = known {
            return known.clone();
        }
        let judge = judge.with_user_rules(rules);
        decided.push((own.map(str::to_owned), judge.clone()));
        judge
    }

    /// The shipped rules, patterns and bounds.
    pub fn builtin() -> Self {
        static BUILT: LazyLock<Pipeline> =
            LazyLock::new(|| Pipeline::new(RuleSet::builtin(), Redactor::builtin(), Limits::default()));
        BUILT.clone()
    }

    /// A state for a new stream, with the pipeline's bounds.
    pub fn stream(&self) -> StreamState {
        StreamState::new(self.limits)
    }

    /// Whether a rule hits a line that the scanner marked.
    pub(super) fn is_hit(&self, line: &str) -> bool {
        self.judge.is_hit(&mut self.judge.memo(), line)
    }

    /// Whether a line that no rule hits parts what stands before it from what follows.
    pub(super) fn parts(&self, line: &str) -> bool {
        self.judge.parts(&mut self.judge.memo(), line)
    }

    /// The scanner over the pipeline's rules.
    pub fn scanner(&self) -> &Scanner {
        &self.scanner
    }

    /// Takes the next line of a stream, as its source gave it, without its line break. `at`: when it was logged, where
    /// the source knows. Finished records that a rule hits are appended to `out`.
    pub fn push(&self, state: &mut StreamState, line: &[u8], at: Option<Timestamp>, out: &mut Vec<Found>) {
        let number = state.counts.lines;
        self.push_line(state, RawLine { bytes: line, number, at, is_candidate: None }, out);
    }

    /// Like [`Pipeline::push`], with the caller's own numbers.
    pub(super) fn push_line(&self, state: &mut StreamState, line: RawLine<'_>, out: &mut Vec<Found>) {
        let RawLine { bytes, number, at, is_candidate } = line;
        let Readable { text, was_mended } = readable(bytes);
        state.counts.lines += 1;
        state.counts.cut += u64::from(bytes.len() > MAX_LINE_BYTES);
        state.counts.not_utf8 += u64::from(was_mended);
        if state.joiner.is_parted_from(at) {
            // As if silence had been told: what is remembered must not hang on how lines come.
            state.joiner.flush(&mut state.records);
            self.judge(state, &mut self.judge.memo(), out);
        }
        let is_candidate = is_candidate.unwrap_or_else(|| self.scanner.is_candidate(text.as_bytes()));
        state.counts.candidates += u64::from(is_candidate);
        if !is_candidate && !state.is_open() {
            state.look_back.push(&text, number, at, &state.limits);
            return;
        }
        let memo = &mut *self.judge.memo();
        state.look_back.forget_parted(|line| self.judge.parts(memo, line));
        while let Some(earlier) = state.look_back.take_first() {
            let (text, seen) = (&earlier.text, self.judge.seen(memo, &earlier.text));
            state.join(&Line { text, seen, is_candidate: false, at: earlier.at }, earlier.number);
            state.look_back.reuse(earlier.text);
        }
        state.join(&Line { text: &text, seen: self.judge.seen(memo, &text), is_candidate, at }, number);
        self.judge(state, memo, out);
    }

    /// Remembers a line that is known to be no candidate, while nothing is open.
    pub(super) fn pass_by(&self, state: &mut StreamState, line: RawLine<'_>) {
        let RawLine { bytes, number, at, is_candidate: _ } = line;
        state.look_back.push(&readable(bytes).text, number, at, &state.limits);
    }

    /// Gives an open record that is likely whole, because its writer paused; see [`Joiner::tell_early`].
    pub(super) fn tell_early(&self, state: &mut StreamState, out: &mut Vec<Found>) {
        state.joiner.tell_early(&mut state.records);
        self.judge(state, &mut self.judge.memo(), out);
    }

    /// Ends what is open: end of input, death of the container, silence that the source is sure of.
    pub fn flush(&self, state: &mut StreamState, out: &mut Vec<Found>) {
        state.look_back.clear();
        state.joiner.flush(&mut state.records);
        self.judge(state, &mut self.judge.memo(), out);
    }

    /// A text that is one record whatever the rules say of it, for example what an alert says: redacted and identified.
    pub fn identify(&self, text: &str) -> (Clean, Identity) {
        self.judge.identify(text)
    }

    fn judge(&self, state: &mut StreamState, memo: &mut Memo, out: &mut Vec<Found>) {
        let mut records = std::mem::take(&mut state.records);
        for record in records.drain(..) {
            let Record { first_line, n_lines, at, is_cut, text, runtime: _ } = record;
            let Some(judged) = self.judge.judge(memo, text) else { continue };
            let Judged { text, detection, identity, is_ignored } = judged;
            let first_line = state.callers(first_line);
            let around = None;
            out.push(Found {
                first_line,
                n_lines,
                at,
                text,
                detection,
                identity,
                is_ignored,
                is_cut,
                around,
            });
        }
        state.records = records;
        if !state.is_open() {
            state.runs.clear();
        }
    }
}

#[cfg(test)]
#[path = "pipeline_tests.rs"]
mod tests;
