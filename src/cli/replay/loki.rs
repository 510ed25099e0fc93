//! What queries of Loki gave since some time, for both sets of rules: asked for once.

use std::collections::HashMap;
use std::time::Duration;

use super::{Candidate, Findings};
use crate::base::backoff::Backoff;
use crate::base::clock::Timestamp;
use crate::model::cursor::StreamKey;
use crate::watch::ingest::pipeline::{Found, Pipeline, StreamState};
use crate::watch::source::lane::Origin;
use crate::watch::source::loki::{self, Client, LokiEntry, LokiError, Pages, Query, Remedy};

const TIMEOUT: Duration = Duration::from_secs(45);
const RETRY: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(5));
/// Answers in a row that are none.
const MAX_FAILURES: u32 = 12;

/// Reads what a query gives from `since` to `until` with both candidates.
///
/// # Errors
/// Loki refuses, or does not answer however often it is asked.
pub(super) async fn read(
    query: &Query,
    (since, until): (Timestamp, Timestamp),
    candidates: [&Candidate; 2],
    findings: &mut [Findings; 2],
) -> Result<(), LokiError> {
    let client = Client::new(query.server.clone(), TIMEOUT)?;
    let nanos = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX);
    let mut pages =
        Pages::new(client, query.query.clone(), (nanos(since), &[]), nanos(until), query.max_range);
    let mut readers = candidates.map(|candidate| Reader::new(query, candidate));
    let mut n_failures = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                n_failures = 0;
                for entry in page.entries {
                    for (reader, findings) in readers.iter_mut().zip(&mut *findings) {
                        reader.take(&entry);
                        reader.found.drain(..).for_each(|found| findings.take(&found, Some(since)));
                    }
                }
            }
            Ok(None) => break,
            Err(error) if error.remedy() == Remedy::Mend || n_failures >= MAX_FAILURES => return Err(error),
            Err(_) => {
                n_failures += 1;
                tokio::time::sleep(RETRY.delay(n_failures)).await;
            }
        }
    }
    for (reader, findings) in readers.iter_mut().zip(findings) {
        reader.finish();
        reader.found.drain(..).for_each(|found| findings.take(&found, Some(since)));
    }
    Ok(())
}

/// The streams of a query, each joined by itself.
#[derive(Debug)]
struct Reader<'c> {
    query: &'c Query,
    candidate: &'c Candidate,
    /// By the hash of their labels; homeostat's own is left out.
    states: HashMap<u64, Option<(Pipeline, StreamState)>>,
    found: Vec<Found>,
}

impl<'c> Reader<'c> {
    fn new(query: &'c Query, candidate: &'c Candidate) -> Self {
        Self { query, candidate, states: HashMap::new(), found: Vec::new() }
    }

    fn take(&mut self, entry: &LokiEntry) {
        let Self { query, candidate, states, found } = self;
        let made = states.entry(entry.stream).or_insert_with(|| {
            let writer = loki::writer(entry.stream, &entry.labels, &query.service_labels)?;
            let stream = StreamKey(format!("loki:{}", query.name));
            let origin = Origin { stream, label: writer.label, thing: writer.thing };
            let pipeline = candidate.pipeline.for_service(&candidate.services.of(&origin).name);
            let state = pipeline.stream();
            Some((pipeline, state))
        });
        let Some((pipeline, state)) = made else { return };
        let at = Timestamp::from_nanosecond(entry.nanos.into()).ok();
        let text = entry.text.trim_end_matches('\n');
        // One of several lines is whole.
        let is_whole = text.contains('\n');
        if is_whole {
            pipeline.flush(state, found);
        }
        text.split('\n').for_each(|line| pipeline.push(state, line.as_bytes(), at, found));
        if is_whole {
            pipeline.flush(state, found);
        }
    }

    fn finish(&mut self) {
        for (pipeline, state) in self.states.values_mut().flatten() {
            pipeline.flush(state, &mut self.found);
        }
    }
}

/// The queries with this name, or all of them.
pub(super) fn named<'q>(queries: &'q [Query], name: &str) -> Result<Vec<&'q Query>, String> {
    let chosen: Vec<&Query> = queries.iter().filter(|query| name == "all" || query.name == name).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = queries.iter().map(|query| query.name.as_str()).collect();
        let known = if names.is_empty() { "it has none".to_owned() } else { names.join(", ") };
        return Err(format!("the config has no [[loki]] query `{name}`: {known}"));
    }
    Ok(chosen)
}
