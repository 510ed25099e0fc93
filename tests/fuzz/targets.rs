//! What must hold for any bytes, one function for each part that takes bytes from outside.
//!
//! `make fuzz` lets libFuzzer look for bytes that break one; the ordinary tests run each over texts that are changed at random.

use std::sync::LazyLock;

use homeostat::base::clock::Timestamp;
use homeostat::model::record::Record;
use homeostat::watch::ingest::alerts::Webhook;
use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::Scan;
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::join::{Joiner, Limits};
use homeostat::watch::source::docker::lines::{self, TerminalSplitter};
use homeostat::watch::source::{journal, loki, otlp, syslog};

/// Takes any bytes; panics where something does not hold.
pub(crate) type Target = fn(&[u8]);

/// All of them, by the names that `make fuzz` takes.
pub(crate) const TARGETS: [(&str, Target); 12] = [
    ("scan", scan),
    ("docker-json", |data| wrapped(Format::DockerJson, data)),
    ("cri", |data| wrapped(Format::Cri, data)),
    ("jsonl", |data| wrapped(Format::Jsonl, data)),
    ("join", join),
    ("webhook", webhook),
    ("frames", frames),
    ("terminal", terminal),
    ("otlp", otlp_request),
    ("syslog", syslog_stream),
    ("journal", journal_line),
    ("loki", loki_answer),
];

static PIPELINE: LazyLock<Pipeline> = LazyLock::new(Pipeline::builtin);

/// Stream, number of the first line, number of lines, text, fingerprint.
type Row = (Option<String>, u64, u32, String, String);

/// Plain lines: however they are cut into blocks, what is found is what pushing line by line finds.
fn scan(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let mut state = PIPELINE.stream();
    let mut found = Vec::new();
    for line in text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n') {
        PIPELINE.push(&mut state, line, None, &mut found);
    }
    PIPELINE.flush(&mut state, &mut found);
    let by_line: Vec<Row> = found
        .iter()
        .map(|it| {
            let identity = it.identity.fingerprint.to_string();
            (None, it.first_line + 1, it.n_lines, it.text.as_str().to_owned(), identity)
        })
        .collect();
    assert_eq!(in_blocks(Format::Plain, text, block_bytes(*first)), by_line);
}

/// Wrapped lines: odd ones are no error, and blocks make no difference.
fn wrapped(format: Format, data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    Format::of(text);
    assert_eq!(in_blocks(format, text, block_bytes(*first)), in_blocks(format, text, 1 << 20));
}

fn block_bytes(choice: u8) -> usize {
    const SIZES: [usize; 8] = [1, 2, 7, 31, 64, 200, 1000, 1 << 16];
    SIZES[usize::from(choice) % SIZES.len()]
}

fn in_blocks(format: Format, text: &[u8], block_bytes: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut scan = Scan::new(PIPELINE.clone(), Some(format)).with_blocks(block_bytes);
    // Two bytes that say gzip would make another text of it.
    let text = if text.starts_with(&[0x1f, 0x8b]) { &text[1..] } else { text };
    scan.reader(text, &mut |it| {
        let identity = it.found.identity.fingerprint.to_string();
        let text = it.found.text.as_str().to_owned();
        rows.push((it.stream.map(str::to_owned), it.found.first_line, it.found.n_lines, text, identity));
    })
    .expect("bytes in memory can be read");
    let n_lines =
        memchr::memchr_iter(b'\n', text).count() + usize::from(!text.is_empty() && !text.ends_with(b"\n"));
    let summary = scan.summary();
    assert_eq!((summary.bytes, summary.lines), (text.len() as u64, n_lines as u64));
    rows
}

/// Records stand in the order of their lines, hold each line at most once, stay within bounds, and leave out no candidate.
fn join(data: &[u8]) {
    let limits =
        Limits { max_lines: 20, max_bytes: 2000, look_back: 8, long_message: 30, ..Limits::default() };
    let mut joiner = Joiner::new(limits);
    let mut records: Vec<Record> = Vec::new();
    let mut candidates = Vec::new();
    let mut second = 0_i64;
    for (number, line) in (0_u64..).zip(data.split(|byte| *byte == b'\n')) {
        // The first byte says whether a rule hit the line, and how long after the one before it was logged.
        let (flags, line) = line.split_first().map_or((0, line), |(flags, line)| (*flags, line));
        second += i64::from(flags >> 5);
        let at = (flags & 2 != 0).then(|| Timestamp::from_second(second).expect("a small number of seconds"));
        if flags & 1 != 0 {
            candidates.push(number);
        }
        joiner.push(&String::from_utf8_lossy(line), flags & 1 != 0, at, &mut records);
        let held = joiner.held_since();
        assert!(held.is_none_or(|held| held <= number), "{held:?} is held at line {number}");
    }
    joiner.flush(&mut records);
    assert_eq!(joiner.held_since(), None);
    let mut end = 0;
    for record in &records {
        assert!(record.n_lines > 0 && record.first_line >= end, "{records:?}");
        assert!(record.text.len() <= limits.max_bytes, "{} bytes", record.text.len());
        assert!(record.text.split('\n').count() <= limits.max_lines as usize, "{record:?}");
        end = record.first_line + u64::from(record.n_lines);
    }
    for number in candidates {
        let holds = |it: &&Record| (it.first_line..it.first_line + u64::from(it.n_lines)).contains(&number);
        assert_eq!(records.iter().filter(holds).count(), 1, "line {number} in {records:?}");
    }
}

/// Any body is read or refused.
fn webhook(data: &[u8]) {
    if let Ok(webhook) = Webhook::read(data) {
        assert!(webhook.alerts.len() <= 1000);
    }
}

/// Messages of the engine's log API: no byte of a line is lost or made up. The client's library takes them out of their frames.
fn frames(data: &[u8]) {
    let mut joiner = lines::Joiner::new(false);
    let (mut n_taken, mut n_given, mut n_ended) = (0, 0, 0);
    for message in data.split(|byte| *byte == 0) {
        // The first byte says whether the time is a good one, and whether the message ends its line.
        let (flags, body) = message.split_first().map_or((0, message), |(flags, body)| (*flags, body));
        let stamp = format!("2026-01-02T03:04:05.00000000{}Z ", flags >> 5);
        let end: &[u8] = if flags & 1 == 0 { b"\n" } else { b"" };
        let stamped = [if flags & 2 == 0 { stamp.as_bytes() } else { b"" }, body, end].concat();
        let Some((before, own)) = joiner.push(&stamped) else { continue };
        let body = &stamped[stamp.len()..];
        n_taken += body.len();
        let is_end = body.ends_with(b"\n");
        n_ended += usize::from(is_end);
        assert_eq!(own.is_some(), is_end, "a line ends with its line break");
        n_given += [before, own].into_iter().flatten().map(|line| line.text.len()).sum::<usize>();
    }
    n_given += joiner.finish().map_or(0, |line| line.text.len());
    assert_eq!(n_given + n_ended + usize::try_from(joiner.n_cut_bytes).unwrap_or(0), n_taken);
}

/// The unframed output of a container with a terminal: however it comes, the messages are the same, and together they are all of it.
fn terminal(data: &[u8]) {
    const NOW: i64 = 1_800_000_000_000_000_000;
    let Some((first, output)) = data.split_first() else { return };
    let messages = |chunk: usize| {
        let mut splitter = TerminalSplitter::default();
        let mut messages: Vec<Vec<u8>> =
            output.chunks(chunk).flat_map(|chunk| splitter.push(chunk, NOW)).collect();
        messages.extend(splitter.finish(NOW));
        messages
    };
    let whole = messages(output.len().max(1));
    assert_eq!(messages(block_bytes(*first)), whole);
    assert_eq!(whole.concat(), output);
}

/// Any request is read or refused, and what is made of it is not many times as large.
fn otlp_request(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let logs = match first % 2 {
        0 => otlp::read_protobuf(body).ok(),
        _ => otlp::read_json(body).ok(),
    };
    let items = logs.map(otlp::items).unwrap_or_default();
    let n_bytes: usize = items.iter().map(|item| item.text.len()).sum();
    assert!(n_bytes <= 40 * body.len() + 100, "{n_bytes} bytes of text from {}", body.len());
    for item in items {
        assert!(!item.service.is_empty() && !item.text.ends_with(b"\n"), "{item:?}");
        assert!(item.service.len() + item.label.len() <= 4096, "{} bytes of label", item.label.len());
    }
}

/// Messages are the same however the stream is cut; each is one, with a text no longer than itself.
fn syslog_stream(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else { return };
    let messages = |chunk: usize| {
        let (mut framer, mut messages) = (syslog::Framer::default(), Vec::new());
        for chunk in stream.chunks(chunk) {
            framer.push(chunk, &mut messages);
        }
        framer.finish(&mut messages);
        (messages, framer.take_cut())
    };
    let whole = messages(stream.len().max(1));
    assert_eq!(messages(block_bytes(*first)), whole);
    for bytes in whole.0 {
        let message = syslog::read(&bytes);
        assert!(message.text.len() <= bytes.len(), "{message:?}");
    }
}

/// A line of `journalctl --output=json` is an entry with a service and a place, or none.
fn journal_line(data: &[u8]) {
    if let Some(entry) = journal::read(&String::from_utf8_lossy(data)) {
        assert!(!entry.service.is_empty() && !entry.cursor.is_empty(), "{entry:?}");
    }
}

/// An answer is no log query's, or gives streams whose entries are in order.
fn loki_answer(data: &[u8]) {
    let streams = loki::read(data).unwrap_or_default();
    for stream in &streams {
        assert!(stream.entries.is_sorted_by_key(|(nanos, _)| *nanos), "{stream:?}");
        assert!(!stream.labels.contains_key("detected_level"), "{stream:?}");
    }
    let labels: std::collections::BTreeSet<_> = streams.iter().map(|stream| &stream.labels).collect();
    assert_eq!(labels.len(), streams.len(), "no stream comes twice");
}
