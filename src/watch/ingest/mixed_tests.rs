//! Interleaved writers, read from any cursor: each record once.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::base::clock::Timestamp;
use crate::model::cursor::StreamKey;
use crate::model::service::Service;
use crate::watch::ingest::{around, services};
use crate::watch::source::lane::Thing;

const SECOND: i64 = 1_000_000_000;

fn entry(writer: u64, number: u64, tick: i64, text: &str) -> Entry {
    let label = format!("writer-{writer}");
    let thing = Thing::Named { name: label.clone() };
    Entry {
        writer: Arc::new(Writer { key: writer, label, thing }),
        at: Timestamp::from_nanosecond(tick.into()).ok(),
        tick,
        text: Bytes::copy_from_slice(text.as_bytes()),
        mark: Mark::Spool { offset: number + 1 },
    }
}

/// Compiled once: the rules take longer than the tests.
static PIPELINE: LazyLock<Pipeline> = LazyLock::new(Pipeline::builtin);

fn mixing(cursor: Option<Cursor>) -> Mixing {
    let stream = StreamKey("otlp:".to_owned());
    let source = Source { stream, second: None, label: "otlp".to_owned(), service: Service::unknown("otlp") };
    let services = Arc::new(ServiceMap::new(services::Settings::default()));
    Mixing::new(Arc::new(source), PIPELINE.clone(), services, cursor)
}

fn start() -> Cursor {
    Cursor::Mixed { place: MixedPlace::Spool { offset: 0 }, ahead: Vec::new() }
}

/// What a report gives: texts by service, in no order.
type Counts = BTreeMap<(String, String), u32>;

fn add(counts: &mut Counts, report: &Report) {
    for (source, found) in &report.of_writers {
        *counts.entry((source.service.name.clone(), found.text.as_str().to_owned())).or_default() += 1;
    }
}

/// Traces and single lines of several writers, interleaved, some with long silence.
fn story(random: &mut fastrand::Rng) -> Vec<Entry> {
    let mut queues: Vec<Vec<String>> = Vec::new();
    for writer in 0..random.usize(1..6) {
        let mut lines = Vec::new();
        for n in 0..random.usize(1..12) {
            match random.u8(0..6) {
                0 => lines.extend([
                    format!("com.acme.Boom{writer}: no stock {n}"),
                    "\tat com.acme.A.a(A.java:1)".to_owned(),
                    "\tat com.acme.B.b(B.java:2)".to_owned(),
                ]),
                1 => lines.push(format!("ERROR writer {writer} failed {n}")),
                2 => lines.extend([
                    "Traceback (most recent call last):".to_owned(),
                    format!("  File \"/app/a{writer}.py\", line {n}, in go"),
                    "    run()".to_owned(),
                    format!("ValueError: no number {n}"),
                ]),
                3 => lines.push(format!("ERROR whole {n}\nTraceback (most recent call last):\n  File \"/a.py\", line 1, in a\nKeyError: {n}")),
                _ => lines.push(format!("info: all is well {n}")),
            }
        }
        lines.reverse();
        queues.push(lines);
    }
    let mut entries = Vec::new();
    let mut tick = SECOND;
    while queues.iter().any(|queue| !queue.is_empty()) {
        let writer = random.usize(0..queues.len());
        if let Some(text) = queues[writer].pop() {
            tick += if random.u8(0..8) == 0 { 3 * SECOND } else { random.i64(0..SECOND / 10) };
            entries.push(entry(writer as u64, entries.len() as u64, tick, &text));
        }
    }
    entries
}

/// Reads on from a cursor with parcels of random length; what was committed last and its cursor when it is cut off.
fn run(
    random: &mut fastrand::Rng,
    entries: &[Entry],
    cursor: Cursor,
    counts: &mut Counts,
    is_last: bool,
) -> Cursor {
    let Cursor::Mixed { place: MixedPlace::Spool { offset }, .. } = &cursor else { panic!("{cursor:?}") };
    let mut left = &entries[usize::try_from(*offset).unwrap()..];
    let mut mixing = mixing(Some(cursor.clone()));
    let mut committed = cursor;
    while !left.is_empty() {
        let n = random.usize(1..=left.len().min(7));
        let (now, later) = left.split_at(n);
        left = later;
        if !is_last && random.u8(0..8) == 0 {
            return committed;
        }
        let Some(report) = mixing.take(Parcel::Entries(now.to_vec())) else { continue };
        add(counts, &report);
        committed = report.cursors[0].clone().unwrap_or(committed);
    }
    if is_last && let Some(report) = mixing.take(Parcel::End) {
        add(counts, &report);
        committed = report.cursors[0].clone().unwrap_or(committed);
    }
    committed
}

#[test]
fn a_source_read_again_from_any_cursor_gives_each_record_once() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let entries = story(&mut random);
        let mut truth = Counts::new();
        run(&mut random, &entries, start(), &mut truth, true);
        let mut counts = Counts::new();
        let mut cursor = start();
        for _ in 0..random.u8(0..6) {
            cursor = run(&mut random, &entries, cursor, &mut counts, false);
        }
        let end = run(&mut random, &entries, cursor, &mut counts, true);
        assert_eq!(counts, truth, "seed {seed}");
        let place = MixedPlace::Spool { offset: entries.len() as u64 };
        assert_eq!(end, Cursor::Mixed { place, ahead: Vec::new() }, "seed {seed}");
    }
}

#[test]
fn an_open_record_holds_back_neither_others_nor_itself_when_silent() {
    let mut mixing = mixing(Some(start()));
    let report = mixing.take(Parcel::Entries(vec![
        entry(1, 0, SECOND, "ERROR no stock"),
        entry(2, 1, SECOND, "ERROR all at once\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\nKeyError: 1"),
    ]));
    let report = report.unwrap();
    assert_eq!(report.of_writers.len(), 1);
    assert_eq!(
        report.cursors[0].clone(),
        Some(Cursor::Mixed {
            place: MixedPlace::Spool { offset: 0 },
            ahead: vec![Ahead { writer: 2, n_entries: 1 }]
        })
    );
    let (told, mut is_told) = oneshot::channel();
    assert!(mixing.take(Parcel::Settle(Settled(told))).is_none());
    let report = mixing.take(Parcel::Entries(vec![entry(3, 2, 4 * SECOND, "hello")])).unwrap();
    assert_eq!(report.of_writers.len(), 1, "the trace of the silent one");
    assert_eq!(report.settled.len(), 1);
    drop(report);
    is_told.try_recv().expect_err("dropped, not told");
    let place = MixedPlace::Spool { offset: 9 };
    let report = mixing.take(Parcel::Read { place: place.clone(), until: 7 * SECOND }).unwrap();
    assert_eq!(report.cursors[0], Some(Cursor::Mixed { place, ahead: Vec::new() }));
}

#[test]
fn what_is_remembered_is_bounded_however_many_write() {
    let mut mixing = mixing(Some(start()));
    for number in 0..MAX_WRITERS as u64 + 500 {
        // All at one time, all with an open record.
        mixing.take(Parcel::Entries(vec![entry(number, number, SECOND, "com.acme.Boom: no stock")]));
        assert!(mixing.members.len() <= MAX_WRITERS);
        assert!(mixing.sent.len() <= MAX_WRITERS);
    }
    let long = "x".repeat(1 << 20);
    for number in 0..40 {
        let texts =
            vec![entry(1, number, SECOND, "com.acme.Boom: no stock"), entry(2, number, SECOND, &long)];
        mixing.take(Parcel::Entries(texts));
        assert!(mixing.n_bytes <= MAX_BYTES + (2 << 20), "{}", mixing.n_bytes);
    }
}

#[test]
fn the_place_in_loki_is_a_time_with_what_was_seen_of_it() {
    let mut place = None;
    let loki = |nanos, seen: &[u64]| MixedPlace::Loki { nanos, seen: seen.to_vec() };
    for (sent, expected) in [
        (Sent::Place(loki(5, &[])), loki(5, &[])),
        (Sent::Entry { writer: 1, mark: Mark::Loki { nanos: 5, hash: 1 }, n_bytes: 0 }, loki(5, &[1])),
        (Sent::Entry { writer: 2, mark: Mark::Loki { nanos: 5, hash: 2 }, n_bytes: 0 }, loki(5, &[1, 2])),
        (Sent::Entry { writer: 2, mark: Mark::Loki { nanos: 6, hash: 3 }, n_bytes: 0 }, loki(6, &[3])),
    ] {
        sent.pass(&mut place);
        assert_eq!(place, Some(expected));
    }
}

#[test]
fn a_record_is_told_with_the_lines_of_its_writer() {
    let settings = around::Settings { before: 2, after: 2, ..around::Settings::default() };
    let mut mixing = Mixing { recents: Recents::new(settings), ..mixing(Some(start())) };
    let lines = [
        (1, "INFO one"),
        (1, "INFO two"),
        (2, "INFO of another"),
        (1, "INFO three"),
        (1, "ERROR no stock"),
        (2, "INFO of another still"),
        (1, "INFO four"),
        (1, "INFO five"),
        (1, "INFO six"),
    ];
    // Far apart: the writer is taken to be silent between any two lines.
    let entries =
        lines.iter().zip(0..).map(|((writer, text), n)| entry(*writer, n, n as i64 * 60 * SECOND, text));
    let (mut told, mut later) = (Vec::new(), Vec::new());
    for entry in entries {
        let Some(report) = mixing.take(Parcel::Entries(vec![entry])) else { continue };
        told.extend(report.of_writers.into_iter().filter_map(|(_, found)| found.around));
        later.extend(report.later);
    }
    let [told] = told.try_into().unwrap();
    assert_eq!((told.before.as_str(), told.after.as_str()), ("INFO two\nINFO three", ""));
    let [later] = later.try_into().unwrap();
    assert_eq!((later.id, later.after.as_str()), (told.id, "INFO four\nINFO five"));
}
