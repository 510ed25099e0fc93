//! The lines around the records that were found, out of the blocks at hand.
//!
//! Of a block that is done with, only the last bytes are kept, as they are; a line is decoded when somebody is to see it. A record waits
//! neither for its blocks nor for the lines behind it: what comes later is told by its id.

use std::collections::VecDeque;

use super::block_engine::{BlockEngine, Input};
use super::handled::{Handled, Spot};
use crate::base::id::SampleId;
use crate::model::fingerprint::Fingerprint;
use crate::model::occurrence::Around;
use crate::watch::ingest::around::{Lines, MAX_LOOKED_AT, Select, Settings, Wants};
use crate::watch::ingest::decode::Format;
use crate::watch::ingest::decode::line::readable;
use crate::watch::ingest::pipeline::Found;
use crate::watch::ingest::rule_cost::MAX_OF_BLOCK;

/// Bytes kept of the blocks before while a record is open: a long trace, and what stands before it.
const MAX_OPEN_TAIL: usize = 32 << 10;

/// Blocks of which a record can begin in the tail.
const MAX_STARTS: usize = 256;

/// What an engine keeps to tell of the lines around records.
#[derive(Debug)]
pub(super) struct Surroundings {
    settings: Settings,
    select: Select,
    asked: Vec<Asked>,
    wants: Wants,
    /// The last whole lines of the blocks before the present one.
    tail: Vec<u8>,
    /// Bytes of all of them.
    end: u64,
    /// Number and first byte of the blocks in the tail.
    starts: VecDeque<(u64, u64)>,
    format: Format,
}

/// A record to be told with the lines around it.
#[derive(Debug)]
struct Asked {
    id: SampleId,
    stream: usize,
    first: Spot,
    last: Spot,
}

/// Whole lines, and the place of their first byte.
#[derive(Debug, Clone, Copy)]
struct Stretch<'t> {
    text: &'t [u8],
    start: u64,
}

impl Surroundings {
    pub(super) fn new(settings: Settings) -> Option<Box<Self>> {
        (!settings.is_off()).then(|| {
            Box::new(Self {
                settings,
                select: Select::default(),
                asked: Vec::new(),
                wants: Wants::default(),
                tail: Vec::new(),
                end: 0,
                starts: VecDeque::new(),
                format: Format::Plain,
            })
        })
    }

    /// Notes a record if it is one of those that are told with their lines. `found` still has the numbers of the state.
    pub(super) fn ask(&mut self, stream: usize, handled: &Handled, found: &Found) -> Option<Box<Around>> {
        let last = found.first_line + u64::from(found.n_lines).saturating_sub(1);
        self.ask_at(stream, found.identity.fingerprint, || {
            let first = handled.get(found.first_line)?;
            Some((first, handled.get(last).unwrap_or(first)))
        })
    }

    /// The same of a record whose first and last line stand there.
    pub(super) fn ask_at(
        &mut self,
        stream: usize,
        fingerprint: Fingerprint,
        spots: impl FnOnce() -> Option<(Spot, Spot)>,
    ) -> Option<Box<Around>> {
        if !self.select.takes(fingerprint) {
            return None;
        }
        let (first, last) = spots()?;
        let id = SampleId::new();
        self.asked.push(Asked { id, stream, first, last });
        Some(Box::new(Around { id: Some(id), ..Around::default() }))
    }

    /// The place of a line, if it stands in the tail or in the present block.
    fn place(&self, spot: Spot, block: u64) -> Option<u64> {
        if spot.block == block {
            return Some(self.end + spot.offset as u64);
        }
        let start = self.starts.iter().find(|(number, _)| *number == spot.block)?.1;
        let place = start + spot.offset as u64;
        (place >= self.end - self.tail.len() as u64).then_some(place)
    }

    /// The tail and the present block.
    fn stretches<'t>(&'t self, text: &'t [u8]) -> [Stretch<'t>; 2] {
        let tail = Stretch { text: &self.tail, start: self.end - self.tail.len() as u64 };
        [tail, Stretch { text, start: self.end }]
    }

    fn before(&self, engine: &BlockEngine, text: &[u8], stream: usize, place: u64) -> String {
        let mut lines = Lines::room(self.settings.before, &self.settings);
        let ends = self.stretches(text).into_iter().rev().map(|it| it.until(place));
        let raw = ends.flat_map(|text| text.strip_suffix(b"\n").map(|it| it.rsplit(|byte| *byte == b'\n')));
        for line in raw.flatten().take(MAX_LOOKED_AT) {
            if lines.is_full() {
                break;
            }
            engine.hand(self.format, line, |of, line, _| {
                if of == Some(stream) {
                    lines.push(line);
                }
            });
        }
        lines.reversed().text()
    }

    /// What stands behind the line at a place. All parts of that line are passed.
    fn after(&self, engine: &BlockEngine, text: &[u8], stream: usize, place: u64) -> Lines {
        let mut lines = Lines::room(self.settings.after, &self.settings);
        let mut is_passed = false;
        let rest = self.stretches(text).map(|it| it.from(place));
        for line in rest.into_iter().flat_map(lines_of).take(MAX_LOOKED_AT) {
            if lines.is_full() {
                break;
            }
            engine.hand(self.format, line, |of, line, is_part| match is_passed {
                _ if of != Some(stream) => {}
                true => lines.push(line),
                false => is_passed = !is_part,
            });
        }
        lines
    }

    /// Tells of what was asked for, and of what came behind records that were told before.
    fn tell(&mut self, engine: &BlockEngine, text: &[u8], block: u64, is_over: bool) -> Vec<Around> {
        let mut told = Vec::new();
        if !self.wants.is_empty() {
            let mut wants = std::mem::take(&mut self.wants);
            for line in lines_of(text).take(MAX_LOOKED_AT) {
                if wants.are_full() {
                    break;
                }
                engine.hand(self.format, line, |of, line, _| {
                    of.into_iter().for_each(|of| wants.push(of as u64, line));
                });
            }
            wants.take_done(&engine.pipeline, |_| is_over, &mut told);
            self.wants = wants;
        }
        for Asked { id, stream, first, last } in std::mem::take(&mut self.asked) {
            let first = self.place(first, block);
            let before = first.map(|place| self.before(engine, text, stream, place)).unwrap_or_default();
            let after = match self.place(last, block) {
                Some(place) => self.after(engine, text, stream, place),
                None => Lines::room(self.settings.after, &self.settings),
            };
            let redact = |text: &str| engine.pipeline.redact(text);
            told.push(Around { id: Some(id), before: redact(&before), after: redact(&after.text()) });
            self.wants.add(id, stream as u64, after);
        }
        told
    }

    /// Keeps the last lines of a block.
    fn keep(&mut self, text: &[u8], block: u64, is_open: bool) {
        let n_kept = if is_open { MAX_OPEN_TAIL } else { self.settings.max_bytes };
        self.starts.push_back((block, self.end));
        self.end += text.len() as u64;
        if text.len() > n_kept {
            self.tail.clear();
            self.tail.extend_from_slice(after_break(&text[text.len() - n_kept - 1..]));
        } else {
            // Now and then, so that the lines of small blocks are not moved with each of them.
            if self.tail.len() + text.len() > n_kept + n_kept / 2 {
                let n_gone = self.tail.len() + text.len() - n_kept;
                let kept = after_break(&self.tail[n_gone.min(self.tail.len()).saturating_sub(1)..]).len();
                self.tail.drain(..self.tail.len() - kept);
            }
            self.tail.extend_from_slice(text);
        }
        if !text.ends_with(b"\n") && !text.is_empty() {
            self.tail.push(b'\n');
            self.end += 1;
        }
        if self.tail.capacity() > 2 * n_kept {
            self.tail.shrink_to(n_kept);
        }
        let first = self.end - self.tail.len() as u64;
        while self.starts.len() > MAX_STARTS || self.starts.get(1).is_some_and(|(_, start)| *start <= first) {
            self.starts.pop_front();
        }
    }
}

impl<'t> Stretch<'t> {
    /// What stands before a place; nothing if the place is not in it or behind it.
    fn until(self, place: u64) -> &'t [u8] {
        let n = usize::try_from(place.saturating_sub(self.start)).unwrap_or(usize::MAX);
        &self.text[..n.min(self.text.len())]
    }

    /// What stands at a place and behind it; all if the place is before it.
    fn from(self, place: u64) -> &'t [u8] {
        let n = usize::try_from(place.saturating_sub(self.start)).unwrap_or(usize::MAX);
        &self.text[n.min(self.text.len())..]
    }
}

/// What stands behind the first line break: whole lines.
fn after_break(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).map_or(&[], |at| &text[at + 1..])
}

fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
    lines.filter(move |_| !text.is_empty())
}

impl BlockEngine {
    /// The lines around the records of this block, and those that came behind earlier ones. To be called once for each block, when it was
    /// read.
    pub(in crate::watch::ingest) fn around_block(&mut self, input: &Input<'_>) -> Vec<Around> {
        let Some(mut surroundings) = self.surroundings.take() else { return Vec::new() };
        surroundings.format = input.format;
        let block = self.n_blocks - 1;
        let has_nothing = surroundings.asked.is_empty() && surroundings.wants.is_empty();
        let told = if has_nothing { Vec::new() } else { surroundings.tell(self, input.text, block, false) };
        // What is looked back to is not open: its lines are few, and most often nobody's.
        let is_open = self.streams.iter().any(|stream| stream.state.is_open());
        surroundings.keep(input.text, block, is_open);
        self.surroundings = Some(surroundings);
        told
    }

    /// The same between blocks. `is_over`: what did not come behind a record so far is not waited for.
    pub(in crate::watch::ingest) fn around_rest(&mut self, is_over: bool) -> Vec<Around> {
        let Some(mut surroundings) = self.surroundings.take() else { return Vec::new() };
        let told = surroundings.tell(self, b"", u64::MAX, is_over);
        self.surroundings = Some(surroundings);
        told
    }

    /// Lets records be told with the lines around them whose like were told often enough.
    pub(in crate::watch::ingest) fn renew_around(&mut self) {
        self.surroundings.iter_mut().for_each(|it| it.select.renew());
    }

    /// Gives some lines of a block to who asks what the rules cost.
    pub(in crate::watch::ingest) fn sample(&self, input: &Input<'_>) {
        if !self.pipeline.sample().is_wanted() {
            return;
        }
        for line in lines_of(input.text).take(MAX_OF_BLOCK) {
            self.hand(input.format, line, |_, line, _| self.pipeline.sample().push(line));
        }
    }

    /// Hands on what a line says: its stream, its text, and whether it goes on in another.
    fn hand(&self, format: Format, line: &[u8], mut to: impl FnMut(Option<usize>, &str, bool)) {
        let (unwrapped, _) = self.read(format, line);
        let Some(unwrapped) = unwrapped else { return };
        let of = match unwrapped.stream.as_deref() {
            Some(name) => self.known_stream(name),
            None => self.unnamed,
        };
        to(of, &readable(&unwrapped.text).text, unwrapped.is_part);
    }
}

#[cfg(test)]
#[path = "around_tests.rs"]
mod tests;
