//! The last lines of many writers.
//!
//! Bounded: in lines and bytes of each writer, and in writers. Of those, two generations are kept: when the young one is full it becomes
//! the old one, and who writes again becomes young.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::{Lines, Select, Settings, Wants};
use crate::base::id::SampleId;
use crate::model::occurrence::Around;
use crate::watch::ingest::decode::line::readable;
use crate::watch::ingest::pipeline::{Found, Pipeline};

/// Writers in a generation.
const MAX_WRITERS: usize = 512;
/// Lines kept of a writer, and their bytes: a trace and what stands before it.
const MAX_LINES: usize = 64;
const MAX_BYTES: usize = 8 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub(in crate::watch::ingest) struct Recents {
    settings: Settings,
    young: Writers,
    old: Writers,
    select: Select,
    wants: Wants,
}

type Writers = HashMap<u64, Recent, RandomState>;

/// The last lines of one writer.
#[derive(Debug, Default)]
struct Recent {
    lines: VecDeque<Bytes>,
    n_bytes: usize,
    /// Number of the first of the lines.
    first: u64,
}

impl Recent {
    fn end(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn push(&mut self, line: Bytes) {
        self.n_bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || (self.n_bytes > MAX_BYTES && self.lines.len() > 1) {
            self.n_bytes -= self.lines.pop_front().map_or(0, |it| it.len());
            self.first += 1;
        }
    }

    /// Where a line with this number would stand among those that are kept.
    fn index(&self, number: u64) -> usize {
        let idx = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        idx.min(self.lines.len())
    }
}

impl Recents {
    pub(in crate::watch::ingest) fn new(settings: Settings) -> Self {
        let (select, wants) = (Select::default(), Wants::default());
        Self { settings, young: Writers::default(), old: Writers::default(), select, wants }
    }

    /// Begins a turn of the choice of records.
    pub(in crate::watch::ingest) fn renew(&mut self) {
        self.select.renew();
    }

    /// Takes the lines of an entry; gives the number of the first one.
    pub(in crate::watch::ingest) fn push(&mut self, writer: u64, text: &Bytes) -> u64 {
        if self.settings.is_off() {
            return 0;
        }
        let has_wants = !self.wants.is_empty();
        let recent = young(&mut self.young, &mut self.old, writer);
        let first = recent.end();
        for line in text.split(|byte| *byte == b'\n') {
            recent.push(text.slice_ref(line));
            if has_wants {
                self.wants.push(writer, &readable(line).text);
            }
        }
        first
    }

    /// The lines around a record, if it is one of those that are told with them. `first`: the number of its first line.
    pub(in crate::watch::ingest) fn around(
        &mut self,
        pipeline: &Pipeline,
        writer: u64,
        first: u64,
        found: &Found,
    ) -> Option<Box<Around>> {
        if self.settings.is_off() || !self.select.takes(found.identity.fingerprint) {
            return None;
        }
        let recent = young(&mut self.young, &mut self.old, writer);
        let mut before = Lines::room(self.settings.before, &self.settings);
        let start = if first < recent.first { 0 } else { recent.index(first) };
        for line in recent.lines.range(..start).rev() {
            before.push(&readable(line).text);
        }
        let mut after = Lines::room(self.settings.after, &self.settings);
        for line in recent.lines.range(recent.index(first + u64::from(found.n_lines))..) {
            after.push(&readable(line).text);
        }
        let id = SampleId::new();
        let (before, text) = (before.reversed().text(), after.text());
        self.wants.add(id, writer, after);
        Some(Box::new(Around {
            id: Some(id),
            before: pipeline.redact(&before),
            after: pipeline.redact(&text),
        }))
    }

    /// What came behind records that were told. `is_over`: nothing more is to be waited for.
    pub(in crate::watch::ingest) fn take_told(&mut self, pipeline: &Pipeline, is_over: bool) -> Vec<Around> {
        let mut told = Vec::new();
        if !self.wants.is_empty() {
            self.wants.take_done(pipeline, |_| is_over, &mut told);
        }
        told
    }
}

fn young<'w>(young: &'w mut Writers, old: &mut Writers, writer: u64) -> &'w mut Recent {
    if !young.contains_key(&writer) {
        if young.len() >= MAX_WRITERS {
            *old = std::mem::take(young);
        }
        let recent = old.remove(&writer).unwrap_or_default();
        young.insert(writer, recent);
    }
    young.entry(writer).or_default()
}
