//! The joiner of one stream.
//!
//! At most one record is open. Lines that may belong to it are held until a later line decides; when the record
//! ends without them they are read again from the start, as if they had just come. So two traces directly after one
//! another are two records, and no line is ever in two of them.

use std::borrow::Cow;

use super::Limits;
use super::at;
use super::block;
use super::callstack;
use super::ending::Ending;
use super::line::{Seen, View};
use super::machine::{State, Step, Sure, step};
use super::rust;
use crate::base::clock::Timestamp;
use crate::model::record::Record;
use crate::model::trace::Runtime;

/// Joins the lines of one stream. See the module's documentation.
#[derive(Debug)]
pub struct Joiner {
    limits: Limits,
    n_pushed: u64,
    open: Option<Open>,
    held: Vec<Held>,
    /// Bytes of the held lines.
    n_held_bytes: usize,
    last_at: Option<Timestamp>,
    /// Of the record that ended last, unless lines were held behind it.
    ending: Option<Ending>,
    /// Buffers to be used again, so that records that come to nothing cost no allocation.
    spare: Vec<String>,
}

/// A line for the joiner.
#[derive(Debug, Clone, Copy)]
pub struct Line<'l> {
    /// Without its line break, without a carriage return before it and without escapes of terminals.
    pub text: &'l str,
    pub seen: Seen,
    /// The scanner says a rule may match it.
    pub is_candidate: bool,
    /// When it was logged, where the source knows.
    pub at: Option<Timestamp>,
}

/// A line that waits.
#[derive(Debug)]
struct Held {
    text: String,
    number: u64,
    seen: Seen,
    is_candidate: bool,
    at: Option<Timestamp>,
}

impl Held {
    fn line(&self) -> Line<'_> {
        Line { text: &self.text, seen: self.seen, is_candidate: self.is_candidate, at: self.at }
    }
}

/// The record that grows.
#[derive(Debug)]
struct Open {
    state: State,
    text: String,
    first_line: u64,
    n_lines: u32,
    at: Option<Timestamp>,
    /// It is a record whatever comes: a sure head, or lines were added to it.
    is_confirmed: bool,
    is_candidate: bool,
    is_cut: bool,
    /// It was given already; what still comes belongs to it and is not given again.
    is_told: bool,
}

impl Joiner {
    /// A joiner that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            n_pushed: 0,
            open: None,
            held: Vec::new(),
            n_held_bytes: 0,
            last_at: None,
            ending: None,
            spare: Vec::new(),
        }
    }

    /// Takes the next line, without its line break. `is_candidate`: the scanner says a rule may match it. `at`: when
    /// it was logged, where the source knows. Finished records are appended to `out`.
    pub fn push(&mut self, line: &str, is_candidate: bool, at: Option<Timestamp>, out: &mut Vec<Record>) {
        let text = plain(line);
        self.push_seen(&Line { text: &text, seen: Seen::of(&text), is_candidate, at }, out);
    }

    /// The same, of a line that was looked at.
    pub fn push_seen(&mut self, line: &Line<'_>, out: &mut Vec<Record>) {
        let at = line.at;
        let number = self.n_pushed;
        self.n_pushed += 1;
        if self.is_parted_from(at) {
            self.flush(out);
        }
        // What decides over the held lines would have been printed with them.
        if self.held.first().is_some_and(|first| self.limits.part(first.at, at)) {
            self.end(out);
        }
        self.last_at = at;
        self.feed(line, number, out);
    }

    /// Ends what is open: end of input, death of the container, silence that the source is sure of.
    pub fn flush(&mut self, out: &mut Vec<Record>) {
        while self.open.is_some() {
            self.end(out);
        }
    }

    /// Gives what is open already now, if it is a marked line by itself: its writer paused, and nothing is likely to follow. It stays open:
    /// what follows all the same belongs to it and is not given again, so that nothing is counted twice. A trace waits for [`Joiner::flush`].
    pub fn tell_early(&mut self, out: &mut Vec<Record>) {
        let Some(open) = &mut self.open else { return };
        let is_lone = open.is_candidate && !open.is_confirmed && self.held.is_empty();
        if is_lone && !open.is_told && !is_quiet(&open.state) {
            open.is_told = true;
            out.push(Record { text: open.text.clone(), ..open.record() });
        }
    }

    /// Whether a line of this time cannot belong to what is open.
    pub fn is_parted_from(&self, at: Option<Timestamp>) -> bool {
        self.open.is_some() && self.limits.part(self.last_at, at)
    }

    /// Whether a record is open, so that the next line may belong to it.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Number (counted from 0 by pushes on this joiner) of the first line that must be read again after a crash,
    /// because it belongs to an open or possibly opening record; `None` when nothing is open that was not given.
    pub fn held_since(&self) -> Option<u64> {
        let open = self.open.as_ref()?;
        if open.is_told { self.held.first().map(|line| line.number) } else { Some(open.first_line) }
    }

    /// How the record ended that was given last.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    fn feed(&mut self, line: &Line<'_>, number: u64, out: &mut Vec<Record>) {
        let view = View::new(line.text, &line.seen, line.is_candidate);
        let Some(current) = &mut self.open else {
            self.start(&view, line, number, out);
            return;
        };
        match step(&mut current.state, &view) {
            Step::Take => self.take(line.text),
            Step::Done => {
                self.take(line.text);
                self.end(out);
                self.ended_by_itself();
            }
            Step::Hold => {
                let is_long = current.state.is_in_long_message();
                let most = if is_long { self.limits.long_message } else { self.limits.look_back };
                self.hold(line, number);
                if self.held.len() > most || self.n_held_bytes > self.limits.max_bytes {
                    self.end(out);
                }
            }
            Step::End => {
                self.end(out);
                self.feed(line, number, out);
            }
        }
    }

    fn start(&mut self, view: &View<'_>, line: &Line<'_>, number: u64, out: &mut Vec<Record>) {
        let (state, is_sure) = match view.opening() {
            Some((state, sure)) => (state, sure != Sure::Perhaps),
            None if view.is_candidate => (block::marked(view), false),
            None if view.is_blank() => (rust::after_blank(view), false),
            None if view.is_weak => (callstack::weak(view), false),
            None => return,
        };
        let mut text = self.spare.pop().unwrap_or_default();
        let kept = cut(line.text, self.limits.max_bytes);
        text.push_str(kept);
        self.open = Some(Open {
            state,
            text,
            first_line: number,
            n_lines: 1,
            at: line.at,
            is_confirmed: is_sure,
            is_candidate: view.is_candidate,
            is_cut: kept.len() < line.text.len(),
            is_told: false,
        });
        // Nothing can follow a line of JSON.
        if view.stands_alone {
            self.end(out);
            self.ended_by_itself();
        }
    }

    fn ended_by_itself(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.is_by_itself = true;
        }
    }

    /// Adds the held lines and this one to the open record.
    fn take(&mut self, line: &str) {
        let Some(open) = &mut self.open else { return };
        self.n_held_bytes = 0;
        for held in self.held.drain(..) {
            open.add(&held.text, &self.limits);
            reuse(&mut self.spare, held.text);
        }
        open.add(line, &self.limits);
        open.is_confirmed = true;
    }

    fn hold(&mut self, line: &Line<'_>, number: u64) {
        let mut text = self.spare.pop().unwrap_or_default();
        let kept = cut(line.text, self.limits.max_bytes);
        text.push_str(kept);
        self.n_held_bytes += text.len();
        let seen = if kept.len() < line.text.len() { Seen::of(kept) } else { line.seen };
        self.held.push(Held { text, number, seen, is_candidate: line.is_candidate, at: line.at });
    }

    /// Ends the open record and reads what was held again.
    fn end(&mut self, out: &mut Vec<Record>) {
        let Some(mut open) = self.open.take() else { return };
        let mut held = std::mem::take(&mut self.held);
        self.n_held_bytes = 0;
        self.ending = held.is_empty().then_some(Ending { state: open.state, is_by_itself: false });
        if !open.is_confirmed && open.is_candidate {
            // No trace after all: still a line with what is indented under it.
            let n_indented = held
                .iter()
                .take_while(|line| line.text.len() > line.text.trim_start().len() + open.state.base)
                .take_while(|line| !line.text.trim().is_empty())
                .count();
            for line in held.drain(..n_indented) {
                open.add(&line.text, &self.limits);
            }
        }
        if (open.is_confirmed || open.is_candidate) && !open.is_told && !is_quiet(&open.state) {
            let text = std::mem::take(&mut open.text);
            out.push(Record { text, ..open.record() });
        } else {
            reuse(&mut self.spare, open.text);
        }
        for line in held {
            self.feed(&line.line(), line.number, out);
            reuse(&mut self.spare, line.text);
        }
    }
}

impl Open {
    fn add(&mut self, line: &str, limits: &Limits) {
        self.n_lines += 1;
        let room = limits.max_bytes.saturating_sub(self.text.len() + 1);
        let kept = cut(line, room);
        if self.n_lines > limits.max_lines || (kept.is_empty() && !line.is_empty()) {
            self.is_cut = true;
            return;
        }
        self.is_cut |= kept.len() < line.len();
        self.text.push('\n');
        self.text.push_str(kept);
    }

    /// The record, but for its text.
    fn record(&self) -> Record {
        Record {
            text: String::new(),
            first_line: self.first_line,
            n_lines: self.n_lines,
            at: self.at,
            runtime: if self.is_confirmed { self.state.runtime } else { Runtime::Message },
            is_cut: self.is_cut,
        }
    }
}

/// Whether the record says of itself that it is no error.
fn is_quiet(state: &State) -> bool {
    block::is_quiet(state) || at::is_quiet(state)
}

/// Keeps a few short buffers.
fn reuse(spare: &mut Vec<String>, mut text: String) {
    if spare.len() < 64 && text.capacity() < 16 * 1024 {
        text.clear();
        spare.push(text);
    }
}

/// At most `length` bytes of the line, on a character's border.
fn cut(line: &str, length: usize) -> &str {
    &line[..line.floor_char_boundary(length.min(line.len()))]
}

/// The text without a carriage return at its end and without a terminal's escapes.
pub fn plain(line: &str) -> Cow<'_, str> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if memchr::memchr(0x1b, line.as_bytes()).is_none() {
        return Cow::Borrowed(line);
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.strip_prefix('[') {
            Some(sequence) => {
                let end =
                    sequence.find(|it: char| ('@'..='~').contains(&it)).map_or(sequence.len(), |it| it + 1);
                &sequence[end..]
            }
            None => after.get(1..).unwrap_or(""),
        };
    }
    text.push_str(rest);
    Cow::Owned(text)
}
