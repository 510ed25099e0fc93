//! A stream's record ends when its source says so, never because its lines come late.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::base::clock::Timestamp;
use crate::model::service::{Route, Service};
use crate::watch::ingest::pipeline::StreamState;
use crate::watch::source::lane::{DockerPlace, Places};

fn block(lines: &[(i64, &str)]) -> Parcel {
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let places = lines.iter().map(|(second, _)| DockerPlace { nanos: second * 1_000_000_000, n_at_nanos: 1 });
    Parcel::Block(Block { text: Bytes::from(text), places: Places::Docker(places.collect()) })
}

/// What is found when the parcels come with an hour between any two of them.
async fn found(parcels: Vec<Parcel>) -> Vec<u32> {
    let (parcels_tx, parcels_rx) = mpsc::channel(1);
    let (reports_tx, mut reports) = mpsc::channel(64);
    let stream = StreamKey("docker:1:stdout".to_owned());
    let service = Service { name: "shop".to_owned(), repository: None, route: Route::Ticket };
    let source = Arc::new(Source { stream, second: None, label: "shop-1".to_owned(), service });
    let task = StreamTask {
        source,
        pipeline: Pipeline::builtin(),
        committed: [None, None],
        parcels: parcels_rx,
        reports: reports_tx,
        turns: Arc::new(Semaphore::new(1)),
        shutdown: Shutdown::new(),
    };
    tokio::spawn(task.run());
    for parcel in parcels {
        parcels_tx.send(parcel).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    }
    drop(parcels_tx);
    let mut n_lines = Vec::new();
    while let Some(report) = reports.recv().await {
        n_lines.extend(report.found.iter().map(|found| found.n_lines));
    }
    n_lines
}

#[tokio::test(start_paused = true)]
async fn only_the_source_knows_that_a_stream_is_quiet() {
    let first = || block(&[(1, "com.acme.Boom: no stock"), (1, "\tat com.acme.A.a(A.java:1)")]);
    let second = || block(&[(2, "\tat com.acme.B.b(B.java:2)"), (2, "\tat com.acme.C.c(C.java:3)")]);
    assert_eq!(found(vec![first(), second(), Parcel::Quiet]).await, [4], "late, but logged together");
    assert_eq!(found(vec![first(), second(), Parcel::End]).await, [4]);
    assert_eq!(found(vec![first(), Parcel::Quiet, Parcel::Quiet]).await, [2]);
    assert_eq!(found(vec![first(), second()]).await, Vec::<u32>::new(), "left open, to be read again");
}

/// A task that nobody runs, for what it holds.
fn idle_task(is_pair: bool) -> StreamTask {
    let key = |name: &str| StreamKey(name.to_owned());
    let service = Service { name: "shop".to_owned(), repository: None, route: Route::Ticket };
    let second = is_pair.then(|| key("docker:1:stderr"));
    let source = Source { stream: key("docker:1:stdout"), second, label: "shop-1".to_owned(), service };
    StreamTask {
        source: Arc::new(source),
        pipeline: Pipeline::builtin(),
        committed: [None, None],
        parcels: mpsc::channel(1).1,
        reports: mpsc::channel(1).0,
        turns: Arc::new(Semaphore::new(1)),
        shutdown: Shutdown::new(),
    }
}

#[test]
fn a_loss_of_a_pair_is_of_its_stream_or_of_both() {
    let of = |is_pair, of_stream| {
        let loss = Loss { from: String::new(), to: String::new(), reason: String::new(), of_stream };
        idle_task(is_pair).source.of_loss(&loss).0
    };
    let (stdout, stderr) = ("docker:1:stdout", "docker:1:stderr");
    assert_eq!([of(true, Some(0)), of(true, Some(1)), of(true, None)], [stdout, stderr, "docker:1"]);
    assert_eq!(of(false, None), stdout);
}

/// Stream, nanoseconds, text.
type Line = (usize, i64, String);

const FILE: FilePlace =
    FilePlace { device: 1, inode: 2, prefix_hash: 3, prefix_len: 4, offset: 1000, before: 5 };

const START: i64 = 1_767_348_000_000_000_000;

/// The line as the engine writes it, or alone.
fn written(is_pair: bool, (stream, nanos, text): &Line) -> String {
    if !is_pair {
        return format!("{text}\n");
    }
    let time = Timestamp::from_nanosecond((*nanos).into()).unwrap();
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    format!(
        "{{\"log\":\"{text}\\n\",\"stream\":\"{}\",\"time\":\"{time}\"}}\n",
        ["stdout", "stderr"][*stream]
    )
}

/// Of both streams.
type Cursors = [Option<Cursor>; 2];

/// A stream read alone: its state, and place and offset of each line.
type Alone = (StreamState, Vec<(DockerPlace, u64)>);

/// What each stream alone says line after line: findings, and the cursors after every line of all.
fn by_line(is_pair: bool, lines: &[Line]) -> (Vec<(usize, Found)>, Vec<Cursors>) {
    let pipeline = Pipeline::builtin();
    let mut states: [Alone; 2] = [0, 1].map(|_| (pipeline.stream(), Vec::new()));
    let mut found = Vec::new();
    let mut cursors = Vec::new();
    let mut offset = FILE.offset;
    for (line_idx, line) in lines.iter().enumerate() {
        let (stream, nanos, text) = line;
        let (state, places) = &mut states[if is_pair { *stream } else { 0 }];
        let last = places.last().map_or(DockerPlace { nanos: 0, n_at_nanos: 0 }, |it| it.0);
        places.push((last.then(*nanos), offset));
        let at = is_pair.then(|| Timestamp::from_nanosecond((*nanos).into()).unwrap());
        let mut new = Vec::new();
        pipeline.push(state, text.as_bytes(), at, &mut new);
        // A stream that is silent while the other goes on is at its end.
        for (state, places) in &mut states {
            let last = places.last().map_or(0, |it: &(DockerPlace, u64)| it.0.nanos);
            if is_pair && last + 2_000_000_000 < *nanos {
                pipeline.flush(state, &mut new);
            }
        }
        found.extend(new.into_iter().map(|it| (line_idx, it)));
        offset += written(is_pair, line).len() as u64;
        let cursor = |(state, places): &Alone| {
            let held = state.held_since().map(|it| places[usize::try_from(it).unwrap()]);
            let last = places.last().map_or(DockerPlace { nanos: 0, n_at_nanos: 0 }, |it| it.0);
            let place = FilePlace { offset: held.map_or(offset, |it| it.1), ..FILE };
            let DockerPlace { nanos, n_at_nanos } =
                held.map_or(last, |(it, _)| DockerPlace { n_at_nanos: it.n_at_nanos - 1, ..it });
            let docker = Cursor::Docker { nanos, n_at_nanos, log: Some(place) };
            if is_pair { docker } else { place.cursor() }
        };
        cursors.push([Some(cursor(&states[0])), is_pair.then(|| cursor(&states[1]))]);
    }
    (found, cursors)
}

/// The same by blocks of so many lines each: findings by text, and the cursors after each block.
fn by_block(is_pair: bool, lines: &[Line], cuts: &[usize]) -> (Vec<Found>, Vec<(usize, Cursors)>) {
    let mut reading = Reading::new(&idle_task(is_pair));
    let mut found = Vec::new();
    let mut cursors = Vec::new();
    let (mut offset, mut n_lines) = (FILE.offset, 0);
    let mut now = [None, None];
    for cut in cuts.iter().cycle().take(lines.len()) {
        let block: String = lines[n_lines..].iter().take(*cut).map(|it| written(is_pair, it)).collect();
        if block.is_empty() {
            break;
        }
        n_lines += cut.min(&(lines.len() - n_lines));
        let place = FilePlace { offset, ..FILE };
        offset += block.len() as u64;
        let FilePlace { device, inode, prefix_hash, prefix_len, offset, before } = place;
        let places = if is_pair {
            Places::DockerFile { place, taken_to: [0, 0] }
        } else {
            Places::File { device, inode, prefix_hash, prefix_len, offset, before }
        };
        reading.take(Block { text: Bytes::from(block), places }, &mut found, &mut Vec::new());
        for (now, moved) in now.iter_mut().zip(reading.moved()) {
            *now = moved.or(now.take());
        }
        cursors.push((n_lines, now.clone()));
    }
    (found, cursors)
}

fn some_lines() -> impl Strategy<Value = Vec<Line>> {
    let trace =
        "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g()\nValueError: x";
    let node = "/app/shop.js:12\n  throw new Boom('x')\n  ^\n\nBoom: x\n    at f (/app/shop.js:12:9)\n\nNode.js v20.1.0";
    let text = prop_oneof![
        8 => (1..60_usize).prop_map(|n| vec!["order 7 is done"; n].join("\n")),
        2 => proptest::sample::select(vec![trace, node, "error: x", "0 errors", "  indented", "", "panic: y"])
            .prop_map(str::to_owned),
    ];
    let step = prop_oneof![3 => Just(0_i64), 6 => Just(1_000_000), 1 => Just(5_000_000_000)];
    proptest::collection::vec((0..2_usize, text, step), 0..20).prop_map(|texts| {
        let mut nanos = START;
        let mut lines = Vec::new();
        for (stream, text, step) in texts {
            for line in text.split('\n') {
                nanos += step;
                lines.push((stream, nanos, line.to_owned()));
            }
        }
        lines
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cuts_change_neither_findings_nor_cursors(
        lines in some_lines(),
        is_pair in any::<bool>(),
        cuts in proptest::collection::vec(prop_oneof![1..4_usize, 1..90_usize, Just(1000_usize)], 1..6),
    ) {
        let (expected, cursors_by_line) = by_line(is_pair, &lines);
        let (found, cursors) = by_block(is_pair, &lines, &cuts);
        let rows = |found: &mut dyn Iterator<Item = &Found>| {
            let mut rows: Vec<_> = found.map(|it| (it.text.as_str().to_owned(), it.n_lines, it.at)).collect();
            rows.sort();
            rows
        };
        prop_assert_eq!(rows(&mut found.iter()), rows(&mut expected.iter().map(|(_, it)| it)));
        for (n_lines, cursors) in cursors {
            prop_assert_eq!(&cursors, &cursors_by_line[n_lines - 1], "after {} lines", n_lines);
        }
    }
}
