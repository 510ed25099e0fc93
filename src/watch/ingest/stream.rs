//! One task per stream: blocks in, findings with the cursor they are safe with out.
//!
//! A report holds everything found up to its cursor, so any beginning of a stream's reports is consistent: the committer
//! may commit after any of them. An open record holds the cursor back at its first line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::decode::Format;
use super::engine::{BlockEngine, Input, OddLines, Spot};
use super::pipeline::{Found, Pipeline};
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, FilePlace, StreamKey};
use crate::model::occurrence::Around;
use crate::model::service::Service;
use crate::watch::source::lane::{Backlog, Block, DockerPlace, Loss, Origin, Parcel, Places, Settled};

/// How often a stream tells how far it is when it has found nothing.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// How often a few records of each fingerprint are told with the lines around them.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(30);

/// A backlog is read for so long, or until so much is found in it; then it is another stream's turn.
const TURN: Duration = Duration::from_millis(5);
const MAX_FOUND_A_TURN: usize = 128;

/// What a stream, or a pair of them, tells the committer.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) source: Arc<Source>,
    pub(super) found: Vec<Found>,
    /// Of each stream: everything before it is in this and earlier reports; `None` when it has not moved.
    pub(super) cursors: [Option<Cursor>; 2],
    pub(super) loss: Option<Loss>,
    /// What was found of the writers of a mixed lane.
    pub(super) of_writers: Vec<(Arc<Source>, Found)>,
    /// Lines that came behind records reported earlier.
    pub(super) later: Vec<Around>,
    /// Sources that wait until all this is committed.
    pub(super) settled: Vec<Settled>,
    /// Reading begins: that must be known before anything happens to the source.
    pub(super) is_start: bool,
    /// The lane is gone; nothing follows.
    pub(super) is_end: bool,
}

impl Report {
    /// Nothing of this source.
    pub(super) const fn of(source: Arc<Source>) -> Self {
        Self {
            source,
            found: Vec::new(),
            cursors: [None, None],
            loss: None,
            of_writers: Vec::new(),
            later: Vec::new(),
            settled: Vec::new(),
            is_start: false,
            is_end: false,
        }
    }
}

/// Who a stream belongs to.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: StreamKey,
    /// The other stream of a pair.
    pub(super) second: Option<StreamKey>,
    /// What people know it by.
    pub(super) label: String,
    pub(super) service: Service,
}

impl Source {
    pub(super) fn new(origin: Origin, service: Service) -> Self {
        Self { stream: origin.stream, second: None, label: origin.label, service }
    }

    /// The stream that a loss is of; of both streams of a pair, what their keys have in common.
    pub(super) fn of_loss(&self, loss: &Loss) -> StreamKey {
        match (&self.second, loss.of_stream) {
            (None, _) | (Some(_), Some(0)) => self.stream.clone(),
            (Some(second), Some(_)) => second.clone(),
            (Some(_), None) => {
                StreamKey(self.stream.0.rsplit_once(':').map_or("", |(pair, _)| pair).to_owned())
            }
        }
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = &StreamKey> {
        std::iter::once(&self.stream).chain(&self.second)
    }
}

/// Reads one lane until it ends or a stop is asked for. What is open then is left to be read again.
pub(super) struct StreamTask {
    pub(super) source: Arc<Source>,
    pub(super) pipeline: Pipeline,
    /// The committed cursors that the lane was granted with.
    pub(super) committed: [Option<Cursor>; 2],
    pub(super) parcels: mpsc::Receiver<Parcel>,
    pub(super) reports: mpsc::Sender<Report>,
    /// Of those who read a backlog, so many do it at the same time.
    pub(super) turns: Arc<Semaphore>,
    pub(super) shutdown: Shutdown,
}

/// Lines that went into the engine, as far back as one of them is held.
struct Reading {
    engine: BlockEngine,
    is_pair: bool,
    /// The blocks that are still needed, and the last one.
    blocks: VecDeque<Taken>,
    /// Where reading began.
    start: [Option<Cursor>; 2],
    reported: [Option<Cursor>; 2],
}

/// A block that went into the engine.
struct Taken {
    number: u64,
    places: Places,
    /// Bytes.
    len: usize,
    /// The place after the block before it.
    before: Option<Cursor>,
}

impl Taken {
    fn end(&self) -> Cursor {
        self.places.cursor_at(usize::MAX, self.len)
    }

    /// The place before a line that is held.
    fn cursor_at(&self, held: Spot) -> Cursor {
        match (&self.places, held.line_idx, &self.before) {
            (Places::Docker(_), 0, Some(before)) => before.clone(),
            (places, line_idx, _) => places.cursor_at(line_idx, held.offset),
        }
    }
}

impl StreamTask {
    pub(super) async fn run(mut self) {
        let mut reading = Reading::new(&self);
        let (mut n_lines_told, mut n_candidates_told) = (0, 0);
        let mut told_at = Instant::now() - TELL_EVERY;
        let mut renewed_at = told_at;
        let mut later = Vec::new();
        while let Some(parcel) = self.next().await {
            let mut found = Vec::new();
            let mut loss = None;
            // Blocks come one after the other; anything else may be the last for long.
            let is_still = !matches!(parcel, Parcel::Block(_) | Parcel::Backlog(_));
            let is_quiet = matches!(parcel, Parcel::Quiet | Parcel::End);
            let is_start = matches!(parcel, Parcel::Start(_) | Parcel::StartPair(_));
            match parcel {
                Parcel::Start(cursor) => reading.start = [Some(cursor), None],
                Parcel::StartPair(cursors) => reading.start_pair(&self.pipeline, cursors),
                Parcel::Block(block) => reading.take(block, &mut found, &mut later),
                Parcel::Backlog(backlog) => match self.work_off(backlog, reading, later).await {
                    Some(worked) => (reading, found, later) = worked,
                    None => return,
                },
                Parcel::Loss(it) => loss = Some(it),
                // They come on lanes of many writers, which have a task of their own.
                Parcel::Entries(_) | Parcel::Read { .. } | Parcel::Settle(_) => {}
                Parcel::Pause => reading.engine.tell_early(&mut |_, it| found.push(it)),
                Parcel::Quiet => reading.engine.flush(&mut |_, it| found.push(it)),
                Parcel::End => reading.engine.finish(&mut |_, it| found.push(it)),
            }
            if is_still {
                let rest = reading.engine.around_rest(is_quiet);
                spread(rest, found.iter_mut(), &mut later);
            }
            if !found.is_empty() && renewed_at.elapsed() >= RENEW_EVERY {
                reading.engine.renew_around();
                renewed_at = Instant::now();
            }
            let n_lines_now = reading.engine.n_lines();
            let n_lines = n_lines_now.saturating_sub(std::mem::replace(&mut n_lines_told, n_lines_now));
            let n_candidates_now = reading.engine.n_candidates();
            let n_candidates =
                n_candidates_now.saturating_sub(std::mem::replace(&mut n_candidates_told, n_candidates_now));
            metrics::source_read(self.source.stream.source(), n_lines, n_candidates, found.len() as u64);
            // A cursor alone is no news: what was read is read again if it is lost.
            let is_news = !found.is_empty() || loss.is_some() || is_still;
            if !is_news && told_at.elapsed() < TELL_EVERY {
                continue;
            }
            told_at = Instant::now();
            let cursors = reading.moved();
            if found.is_empty() && loss.is_none() && cursors == [None, None] && later.is_empty() {
                continue;
            }
            let source = Arc::clone(&self.source);
            let later = std::mem::take(&mut later);
            let report = Report { found, cursors, loss, later, is_start, ..Report::of(source) };
            if self.reports.send(report).await.is_err() {
                return;
            }
        }
        let source = Arc::clone(&self.source);
        let _ = self.reports.send(Report { cursors: reading.moved(), ..Report::of(source) }).await;
        let end = Report { is_end: true, ..Report::of(self.source) };
        // The committer is gone: it is on its way out and needs no farewell.
        let _ = self.reports.send(end).await;
    }

    /// Reads of a backlog what fits into one turn, where reading may wait. `None` when the program ends meanwhile.
    async fn work_off(
        &self,
        backlog: Backlog,
        mut reading: Reading,
        mut later: Vec<Around>,
    ) -> Option<(Reading, Vec<Found>, Vec<Around>)> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let shutdown = self.shutdown.clone();
        let worked = tokio::task::spawn_blocking(move || {
            let begin = std::time::Instant::now();
            let mut found = Vec::new();
            for block in backlog {
                reading.take(block, &mut found, &mut later);
                let is_over = begin.elapsed() >= TURN || found.len() >= MAX_FOUND_A_TURN;
                if is_over || shutdown.is_requested() {
                    break;
                }
            }
            drop(turn);
            (reading, found, later)
        });
        match worked.await {
            Ok(worked) => Some(worked),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => None,
            },
        }
    }

    /// The next parcel; `None` at the end of the lane or on a stop.
    async fn next(&mut self) -> Option<Parcel> {
        tokio::select! {
            biased;
            () = self.shutdown.requested() => None,
            parcel = self.parcels.recv() => parcel,
        }
    }
}

impl Reading {
    fn new(task: &StreamTask) -> Self {
        let is_pair = task.source.second.is_some();
        let pipeline = task.pipeline.clone();
        let engine = if is_pair {
            BlockEngine::of_pair(pipeline, task.committed.each_ref().map(|it| docker_place(it.as_ref())))
        } else {
            BlockEngine::new(pipeline, OddLines::AsText)
        };
        Self {
            engine,
            is_pair,
            blocks: VecDeque::new(),
            start: task.committed.clone(),
            reported: task.committed.clone(),
        }
    }

    fn start_pair(&mut self, pipeline: &Pipeline, cursors: [Cursor; 2]) {
        let last = cursors.each_ref().map(|it| docker_place(Some(it)));
        self.engine = BlockEngine::of_pair(pipeline.clone(), last);
        self.start = cursors.map(Some);
    }

    fn take(&mut self, block: Block, found: &mut Vec<Found>, later: &mut Vec<Around>) {
        let Block { text, places } = block;
        let format = match places {
            Places::DockerFile { .. } => Format::DockerJson,
            Places::Docker(_) | Places::File { .. } => Format::Plain,
        };
        let number = self.engine.n_blocks();
        let input = Input { format, text: &text, places: Some(&places) };
        self.engine.block(&input, &mut |_, it| found.push(it));
        spread(self.engine.around_block(&input), found.iter_mut(), later);
        self.engine.sample(&input);
        for _ in 0..self.engine.take_n_odd() {
            metrics::odd_message("docker", "torn");
        }
        let before = self.blocks.back().map(Taken::end).or_else(|| self.start[0].clone());
        self.blocks.push_back(Taken { number, places, len: text.len(), before });
    }

    /// The places before which everything is reported, where they are others than the last time.
    fn moved(&mut self) -> [Option<Cursor>; 2] {
        let engine = &self.engine;
        let last = engine.n_blocks().saturating_sub(1);
        self.blocks.retain(|it| it.number == last || engine.needs_block(it.number));
        let mut cursors = if self.is_pair {
            [self.of_pair(0), self.of_pair(1)]
        } else {
            let end = self.blocks.back().map(Taken::end);
            let held =
                engine.first_held().and_then(|it| self.block(it.block).map(|block| block.cursor_at(it)));
            [held.or(end).or_else(|| self.start[0].clone()), None]
        };
        for (cursor, reported) in cursors.iter_mut().zip(&mut self.reported) {
            if cursor == reported {
                *cursor = None;
            } else {
                reported.clone_from(cursor);
            }
        }
        cursors
    }

    /// The cursor of a stream of a pair.
    fn of_pair(&self, stream: usize) -> Option<Cursor> {
        let log_place = |places: &Places, offset: usize| FilePlace::of(&places.cursor_at(usize::MAX, offset));
        if let Some(held) = self.engine.held(stream) {
            let log = self.block(held.block).and_then(|it| log_place(&it.places, held.offset));
            let DockerPlace { nanos, n_at_nanos } = held.place;
            return Some(Cursor::Docker { nanos, n_at_nanos: n_at_nanos.saturating_sub(1), log });
        }
        let Some(Taken { places, len, .. }) = self.blocks.back() else { return self.start[stream].clone() };
        let DockerPlace { nanos, n_at_nanos } = self.engine.last(stream);
        Some(Cursor::Docker { nanos, n_at_nanos, log: log_place(places, *len) })
    }

    fn block(&self, number: u64) -> Option<&Taken> {
        self.blocks.iter().find(|it| it.number == number)
    }
}

/// Gives the lines to those of the findings they are of; the others were reported earlier.
pub(super) fn spread<'f>(
    told: Vec<Around>,
    found: impl Iterator<Item = &'f mut Found>,
    later: &mut Vec<Around>,
) {
    if told.is_empty() {
        return;
    }
    let mut asked: Vec<&mut Box<Around>> = found.filter_map(|found| found.around.as_mut()).collect();
    for told in told {
        match asked.iter_mut().find(|it| it.id == told.id) {
            // What comes later tells nothing of what stands before.
            Some(around) if told.before.as_str().is_empty() => around.after = told.after,
            Some(around) => ***around = told,
            None => later.push(told),
        }
    }
}

/// The place of the last line before a cursor.
fn docker_place(cursor: Option<&Cursor>) -> DockerPlace {
    match cursor {
        Some(&Cursor::Docker { nanos, n_at_nanos, log: _ }) => DockerPlace { nanos, n_at_nanos },
        Some(Cursor::File { .. } | Cursor::Mixed { .. }) | None => DockerPlace { nanos: 0, n_at_nanos: 0 },
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
