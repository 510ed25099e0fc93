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

/// Takes any bytes; panics where something does not hold.
pub(crate) type Target = fn(&[u8]);

/// All of them, by the names that `make fuzz` takes.
pub(crate) const TARGETS: [(&str, Target); 6] = [
    ("scan", scan),
    ("docker-json", |data| wrapped(Format::DockerJson, data)),
    ("cri", |data| wrapped(Format::Cri, data)),
    ("jsonl", |data| wrapped(Format::Jsonl, data)),
    ("join", join),
    ("webhook", webhook),
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
            let identity = it.fingerprinted.levels.identity.to_string();
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
        let identity = it.found.fingerprinted.levels.identity.to_string();
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
