//! One task per source in which many write: entries in, findings with the cursor they are safe with out.
//!
//! Every writer has a joiner of its own, so interleaved writers do not mix. The cursor is the place before the first entry that some
//! open record or look-back still needs; writers that are further than that are named in it with how many of their entries are done
//! with, so that one writer's open record holds back neither what others found nor how soon it is stored.
//!
//! **Invariant:** a source read again from any cursor gives each record once.
//! **Invariant:** what is remembered is bounded, however many write.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::around::Recents;
use super::pipeline::{Found, Pipeline, StreamState};
use super::services::ServiceMap;
use super::stream::{RENEW_EVERY, Report, Source, spread};
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Ahead, Cursor, MixedPlace};
use crate::watch::source::lane::{Entry, Mark, Origin, Parcel, QUIET, Settled, Writer};

/// Writers that may be remembered at the same time; beyond them the one that was silent longest is held to be done.
const MAX_WRITERS: usize = 4096;
/// Entries and their bytes that may lie behind the first one that is held; beyond them its record is held to be whole.
const MAX_ENTRIES: usize = 100_000;
const MAX_BYTES: usize = 16 << 20;

/// Reads one mixed lane until it ends or a stop is asked for. What is open then is left to be read again.
pub(super) struct MixedTask {
    pub(super) source: Arc<Source>,
    pub(super) pipeline: Pipeline,
    pub(super) services: Arc<ServiceMap>,
    /// The cursor that the lane was granted with.
    pub(super) cursor: Option<Cursor>,
    pub(super) parcels: mpsc::Receiver<Parcel>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) shutdown: Shutdown,
}

impl MixedTask {
    pub(super) async fn run(self) {
        let Self { source, pipeline, services, cursor, mut parcels, reports, shutdown } = self;
        let mut mixing = Mixing::new(Arc::clone(&source), pipeline, services, cursor);
        let mut renewed_at = Instant::now();
        loop {
            let parcel = tokio::select! {
                biased;
                () = shutdown.requested() => None,
                parcel = parcels.recv() => parcel,
            };
            let Some(parcel) = parcel else { break };
            if renewed_at.elapsed() >= RENEW_EVERY {
                mixing.recents.renew();
                renewed_at = Instant::now();
            }
            if let Some(report) = mixing.take(parcel)
                && reports.send(report).await.is_err()
            {
                return;
            }
        }
        // The committer is gone: it is on its way out and needs no farewell.
        let _ = reports.send(Report { is_end: true, ..Report::of(source) }).await;
    }
}

/// What was sent and is not passed by the cursor yet.
#[derive(Debug)]
enum Sent {
    Entry { writer: u64, mark: Mark, n_bytes: usize },
    Place(MixedPlace),
}

/// One writer with something open, or that wrote just now.
#[derive(Debug)]
struct Member {
    /// With the rules of its service.
    pipeline: Pipeline,
    source: Arc<Source>,
    state: StreamState,
    /// Number that the state's first line has among those of the writer that were ever remembered.
    first_line: u64,
    last_tick: i64,
    /// Number of the first line of each entry that may be held, and the entry's number.
    entries: VecDeque<(u64, u64)>,
    /// The first entry that is still needed.
    held: Option<u64>,
}

impl Member {
    fn held_since(&self) -> Option<u64> {
        let line = self.state.held_since()?;
        let entry = self.entries.iter().rev().find(|(first, _)| *first <= line);
        entry.or_else(|| self.entries.front()).map(|(_, entry)| *entry)
    }
}

/// See the module's documentation.
struct Mixing {
    source: Arc<Source>,
    pipeline: Pipeline,
    services: Arc<ServiceMap>,
    /// Before everything in `sent`; `None` before the source has said where it begins.
    place: Option<MixedPlace>,
    sent: VecDeque<Sent>,
    n_bytes: usize,
    /// Number of the first one in `sent`; all are counted on.
    first: u64,
    members: HashMap<u64, Member>,
    /// Members by the tick of their last entry.
    by_age: BTreeSet<(i64, u64)>,
    /// Members by the first entry that they need.
    held: BTreeSet<(u64, u64)>,
    /// Entries to leave out: their writers were ahead of the cursor.
    skip: HashMap<u64, u32>,
    /// The last entry of each writer up to which something was found, unless the place is past it.
    counted: HashMap<u64, u64>,
    settles: VecDeque<(u64, Settled)>,
    reported: Option<Cursor>,
    found: Vec<(Arc<Source>, Found)>,
    recents: Recents,
    n_lines: u64,
    n_candidates: u64,
}

impl Mixing {
    fn new(
        source: Arc<Source>,
        pipeline: Pipeline,
        services: Arc<ServiceMap>,
        cursor: Option<Cursor>,
    ) -> Self {
        let reported = cursor.clone();
        let (place, ahead) = match cursor {
            Some(Cursor::Mixed { place, ahead }) => (Some(place), ahead),
            Some(Cursor::Docker { .. } | Cursor::File { .. }) | None => (None, Vec::new()),
        };
        let recents = Recents::new(pipeline.around());
        Self {
            source,
            pipeline,
            services,
            place,
            sent: VecDeque::new(),
            n_bytes: 0,
            first: 0,
            members: HashMap::new(),
            by_age: BTreeSet::new(),
            held: BTreeSet::new(),
            skip: ahead.into_iter().map(|it| (it.writer, it.n_entries)).collect(),
            counted: HashMap::new(),
            settles: VecDeque::new(),
            reported,
            found: Vec::new(),
            recents,
            n_lines: 0,
            n_candidates: 0,
        }
    }

    /// Takes one parcel; what is to be told of it.
    fn take(&mut self, parcel: Parcel) -> Option<Report> {
        let mut loss = None;
        let is_quiet = matches!(parcel, Parcel::Quiet | Parcel::End);
        match parcel {
            Parcel::Start(Cursor::Mixed { place, .. }) => self.place = Some(place),
            Parcel::Entries(entries) => entries.into_iter().for_each(|entry| self.entry(entry)),
            Parcel::Read { place, until } => self.read(place, until),
            Parcel::Settle(settled) => self.settles.push_back((self.next(), settled)),
            Parcel::Loss(it) => {
                // Entries that were done with may be among the lost ones: what comes now is new.
                self.skip.clear();
                loss = Some(it);
            }
            Parcel::Quiet | Parcel::End => self.expire(i64::MAX),
            // They come on lanes of one writer.
            Parcel::Start(Cursor::Docker { .. } | Cursor::File { .. })
            | Parcel::StartPair(_)
            | Parcel::Block(_)
            | Parcel::Backlog(_)
            | Parcel::Pause => {}
        }
        self.pass();
        let cursor = self.moved();
        let settled = self.settled();
        let mut of_writers = std::mem::take(&mut self.found);
        let mut later = Vec::new();
        let told = self.recents.take_told(&self.pipeline, is_quiet);
        spread(told, of_writers.iter_mut().map(|(_, found)| found), &mut later);
        let n_lines = std::mem::take(&mut self.n_lines);
        let n_candidates = std::mem::take(&mut self.n_candidates);
        metrics::source_read(self.source.stream.source(), n_lines, n_candidates, of_writers.len() as u64);
        let is_nothing = of_writers.is_empty()
            && loss.is_none()
            && cursor.is_none()
            && settled.is_empty()
            && later.is_empty();
        let report = Report {
            cursors: [cursor, None],
            loss,
            of_writers,
            later,
            settled,
            ..Report::of(Arc::clone(&self.source))
        };
        (!is_nothing).then_some(report)
    }

    /// Number of what is sent next.
    fn next(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    fn entry(&mut self, entry: Entry) {
        let Entry { writer, at, tick, text, mark } = entry;
        self.expire(tick);
        let number = self.next();
        self.n_bytes += text.len();
        self.sent.push_back(Sent::Entry { writer: writer.key, mark, n_bytes: text.len() });
        if let Some(left) = self.skip.get_mut(&writer.key) {
            *left -= 1;
            if *left == 0 {
                self.skip.remove(&writer.key);
            }
            self.counted.insert(writer.key, number);
            return;
        }
        let is_whole = memchr::memchr(b'\n', &text).is_some();
        if is_whole {
            self.flush(writer.key);
        }
        let mut found = Vec::new();
        let first_line = self.recents.push(writer.key, &text);
        if self.pipeline.sample().is_wanted() {
            String::from_utf8_lossy(&text).lines().for_each(|line| self.pipeline.sample().push(line));
        }
        let member = self.member(&writer, tick, first_line);
        let (source, first_line) = (Arc::clone(&member.source), member.first_line);
        let before = member.state.counts();
        member.entries.push_back((before.lines, number));
        let mut member = self.members.remove(&writer.key);
        if let Some(member) = &mut member {
            for line in text.split(|byte| *byte == b'\n') {
                member.pipeline.push(&mut member.state, line, at, &mut found);
            }
            let after = member.state.counts();
            self.n_lines += after.lines - before.lines;
            self.n_candidates += after.candidates - before.candidates;
            let held = member.held_since();
            let needed = held.unwrap_or(number);
            while member.entries.len() > 1 && member.entries.get(1).is_some_and(|(_, entry)| *entry <= needed)
            {
                member.entries.pop_front();
            }
            if let Some(before) = std::mem::replace(&mut member.held, held) {
                self.held.remove(&(before, writer.key));
            }
            self.held.extend(held.map(|held| (held, writer.key)));
        }
        self.members.extend(member.map(|member| (writer.key, member)));
        self.note(&source, writer.key, first_line, found);
        if is_whole {
            self.flush(writer.key);
        }
    }

    /// The writer's state, made if there is none, as the youngest.
    fn member(&mut self, writer: &Arc<Writer>, tick: i64, first_line: u64) -> &mut Member {
        if self.members.len() >= MAX_WRITERS
            && !self.members.contains_key(&writer.key)
            && let Some((_, oldest)) = self.by_age.first().copied()
        {
            self.flush(oldest);
        }
        let (services, lane, pipeline) = (&self.services, &self.source, &self.pipeline);
        let member = self.members.entry(writer.key).or_insert_with(|| {
            let origin = Origin {
                stream: lane.stream.clone(),
                label: writer.label.clone(),
                thing: writer.thing.clone(),
            };
            let service = services.of(&origin);
            Member {
                pipeline: pipeline.for_service(&service.name),
                source: Arc::new(Source::new(origin, service)),
                state: pipeline.stream(),
                first_line,
                last_tick: tick,
                entries: VecDeque::new(),
                held: None,
            }
        });
        self.by_age.remove(&(member.last_tick, writer.key));
        member.last_tick = tick;
        self.by_age.insert((tick, writer.key));
        member
    }

    fn read(&mut self, place: MixedPlace, until: i64) {
        self.expire(until);
        match self.sent.back_mut() {
            Some(Sent::Place(last)) => *last = place,
            Some(Sent::Entry { .. }) | None => self.sent.push_back(Sent::Place(place)),
        }
    }

    /// Ends what is open of those that were silent until this tick.
    fn expire(&mut self, tick: i64) {
        let quiet = i64::try_from(QUIET.as_nanos()).unwrap_or(i64::MAX);
        while let Some((last, writer)) = self.by_age.first().copied() {
            if last.saturating_add(quiet) > tick {
                return;
            }
            self.flush(writer);
        }
    }

    /// Ends what is open of a writer, and forgets it.
    fn flush(&mut self, writer: u64) {
        let Some(mut member) = self.members.remove(&writer) else { return };
        self.by_age.remove(&(member.last_tick, writer));
        if let Some(held) = member.held {
            self.held.remove(&(held, writer));
        }
        let mut found = Vec::new();
        member.pipeline.flush(&mut member.state, &mut found);
        self.note(&member.source, writer, member.first_line, found);
    }

    fn note(&mut self, source: &Arc<Source>, writer: u64, first_line: u64, mut found: Vec<Found>) {
        if !found.is_empty() {
            self.counted.insert(writer, self.next().saturating_sub(1));
        }
        for found in &mut found {
            let first = first_line + found.first_line;
            found.around = self.recents.around(&self.pipeline, writer, first, found);
        }
        self.found.extend(found.into_iter().map(|found| (Arc::clone(source), found)));
    }

    /// Moves the place up to the first one that some writer still needs, and keeps what lies behind it within its bounds.
    fn pass(&mut self) {
        loop {
            let held = self.held.first().copied();
            let until = held.map_or_else(|| self.next(), |(held, _)| held);
            while self.first < until {
                let Some(sent) = self.sent.pop_front() else { break };
                self.n_bytes -= sent.n_bytes();
                self.first += 1;
                sent.pass(&mut self.place);
            }
            match held {
                Some((_, writer)) if self.sent.len() > MAX_ENTRIES || self.n_bytes > MAX_BYTES => {
                    self.flush(writer);
                }
                Some(_) | None => break,
            }
        }
        let first = self.first;
        self.counted.retain(|_, entry| *entry >= first);
    }

    /// The cursor, if it is another than the last time.
    fn moved(&mut self) -> Option<Cursor> {
        let cursor = Cursor::Mixed { place: self.place.clone()?, ahead: self.ahead() };
        if self.reported.as_ref() == Some(&cursor) {
            return None;
        }
        self.reported = Some(cursor.clone());
        Some(cursor)
    }

    /// Writers of which something behind the place is reported already.
    fn ahead(&self) -> Vec<Ahead> {
        let mut ahead: HashMap<u64, (u64, u32)> = HashMap::new();
        for writer in self.counted.keys() {
            let held = self.members.get(writer).and_then(|member| member.held).unwrap_or(u64::MAX);
            ahead.insert(*writer, (held, 0));
        }
        // What is to be left out from before and has not come yet.
        let mut left = self.skip.clone();
        if !ahead.is_empty() {
            for (number, sent) in (self.first..).zip(&self.sent) {
                if let Sent::Entry { writer, .. } = sent
                    && let Some((held, n)) = ahead.get_mut(writer)
                    && number < *held
                {
                    *n += 1;
                }
            }
        }
        let mut all: Vec<Ahead> = ahead
            .into_iter()
            .map(|(writer, (_, n))| Ahead { writer, n_entries: n + left.remove(&writer).unwrap_or(0) })
            .filter(|it| it.n_entries > 0)
            .collect();
        all.extend(left.into_iter().map(|(writer, n_entries)| Ahead { writer, n_entries }));
        all.sort_unstable_by_key(|it| it.writer);
        all
    }

    /// Who may be told that what was sent before is done with.
    fn settled(&mut self) -> Vec<Settled> {
        let mut settled = Vec::new();
        while self.settles.front().is_some_and(|(number, _)| *number <= self.first) {
            settled.extend(self.settles.pop_front().map(|(_, settled)| settled));
        }
        settled
    }
}

impl Sent {
    fn n_bytes(&self) -> usize {
        match self {
            Self::Entry { n_bytes, .. } => *n_bytes,
            Self::Place(_) => 0,
        }
    }

    /// Moves a place past this.
    fn pass(self, place: &mut Option<MixedPlace>) {
        let mark = match self {
            Self::Entry { mark, .. } => mark,
            Self::Place(to) => {
                *place = Some(to);
                return;
            }
        };
        match (mark, place) {
            (Mark::Loki { nanos, hash }, Some(MixedPlace::Loki { nanos: at, seen })) if nanos == *at => {
                seen.push(hash);
            }
            (Mark::Loki { nanos, hash }, place) => {
                *place = Some(MixedPlace::Loki { nanos, seen: vec![hash] })
            }
            (Mark::Spool { offset }, place) => *place = Some(MixedPlace::Spool { offset }),
            (Mark::Journal { cursor }, place) => *place = Some(MixedPlace::Journal { cursor }),
        }
    }
}

#[cfg(test)]
#[path = "mixed_tests.rs"]
mod tests;
