//! The short cut: a record that came before is told without reading it.
//!
//! Where a rule hits a line and nothing is open, the lines from there on are compared with those of records that were read lately. The
//! line behind them is asked whether it ends them, as the joiner asks. What is not known is read, and then known. A property test holds
//! that what is found is the same either way.

use super::block_engine::{At, BlockEngine, Input, STD, Sink};
use super::handled::Spot;
use super::piece::{self, Piece};
use crate::watch::ingest::judge::{Judge, Memo};
use crate::watch::ingest::pipeline::Found;
use crate::watch::ingest::recurring::Outcome;
use crate::watch::join::{Ending, Following, Limits};
use crate::watch::source::lane::DockerPlace;

/// Lines and bytes of a record that is learned.
const MAX_LINES: usize = 256;
const MAX_BYTES: usize = 32 << 10;

/// A record that is being read, as its lines are written.
#[derive(Debug)]
pub(super) struct Lesson {
    /// Its first line, by the state's number.
    first: u64,
    is_escaped: bool,
    written: Vec<u8>,
    /// Where each line ends in `written`, and whether a rule hits it.
    ends: Vec<(usize, bool)>,
}

/// Lines of the other stream that may stand between two lines of a record.
const MAX_BETWEEN: usize = 32;

/// A record that was known again, and what stands behind it.
struct Recurred {
    outcome: Outcome,
    n_lines: u32,
    text: String,
    last_line: At,
    /// The line behind it ended it, and is done with too.
    was_followed: bool,
    /// Behind the last line of the stream that is done with.
    done_to: usize,
    /// Of the first line that is not done with.
    next: At,
    /// Of the last line that is done with.
    last: DockerPlace,
}

/// On the way along the lines of a record that may be known.
struct Walk<'w, 'b> {
    input: &'w Input<'b>,
    judge: &'w Judge,
    memo: &'w mut Memo,
    limits: Limits,
    first: Piece<'b>,
    n_lines: u32,
    /// The first line of the other stream between its lines.
    gap: Option<At>,
    /// Of the last line, where lines carry their times.
    last: DockerPlace,
}

#[cfg(test)]
thread_local! {
    static N_SHORT_CUTS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Records of this thread that were known.
#[cfg(test)]
pub(in crate::watch::ingest) fn n_short_cuts() -> u64 {
    N_SHORT_CUTS.get()
}

impl BlockEngine {
    /// Tells the record that begins here with a line that a rule hits, if it is known; gives the place behind it.
    pub(super) fn short_cut(&mut self, input: &Input<'_>, start: At, sink: Sink<'_>) -> Option<At> {
        let first = Piece::at(input, start)?;
        let idx = self.stream(first.stream.map(|it| STD[it]));
        if start.offset < self.streams[idx].done_to {
            return Some(first.next);
        }
        if self.is_open(Some(idx)) {
            return None;
        }
        let Self { pipeline, streams, .. } = self;
        let (judge, stream) = (&pipeline.judge, &mut streams[idx]);
        let memo = &mut *judge.memo();
        if !stream.state.is_at_border(|line| judge.parts(memo, line)) {
            return None;
        }
        let limits = stream.state.limits();
        let walk = Walk { input, judge, memo, limits, first, n_lines: 0, gap: None, last: stream.last };
        let Recurred { outcome, n_lines, text, last_line, was_followed, done_to, next, last } =
            walk.record()?;
        (stream.last, stream.done_to) = (last, done_to);
        stream.state.count_recurred(n_lines + u32::from(was_followed), outcome.n_candidates);
        let spot = |at: At| {
            let number = self.n_lines + at.line_idx as u64;
            Spot { number, block: self.n_blocks, line_idx: at.line_idx, offset: at.offset, place: last }
        };
        let around = self.surroundings.as_mut().and_then(|it| {
            it.ask_at(idx, outcome.identity.fingerprint, || Some((spot(start), spot(last_line))))
        });
        let found = Found {
            first_line: self.n_lines + start.line_idx as u64,
            n_lines,
            at: first.at,
            text: judge.redactor.vouch(text),
            detection: judge.rules.detection(outcome.rank).clone(),
            identity: outcome.identity,
            is_ignored: false,
            is_cut: false,
            around,
        };
        sink(stream.name.as_deref(), found);
        #[cfg(test)]
        N_SHORT_CUTS.set(n_short_cuts() + 1);
        Some(next)
    }

    /// Whether the line here is the first of a record that is known, and so a rule hits it.
    pub(super) fn begins_known(&self, input: &Input<'_>, offset: usize) -> bool {
        let Some(piece) = Piece::at(input, At { offset, line_idx: 0 }) else { return false };
        let judge = &self.pipeline.judge;
        judge.recurs(&mut judge.memo(), piece.is_escaped(), None, piece.written, || piece.text()).is_some()
    }

    /// Before a line is read: begins to learn the record that may begin with it.
    pub(super) fn begin_lesson(&mut self, idx: usize, number: u64, is_candidate: Option<bool>) {
        let stream = &mut self.streams[idx];
        if !stream.state.is_open() {
            stream.lesson = (is_candidate == Some(true)).then(|| Lesson::new(number));
        }
    }

    /// After a line was read, and before what was found is told: learns the record that ended, if it began with the lesson.
    pub(super) fn go_on_with_lesson(
        &mut self,
        input: &Input<'_>,
        idx: usize,
        at: At,
        number: u64,
        is_candidate: Option<bool>,
    ) {
        let Self { pipeline, streams, found, .. } = self;
        let stream = &mut streams[idx];
        let Some(mut lesson) = stream.lesson.take() else { return };
        let (Some(piece), Some(is_candidate)) = (Piece::at(input, at), is_candidate) else { return };
        lesson.push(&piece, is_candidate);
        match &**found {
            [] if stream.state.held_since() == Some(lesson.first) && lesson.is_short() => {
                stream.lesson = Some(lesson);
            }
            [found] if found.first_line == lesson.first => {
                if let Some(ending) = stream.state.ending() {
                    lesson.learn(&pipeline.judge, found, ending);
                }
                // The line that ended it may begin the next.
                if is_candidate && stream.state.held_since() == Some(number) {
                    let mut next = Lesson::new(number);
                    next.push(&piece, is_candidate);
                    stream.lesson = Some(next);
                }
            }
            _ => {}
        }
    }
}

impl<'b> Walk<'_, 'b> {
    /// The record, if it is known as far as it goes.
    fn record(mut self) -> Option<Recurred> {
        let is_escaped = self.first.is_escaped();
        let mut before = self.first;
        let mut node = self.recurs(None, &before)?;
        self.pass(&before);
        loop {
            let outcome = self.judge.outcome(self.memo, is_escaped, node).copied();
            if let Some(outcome) = outcome.filter(|it| it.ending.is_by_itself) {
                return self.ends(outcome, &before, None);
            }
            let piece = self.next(&before)?;
            if self.limits.part(before.at, piece.at) {
                return self.ends(outcome?, &before, None);
            }
            // Lines that wait for another are held to the same time.
            if self.limits.part(self.first.at, piece.at) {
                return None;
            }
            if let Some(next) = self.recurs(Some(node), &piece) {
                node = next;
                self.pass(&piece);
                before = piece;
                continue;
            }
            let outcome = outcome?;
            let text = piece.text()?;
            let line = self.judge.line(self.memo, &text, piece.at);
            return match outcome.ending.follow(&line) {
                Following::Passes => self.ends(outcome, &before, Some(&piece)),
                Following::Begins if line.is_candidate => self.ends(outcome, &before, None),
                Following::Begins | Following::Belongs => None,
            };
        }
    }

    /// The stream's next line.
    fn next(&mut self, before: &Piece<'b>) -> Option<Piece<'b>> {
        let mut piece = Piece::at(self.input, before.next)?;
        for _ in 0..MAX_BETWEEN {
            if piece.stream == self.first.stream {
                return Some(piece);
            }
            self.gap.get_or_insert(piece.start);
            piece = Piece::at(self.input, piece.next)?;
        }
        None
    }

    fn recurs(&mut self, from: Option<usize>, piece: &Piece<'_>) -> Option<usize> {
        self.judge.recurs(self.memo, piece.is_escaped(), from, piece.written, || piece.text())
    }

    fn pass(&mut self, piece: &Piece<'_>) {
        self.n_lines += 1;
        self.count_place(piece);
    }

    fn count_place(&mut self, piece: &Piece<'_>) {
        if self.input.has_timed_places() {
            self.last = self.last.then(piece.nanos.unwrap_or(self.last.nanos));
        }
    }

    /// The record that ended with this line. `follower`: the line behind it, if that is done with too, as it is for the joiner.
    fn ends(
        mut self,
        outcome: Outcome,
        last_line: &Piece<'_>,
        follower: Option<&Piece<'_>>,
    ) -> Option<Recurred> {
        let text = self.text(last_line.next)?;
        follower.into_iter().for_each(|it| self.count_place(it));
        let behind = follower.map_or(last_line.next, |it| it.next);
        Some(Recurred {
            outcome,
            n_lines: self.n_lines,
            text,
            last_line: last_line.start,
            was_followed: follower.is_some(),
            done_to: behind.offset,
            next: self.gap.filter(|gap| gap.offset < behind.offset).unwrap_or(behind),
            last: self.last,
        })
    }

    /// The record's text; `end` stands behind it.
    fn text(&self, end: At) -> Option<String> {
        let start = self.first.start;
        if self.first.stream.is_none() {
            let written = self.input.text.get(start.offset..end.offset)?;
            let written = written.strip_suffix(b"\n").unwrap_or(written);
            if memchr::memchr3(0, b'\r', 0x1b, written).is_none() {
                return std::str::from_utf8(written).ok().map(str::to_owned);
            }
        }
        let mut text = String::with_capacity(end.offset - start.offset);
        let mut at = start;
        while at.offset < end.offset {
            let piece = Piece::at(self.input, at)?;
            at = piece.next;
            if piece.stream != self.first.stream {
                continue;
            }
            if piece.start.offset > start.offset {
                text.push('\n');
            }
            text.push_str(&piece.text()?);
        }
        Some(text)
    }
}

impl Lesson {
    fn new(first: u64) -> Self {
        Self { first, is_escaped: false, written: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, piece: &Piece<'_>, is_candidate: bool) {
        self.is_escaped = piece.is_escaped();
        self.written.extend_from_slice(piece.written);
        self.ends.push((self.written.len(), is_candidate));
    }

    fn is_short(&self) -> bool {
        self.ends.len() < MAX_LINES && self.written.len() < MAX_BYTES
    }

    /// The lines as they are written.
    fn lines(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.ends.iter().scan(0, |start, (end, _)| {
            let line = &self.written[*start..*end];
            *start = *end;
            Some(line)
        })
    }

    /// Remembers the record that was found.
    fn learn(&self, judge: &Judge, found: &Found, ending: Ending) {
        let n_lines = found.n_lines as usize;
        let n_behind = usize::from(!ending.is_by_itself);
        let is_all =
            self.ends.len() == n_lines + n_behind && found.text.as_str().split('\n').count() == n_lines;
        let is_as_written = |(written, line): (&[u8], &str)| {
            !(self.is_escaped && has_odd_escape(written))
                && piece::bytes(written, self.is_escaped).is_some_and(|it| *it == *line.as_bytes())
        };
        if !is_all || found.is_cut || !self.lines().zip(found.text.as_str().split('\n')).all(is_as_written) {
            return;
        }
        let n_candidates = self.ends[..n_lines].iter().filter(|(_, is_candidate)| *is_candidate).count();
        let n_candidates = u32::try_from(n_candidates).unwrap_or(u32::MAX);
        judge.learn(self.is_escaped, self.lines().take(n_lines), found, ending, n_candidates);
    }
}

/// Whether a character is written so that it hangs on a digit, or on a letter that may be one of an id.
fn has_odd_escape(written: &[u8]) -> bool {
    memchr::memchr_iter(b'\\', written).any(|at| matches!(written.get(at + 1), Some(b'u' | b'b' | b'f')))
}
