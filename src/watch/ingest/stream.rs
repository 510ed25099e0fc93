//! One task per stream: blocks in, findings with the cursor they are safe with out.
//!
//! A report holds everything found up to its cursor, so any beginning of a stream's reports is consistent: the committer
//! may commit after any of them. An open record holds the cursor back at its first line.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::pipeline::{Found, Pipeline, StreamState};
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, StreamKey};
use crate::model::service::Service;
use crate::watch::source::lane::{Block, Loss, Origin, Parcel, Settled};

/// What a stream tells the committer.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) source: Arc<Source>,
    pub(super) found: Vec<Found>,
    /// Everything before it is in this and earlier reports; `None` when it has not moved.
    pub(super) cursor: Option<Cursor>,
    pub(super) loss: Option<Loss>,
    /// What was found of the writers of a mixed lane.
    pub(super) of_writers: Vec<(Arc<Source>, Found)>,
    /// Sources that wait until all this is committed.
    pub(super) settled: Vec<Settled>,
    /// The lane is gone; nothing follows.
    pub(super) is_end: bool,
}

impl Report {
    /// Nothing of this source.
    pub(super) const fn of(source: Arc<Source>) -> Self {
        Self {
            source,
            found: Vec::new(),
            cursor: None,
            loss: None,
            of_writers: Vec::new(),
            settled: Vec::new(),
            is_end: false,
        }
    }
}

/// Who a stream belongs to.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) stream: StreamKey,
    /// What people know it by.
    pub(super) label: String,
    pub(super) service: Service,
}

impl Source {
    pub(super) fn new(origin: Origin, service: Service) -> Self {
        Self { stream: origin.stream, label: origin.label, service }
    }
}

/// Reads one lane until it ends or a stop is asked for. What is open then is left to be read again.
pub(super) struct StreamTask {
    pub(super) source: Arc<Source>,
    pub(super) pipeline: Pipeline,
    pub(super) parcels: mpsc::Receiver<Parcel>,
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) shutdown: Shutdown,
}

/// Lines that went into the pipeline, as far back as one of them is held.
struct Reading {
    state: StreamState,
    /// Blocks with the number of their first line and how many they have.
    blocks: VecDeque<(u64, u64, Block)>,
    n_lines: u64,
    /// Where reading began.
    start: Option<Cursor>,
    reported: Option<Cursor>,
}

impl StreamTask {
    pub(super) async fn run(mut self) {
        let state = self.pipeline.stream();
        let mut reading = Reading { state, blocks: VecDeque::new(), n_lines: 0, start: None, reported: None };
        while let Some(parcel) = self.next().await {
            let mut found = Vec::new();
            let mut loss = None;
            match parcel {
                Parcel::Start(cursor) => reading.start = Some(cursor),
                Parcel::Block(block) => reading.take(&self.pipeline, block, &mut found),
                Parcel::Loss(it) => loss = Some(it),
                // They come on lanes of many writers, which have a task of their own.
                Parcel::Entries(_) | Parcel::Read { .. } | Parcel::Settle(_) => {}
                Parcel::Quiet | Parcel::End => self.pipeline.flush(&mut reading.state, &mut found),
            }
            let cursor = reading.moved();
            if found.is_empty() && loss.is_none() && cursor.is_none() {
                continue;
            }
            let source = Arc::clone(&self.source);
            if self.reports.send(Report { found, cursor, loss, ..Report::of(source) }).await.is_err() {
                return;
            }
        }
        let end = Report { is_end: true, ..Report::of(self.source) };
        // The committer is gone: it is on its way out and needs no farewell.
        let _ = self.reports.send(end).await;
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
    fn take(&mut self, pipeline: &Pipeline, block: Block, found: &mut Vec<Found>) {
        let first = self.n_lines;
        let text = block.text.clone();
        let lines = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n');
        for (line_idx, line) in lines.enumerate() {
            pipeline.push(&mut self.state, line, block.at(line_idx), found);
            self.n_lines += 1;
        }
        self.blocks.push_back((first, self.n_lines - first, block));
    }

    /// The place before which everything is reported, if it is another than the last time.
    fn moved(&mut self) -> Option<Cursor> {
        let held = self.state.held_since();
        // Blocks that lie wholly before the held line are done with; the last one stays, for the place after it.
        while self.blocks.len() > 1
            && self.blocks.front().is_some_and(|(first, n, _)| held.is_none_or(|held| first + n <= held))
        {
            self.blocks.pop_front();
        }
        let cursor = match (held, self.blocks.front()) {
            (Some(held), Some((first, _, block))) => {
                Some(block.cursor_before(usize::try_from(held.saturating_sub(*first)).unwrap_or(usize::MAX)))
            }
            (None, Some((_, _, block))) => Some(block.cursor_after()),
            (_, None) => self.start.clone(),
        };
        if cursor == self.reported {
            return None;
        }
        self.reported.clone_from(&cursor);
        cursor
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
