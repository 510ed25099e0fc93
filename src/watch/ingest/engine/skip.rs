//! What of a block need not be looked at, and what must be remembered of it.

use super::block_engine::{At, BlockEngine, Input, STD};
use super::piece::Piece;
use crate::watch::ingest::decode::line::readable;
use crate::watch::ingest::decode::{Format, Unwrapped};
use crate::watch::ingest::look_back::MAX_LINES;
use crate::watch::ingest::pipeline::RawLine;

/// Where the next line begins that a rule hits, as far as the block was searched: that place, or the block's end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hit(Option<usize>);

const START: At = At { offset: 0, line_idx: 0 };

/// The last lines of one stream in what was skipped, and one more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    lines: [At; MAX_LINES + 1],
    n_lines: usize,
    /// The first of all that were put in.
    first: At,
}

/// What was skipped of a pair and is not handed to its states yet.
pub(super) type Rings = [Ring; 2];

impl Ring {
    pub(super) const EMPTY: Self = Self { lines: [START; MAX_LINES + 1], n_lines: 0, first: START };

    fn push(&mut self, at: At) {
        if self.n_lines == 0 {
            self.first = at;
        }
        self.lines[self.n_lines % self.lines.len()] = at;
        self.n_lines += 1;
    }

    /// The line that was the `n`th last, from 1.
    fn nth_last(&self, n: usize) -> At {
        self.lines[(self.n_lines - n) % self.lines.len()]
    }
}

impl BlockEngine {
    /// Goes on to the next line that must be looked at, and remembers the last ones before it: those of another stream of a pair in `rings`.
    /// Gives whether a rule hits that line, where that is known.
    pub(super) fn skip(
        &mut self,
        input: &Input<'_>,
        from: At,
        hit: &mut Hit,
        rings: &mut Rings,
    ) -> (At, Option<bool>) {
        match input.format {
            Format::Plain => {
                let next = self.next_hit(input, from.offset, hit);
                let is_open = self.is_open(self.unnamed);
                let to = if is_open { from } else { self.skip_plain(input, from, next) };
                (to, Some(to.offset == next))
            }
            Format::DockerJson | Format::Cri => {
                let next = self.next_hit(input, from.offset, hit);
                self.skip_wrapped(input, from, next, rings)
            }
            Format::Jsonl => (from, None),
        }
    }

    /// Where the next line begins that a rule hits, or the block's end.
    fn next_hit(&self, input: &Input<'_>, from: usize, hit: &mut Hit) -> usize {
        if let Some(start) = hit.0.filter(|start| *start >= from) {
            return start;
        }
        let scanner = self.pipeline.scanner();
        let rest = &input.text[from..];
        let is_hit = |range: &std::ops::Range<usize>| {
            // Reading it costs more than asking.
            if input.format == Format::DockerJson && self.begins_known(input, from + range.start) {
                return true;
            }
            let (unwrapped, _) = self.read(input.format, &rest[range.clone()]);
            unwrapped.is_some_and(|it| self.pipeline.is_hit(&readable(&it.text).text))
        };
        let next = scanner.candidates(rest).find(is_hit);
        let start = next.map_or(input.text.len(), |range| from + range.start);
        hit.0 = Some(start);
        start
    }

    fn skip_plain(&mut self, input: &Input<'_>, from: At, next: usize) -> At {
        let skipped = &input.text[from.offset..next];
        let has_open_end = !skipped.is_empty() && !skipped.ends_with(b"\n");
        let n_lines = memchr::memchr_iter(b'\n', skipped).count() + usize::from(has_open_end);
        let to = At { offset: next, line_idx: from.line_idx + n_lines };
        let mut starts = [0; MAX_LINES];
        let mut end = skipped.len();
        let mut n_kept = 0;
        while n_kept < n_lines.min(MAX_LINES) {
            let text = skipped[..end].strip_suffix(b"\n").unwrap_or(&skipped[..end]);
            end = memchr::memrchr(b'\n', text).map_or(0, |it| it + 1);
            n_kept += 1;
            starts[MAX_LINES - n_kept] = end;
            if self.pipeline.parts(&readable(&text[end..]).text) {
                if next < input.text.len() {
                    // The hit is looked at next, and this line has no part in it.
                    n_kept -= 1;
                    self.forget_passed();
                }
                break;
            }
        }
        for (kept_idx, start) in starts[MAX_LINES - n_kept..].iter().enumerate() {
            let at = At { offset: from.offset + start, line_idx: to.line_idx - n_kept + kept_idx };
            self.remember(input, 0, at);
        }
        to
    }

    /// Forgets what stands before a line that parts it from what comes.
    fn forget_passed(&mut self) {
        if let Some(idx) = self.unnamed {
            self.streams[idx].state.forget_passed();
        }
    }

    /// Skips lines of a container's streams up to the next hit, as long as each is whole, written as its engine writes it, and of a
    /// stream in which nothing is open.
    fn skip_wrapped(
        &mut self,
        input: &Input<'_>,
        from: At,
        next: usize,
        rings: &mut Rings,
    ) -> (At, Option<bool>) {
        let streams = STD.map(|name| self.known_stream(name));
        let is_open = streams.map(|stream| self.is_open(stream));
        let done_to = streams.map(|stream| stream.map_or(0, |it| self.streams[it].done_to));
        let mut at = from;
        let mut is_hit = Some(true);
        while at.offset < next {
            let rest = &input.text[at.offset..next];
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let Some(glance) = input.format.glance(&rest[..len]).filter(|it| it.is_whole) else {
                // It may hold half a literal, or be written in a way that the search does not know.
                is_hit = None;
                break;
            };
            if is_open[glance.stream] {
                is_hit = Some(false);
                break;
            }
            if at.offset >= done_to[glance.stream] {
                rings[glance.stream].push(at);
            }
            at = At { offset: at.offset + len + 1, line_idx: at.line_idx + 1 };
        }
        if at.offset < input.text.len() {
            match input.format.glance(line_at(input.text, at)).filter(|_| is_hit.is_some()) {
                Some(glance) => {
                    self.remember_ring(input, glance.stream, &mut rings[glance.stream], is_hit == Some(true));
                }
                None => self.remember_rings(input, rings),
            }
        }
        (at, is_hit)
    }

    /// Hands what was skipped to the states.
    pub(super) fn remember_rings(&mut self, input: &Input<'_>, rings: &mut Rings) {
        for (std, ring) in rings.iter_mut().enumerate() {
            self.remember_ring(input, std, ring, false);
        }
    }

    /// `is_before_hit`: what follows in the stream is a line that a rule hits, and is looked at next.
    fn remember_ring(&mut self, input: &Input<'_>, std: usize, ring: &mut Ring, is_before_hit: bool) {
        let ring = std::mem::replace(ring, Ring::EMPTY);
        if ring.n_lines == 0 {
            return;
        }
        let idx = self.stream(Some(STD[std]));
        let n_kept = ring.n_lines.min(MAX_LINES);
        if input.has_timed_places() && ring.n_lines > MAX_LINES {
            let nanos = |at: At| input.format.glance(line_at(input.text, at)).and_then(|it| it.nanos());
            let before = nanos(ring.nth_last(MAX_LINES + 1));
            if before.is_some() && before != nanos(ring.nth_last(MAX_LINES)) {
                self.streams[idx].last.nanos = before.unwrap_or_default();
                self.streams[idx].last.n_at_nanos = 1;
            } else {
                self.count_places(input, ring.first, std, ring.nth_last(n_kept));
            }
        }
        let parts_others = |n: &usize| {
            let text = Piece::at(input, ring.nth_last(*n)).and_then(|it| it.text());
            text.is_some_and(|it| self.pipeline.parts(&it))
        };
        let parting = (1..=n_kept).find(parts_others);
        let n_parted = parting.unwrap_or(n_kept);
        if input.has_timed_places() && n_parted < n_kept {
            // Where the lines' times make their places, each line counts.
            self.count_places(input, ring.nth_last(n_kept), std, ring.nth_last(n_parted));
        }
        let mut n_remembered = n_parted;
        if is_before_hit && parting.is_some() {
            // This line has no part in what is hit.
            n_remembered -= 1;
            if input.has_timed_places() {
                let at = ring.nth_last(n_parted);
                let end = At { offset: at.offset + line_at(input.text, at).len(), ..at };
                self.count_places(input, at, std, end);
            }
            self.streams[idx].state.forget_passed();
        }
        for n in (1..=n_remembered).rev() {
            self.remember(input, idx, ring.nth_last(n));
        }
    }

    /// Counts the places of a stream's lines one by one: so many have the very same time.
    fn count_places(&mut self, input: &Input<'_>, from: At, std: usize, to: At) {
        let idx = self.stream(Some(STD[std]));
        let skipped = &input.text[from.offset..to.offset];
        for line in skipped.split(|byte| *byte == b'\n') {
            let Some(glance) = input.format.glance(line).filter(|it| it.stream == std) else { continue };
            let last = &mut self.streams[idx].last;
            *last = last.then(glance.nanos().unwrap_or(last.nanos));
        }
    }

    /// Hands a line that is no candidate to the look-back of its stream.
    fn remember(&mut self, input: &Input<'_>, idx: usize, at: At) {
        let (unwrapped, _) = self.read(input.format, line_at(input.text, at));
        let Some(Unwrapped { stream: _, text, at: logged_at, is_part: _ }) = unwrapped else { return };
        let logged_at = logged_at.or_else(|| input.places?.at(at.line_idx));
        let idx = if input.format == Format::Plain { self.stream(None) } else { idx };
        let spot = self.spot(input, idx, at, logged_at);
        let stream = &mut self.streams[idx];
        let number = stream.handled.push(spot);
        let line = RawLine { bytes: &text, number, at: logged_at, is_candidate: Some(false) };
        self.pipeline.pass_by(&mut stream.state, line);
    }
}

fn line_at(text: &[u8], at: At) -> &[u8] {
    let rest = &text[at.offset..];
    &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())]
}
