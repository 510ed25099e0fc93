//! Lines of blocks into the states of their streams.

use std::collections::HashMap;

use super::around::Surroundings;
use super::handled::{Handled, Spot};
use super::short_cut::Lesson;
use super::skip::{Hit, Ring};
use crate::base::clock::Timestamp;
use crate::watch::ingest::decode::line::MAX_LINE_BYTES;
use crate::watch::ingest::decode::{Format, Unwrapped, salvage};
use crate::watch::ingest::pipeline::{Found, Pipeline, RawLine, StreamState};
use crate::watch::source::lane::{DockerPlace, Places, QUIET};

/// Names of the two streams of a container, in the order of a pair.
pub(super) const STD: [&str; 2] = ["stdout", "stderr"];

/// Docker cuts lines here: a part of this length goes on in the next line, whenever that comes.
const DOCKER_PART_BYTES: usize = 16 << 10;

/// Lines that may be noted of a stream before those that nobody holds are looked for.
const MANY_HANDLED: usize = 128;

/// What is done with a line that does not have the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch::ingest) enum OddLines {
    /// It is a text like any other.
    AsText,
    /// What can be read of it is read, and it is counted: the engine's own file holds nothing else but what was torn.
    Mended,
}

/// A block to read.
#[derive(Debug, Clone, Copy)]
pub(in crate::watch::ingest) struct Input<'b> {
    pub(in crate::watch::ingest) format: Format,
    /// Whole lines; the last one may lack its line break.
    pub(in crate::watch::ingest) text: &'b [u8],
    /// Where they come from, where that is known.
    pub(in crate::watch::ingest) places: Option<&'b Places>,
}

/// Takes a finding and the name of its stream. The finding's `first_line` is the input's line, counted from 0.
pub(in crate::watch::ingest) type Sink<'s> = &'s mut dyn FnMut(Option<&str>, Found);

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::watch::ingest) struct BlockEngine {
    pub(super) pipeline: Pipeline,
    odd_lines: OddLines,
    pub(super) streams: Vec<Stream>,
    by_name: HashMap<String, usize>,
    pub(super) unnamed: Option<usize>,
    /// Lines of the blocks before the present one.
    pub(super) n_lines: u64,
    pub(super) n_blocks: u64,
    n_odd: u64,
    /// `None` where nobody wants the lines around records.
    pub(super) surroundings: Option<Box<Surroundings>>,
    pub(super) found: Vec<Found>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) name: Option<String>,
    pub(super) state: StreamState,
    part: Option<Part>,
    pub(super) handled: Handled,
    pub(super) lesson: Option<Lesson>,
    /// Of the last line, where lines carry their times.
    pub(super) last: DockerPlace,
    /// Up to this byte of the present block its lines are done with, though lines of other streams between them are not.
    pub(super) done_to: usize,
}

/// The parts so far of a line that goes on.
#[derive(Debug)]
struct Part {
    text: Vec<u8>,
    spot: Spot,
    at: Option<Timestamp>,
    /// The last part was as long as parts are.
    is_full: bool,
}

/// A place within a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) offset: usize,
    pub(super) line_idx: usize,
}

impl Input<'_> {
    /// Up to where lines of a stream may have been taken earlier.
    fn taken_to(&self) -> usize {
        match self.places {
            Some(Places::DockerFile { place, taken_to }) => {
                let most = taken_to[0].max(taken_to[1]).saturating_sub(place.offset);
                usize::try_from(most).unwrap_or(usize::MAX)
            }
            Some(_) | None => 0,
        }
    }

    /// Whether the line at this offset was taken earlier.
    fn is_taken(&self, offset: usize, stream: Option<&str>) -> bool {
        let Some(Places::DockerFile { place, taken_to }) = self.places else { return false };
        let taken_to = if stream == Some(STD[1]) { taken_to[1] } else { taken_to[0] };
        place.offset + (offset as u64) < taken_to
    }

    /// Whether the lines carry the times that make their places.
    pub(super) fn has_timed_places(&self) -> bool {
        matches!(self.places, Some(Places::DockerFile { .. }))
    }
}

impl BlockEngine {
    pub(in crate::watch::ingest) fn new(pipeline: Pipeline, odd_lines: OddLines) -> Self {
        let surroundings = Surroundings::new(pipeline.around());
        Self {
            pipeline,
            odd_lines,
            streams: Vec::new(),
            by_name: HashMap::new(),
            unnamed: None,
            n_lines: 0,
            n_blocks: 0,
            n_odd: 0,
            found: Vec::new(),
            surroundings,
        }
    }

    /// An engine for the two streams of a container, numbered 0 and 1, of which these lines were the last.
    pub(in crate::watch::ingest) fn of_pair(pipeline: Pipeline, last: [DockerPlace; 2]) -> Self {
        let mut engine = Self::new(pipeline, OddLines::Mended);
        for (name, last) in STD.into_iter().zip(last) {
            let stream = engine.stream(Some(name));
            engine.streams[stream].last = last;
        }
        engine
    }

    /// Reads a block.
    pub(in crate::watch::ingest) fn block(&mut self, input: &Input<'_>, sink: Sink<'_>) {
        let text = input.text;
        let taken_to = input.taken_to();
        let mut at = At { offset: 0, line_idx: 0 };
        let (mut hit, mut rings) = (Hit::default(), [Ring::EMPTY; 2]);
        while at.offset < text.len() {
            let mut is_candidate = None;
            if at.offset >= taken_to {
                (at, is_candidate) = self.skip(input, at, &mut hit, &mut rings);
                if at.offset >= text.len() {
                    break;
                }
                if is_candidate == Some(true)
                    && let Some(behind) = self.short_cut(input, at, sink)
                {
                    at = behind;
                    continue;
                }
            }
            let end = memchr::memchr(b'\n', &text[at.offset..]).map_or(text.len(), |it| at.offset + it);
            self.line(input, at, &text[at.offset..end], is_candidate, sink);
            at = At { offset: end + 1, line_idx: at.line_idx + 1 };
        }
        self.remember_rings(input, &mut rings);
        if input.has_timed_places() {
            self.end_silent(sink);
        }
        self.n_lines += at.line_idx as u64;
        self.n_blocks += 1;
        for stream in &mut self.streams {
            stream.done_to = 0;
            stream.forget();
        }
    }

    /// Ends what is open in a stream of a pair that was silent while the other went on: its next line would be parted from it.
    fn end_silent(&mut self, sink: Sink<'_>) {
        let quiet = i64::try_from(QUIET.as_nanos()).unwrap_or(i64::MAX);
        let newest = self.streams.iter().map(|stream| stream.last.nanos).max().unwrap_or(0);
        for idx in 0..self.streams.len() {
            let stream = &mut self.streams[idx];
            if stream.last.nanos.saturating_add(quiet) < newest && stream.state.held_since().is_some() {
                self.pipeline.flush(&mut stream.state, &mut self.found);
                self.emit(idx, sink);
            }
        }
    }

    /// Ends the records that are open, though not lines of which only parts came.
    pub(in crate::watch::ingest) fn flush(&mut self, sink: Sink<'_>) {
        for idx in 0..self.streams.len() {
            self.pipeline.flush(&mut self.streams[idx].state, &mut self.found);
            self.emit(idx, sink);
            self.streams[idx].forget();
        }
    }

    /// Gives what is open and likely whole, because the writer paused.
    pub(in crate::watch::ingest) fn tell_early(&mut self, sink: Sink<'_>) {
        for idx in 0..self.streams.len() {
            self.pipeline.tell_early(&mut self.streams[idx].state, &mut self.found);
            self.emit(idx, sink);
            self.streams[idx].forget();
        }
    }

    /// Ends everything that is open: nothing comes any more.
    pub(in crate::watch::ingest) fn finish(&mut self, sink: Sink<'_>) {
        for idx in 0..self.streams.len() {
            self.end_part(idx, sink);
        }
        self.flush(sink);
    }

    /// The first line that a stream may still need, by the stream's number.
    pub(in crate::watch::ingest) fn held(&self, stream: usize) -> Option<Spot> {
        let stream = self.streams.get(stream)?;
        let held = stream.state.held_since().and_then(|number| stream.handled.get(number));
        held.or(stream.part.as_ref().map(|part| part.spot))
    }

    /// The first line that any stream may still need.
    pub(in crate::watch::ingest) fn first_held(&self) -> Option<Spot> {
        (0..self.streams.len()).filter_map(|idx| self.held(idx)).min_by_key(|spot| spot.number)
    }

    /// Whether a line of this block may still be needed.
    pub(in crate::watch::ingest) fn needs_block(&self, block: u64) -> bool {
        self.streams.iter().any(|stream| {
            stream.handled.is_in_block(block) || stream.part.as_ref().is_some_and(|it| it.spot.block == block)
        })
    }

    /// Place of the last line of a stream of a pair.
    pub(in crate::watch::ingest) fn last(&self, stream: usize) -> DockerPlace {
        self.streams[stream].last
    }

    /// Lines read so far.
    pub(in crate::watch::ingest) fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// Lines so far that were worth a closer look.
    pub(in crate::watch::ingest) fn n_candidates(&self) -> u64 {
        self.streams.iter().map(|stream| stream.state.counts().candidates).sum()
    }

    /// Blocks read so far: the number of the next one.
    pub(in crate::watch::ingest) fn n_blocks(&self) -> u64 {
        self.n_blocks
    }

    /// Lines that did not have the format since this was last asked.
    pub(in crate::watch::ingest) fn take_n_odd(&mut self) -> u64 {
        std::mem::take(&mut self.n_odd)
    }

    /// The number of the stream with this name.
    pub(super) fn stream(&mut self, name: Option<&str>) -> usize {
        let known = match name {
            Some(name) => self.known_stream(name),
            None => self.unnamed,
        };
        if let Some(idx) = known {
            return idx;
        }
        let idx = self.streams.len();
        match name {
            Some(name) => drop(self.by_name.insert(name.to_owned(), idx)),
            None => self.unnamed = Some(idx),
        }
        self.streams.push(Stream {
            name: name.map(str::to_owned),
            state: self.pipeline.stream(),
            part: None,
            handled: Handled::default(),
            lesson: None,
            last: DockerPlace { nanos: 0, n_at_nanos: 0 },
            done_to: 0,
        });
        idx
    }

    pub(super) fn known_stream(&self, name: &str) -> Option<usize> {
        // Most inputs have one or two.
        let first = self.streams.iter().take(2).position(|stream| stream.name.as_deref() == Some(name));
        first.or_else(|| self.by_name.get(name).copied())
    }

    /// Whether the next line of this stream must be looked at whatever it says.
    pub(super) fn is_open(&self, stream: Option<usize>) -> bool {
        stream.is_some_and(|idx| self.streams[idx].state.is_open() || self.streams[idx].part.is_some())
    }

    /// What a line holds, and whether it is to be counted as odd.
    pub(super) fn read<'l>(&self, format: Format, line: &'l [u8]) -> (Option<Unwrapped<'l>>, bool) {
        match format.unwrap(line) {
            Some(unwrapped) => (Some(unwrapped), false),
            None if self.odd_lines == OddLines::AsText => (Some(Unwrapped::plain(line)), false),
            None => (salvage(line), true),
        }
    }

    fn line(&mut self, input: &Input<'_>, at: At, line: &[u8], is_candidate: Option<bool>, sink: Sink<'_>) {
        let (unwrapped, is_odd) = self.read(input.format, line);
        self.n_odd += u64::from(is_odd);
        let Some(Unwrapped { stream, text, at: logged_at, is_part }) = unwrapped else { return };
        if input.is_taken(at.offset, stream.as_deref()) {
            return;
        }
        let idx = self.stream(stream.as_deref());
        if at.offset < self.streams[idx].done_to {
            return;
        }
        let logged_at = logged_at.or_else(|| input.places?.at(at.line_idx));
        let goes_on =
            |part: &Part| input.format != Format::DockerJson || part.is_full || part.at == logged_at;
        if self.streams[idx].part.as_ref().is_some_and(|part| !goes_on(part)) {
            // The output ended without a line break, and began again.
            self.end_part(idx, sink);
        }
        if is_part || self.streams[idx].part.is_some() {
            self.part(input, idx, at, &text, logged_at);
            if !is_part {
                self.end_part(idx, sink);
            }
            return;
        }
        let spot = self.spot(input, idx, at, logged_at);
        let number = self.streams[idx].handled.push(spot);
        self.begin_lesson(idx, number, is_candidate);
        self.push(idx, RawLine { bytes: &text, number, at: logged_at, is_candidate });
        self.go_on_with_lesson(input, idx, at, number, is_candidate);
        self.emit(idx, sink);
    }

    /// The place of the next line of a stream.
    pub(super) fn spot(
        &mut self,
        input: &Input<'_>,
        idx: usize,
        at: At,
        logged_at: Option<Timestamp>,
    ) -> Spot {
        let stream = &mut self.streams[idx];
        if input.has_timed_places() {
            let nanos = logged_at.and_then(|it| i64::try_from(it.as_nanosecond()).ok());
            stream.last = stream.last.then(nanos.unwrap_or(stream.last.nanos));
        }
        let number = self.n_lines + at.line_idx as u64;
        Spot { number, block: self.n_blocks, line_idx: at.line_idx, offset: at.offset, place: stream.last }
    }

    fn part(&mut self, input: &Input<'_>, idx: usize, at: At, text: &[u8], logged_at: Option<Timestamp>) {
        if self.streams[idx].part.is_none() {
            let spot = self.spot(input, idx, at, logged_at);
            self.streams[idx].part = Some(Part { text: Vec::new(), spot, at: logged_at, is_full: false });
        }
        let Some(part) = &mut self.streams[idx].part else { return };
        part.is_full = text.len() >= DOCKER_PART_BYTES;
        // One byte more than may be kept, so that the line is marked as cut.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(part.text.len());
        part.text.extend_from_slice(&text[..text.len().min(room)]);
    }

    fn end_part(&mut self, idx: usize, sink: Sink<'_>) {
        let Some(Part { text, spot, at, is_full: _ }) = self.streams[idx].part.take() else { return };
        let number = self.streams[idx].handled.push(spot);
        self.push(idx, RawLine { bytes: &text, number, at, is_candidate: None });
        self.emit(idx, sink);
    }

    fn push(&mut self, idx: usize, line: RawLine<'_>) {
        self.pipeline.push_line(&mut self.streams[idx].state, line, &mut self.found);
    }

    /// Tells what was found in a stream.
    fn emit(&mut self, idx: usize, sink: Sink<'_>) {
        let stream = &mut self.streams[idx];
        for mut found in self.found.drain(..) {
            found.around = self.surroundings.as_mut().and_then(|it| it.ask(idx, &stream.handled, &found));
            found.first_line = stream.handled.get(found.first_line).map_or(found.first_line, |it| it.number);
            sink(stream.name.as_deref(), found);
        }
        if stream.handled.len() > MANY_HANDLED {
            stream.forget();
        }
    }
}

impl Stream {
    fn forget(&mut self) {
        self.handled.forget_before(self.state.held_since());
    }
}
