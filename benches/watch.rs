//! What the parts of the watching half cost, one by one: `cargo bench --bench watch`.
//!
//! The whole way of a log, beside other tools, is measured by `make bench`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must fail")]

use std::hint::black_box;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

use homeostat::base::clock::Timestamp;
use homeostat::base::redact::{Clean, Redactor};
use homeostat::model::cursor::{Cursor, StreamKey};
use homeostat::model::occurrence::CommitBatch;
use homeostat::store;
use homeostat::watch::fingerprint::Fingerprinter;
use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::Scan;
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::join::{Joiner, Limits};

const ORDINARY: &str = "2026-01-02 10:00:00,123 INFO  [http-nio-8080-exec-3] com.acme.shop.OrderService - order 4711 accepted in 12 ms\n";
const TRACE: &str = "java.lang.IllegalStateException: no stock for item 4711\n\
    \tat com.acme.shop.Stock.take(Stock.java:41)\n\
    \tat com.acme.shop.Order.place(Order.java:88)\n\
    \tat com.acme.shop.web.OrderController.post(OrderController.java:23)\n\
    Caused by: java.sql.SQLTransientConnectionException: pool is empty\n\
    \tat com.zaxxer.hikari.pool.HikariPool.borrow(HikariPool.java:70)\n\
    \t... 7 more\n";

fn main() {
    divan::main();
    #[expect(clippy::print_stdout, reason = "the ratio is for people to read")]
    {
        println!("{}", trace_lines());
    }
}

/// The lines of the project's traces, each trace behind an ordinary line.
fn traces() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/traces");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    paths.sort();
    let texts = paths.iter().map(|it| String::from_utf8_lossy(&std::fs::read(it).unwrap()).into_owned());
    texts
        .flat_map(|it| {
            std::iter::once(ORDINARY.trim_end()).chain(it.lines()).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Joins lines and fingerprints the records, remembering nothing from one to the next.
fn join_and_fingerprint(pipeline: &Pipeline, lines: &[String]) -> usize {
    let fingerprinter = Fingerprinter::builtin();
    let (mut joiner, mut records) = (Joiner::new(Limits::default()), Vec::new());
    for line in lines {
        joiner.push(line, pipeline.scanner().is_candidate(line.as_bytes()), None, &mut records);
    }
    joiner.flush(&mut records);
    records.iter().map(|it| fingerprinter.fingerprint(&Clean::trusted(it.text.as_str())).preimage.len()).sum()
}

/// How many lines of traces a second are joined and fingerprinted on one core, beside splitting the same bytes into lines.
fn trace_lines() -> String {
    let (pipeline, lines) = (Pipeline::builtin(), traces());
    let text = lines.join("\n");
    let fastest = |work: &dyn Fn() -> usize| {
        let once = |_| {
            let start = std::time::Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64()
        };
        (0..20).map(once).fold(f64::INFINITY, f64::min)
    };
    let joined = fastest(&|| join_and_fingerprint(&pipeline, &lines));
    let split = fastest(&|| memchr::memchr_iter(b'\n', text.as_bytes()).count());
    let n = lines.len() as f64;
    format!(
        "trace lines: {:.0} a second joined and fingerprinted, {:.0} split by memchr, {:.0} times as many",
        n / joined,
        n / split,
        joined / split
    )
}

/// Every line of every trace is joined and fingerprinted anew.
#[divan::bench]
fn traces_anew(bencher: Bencher<'_, '_>) {
    let (pipeline, lines) = (Pipeline::builtin(), traces());
    bencher
        .counter(ItemsCount::new(lines.len()))
        .bench_local(|| join_and_fingerprint(&pipeline, black_box(&lines)));
}

/// The same as a log that is scanned: what came before is known again.
#[divan::bench]
fn traces_scanned(bencher: Bencher<'_, '_>) {
    let lines = traces();
    let text = lines.join("\n");
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        let mut scan = Scan::new(Pipeline::builtin(), Some(Format::Plain));
        scan.reader(black_box(text.as_bytes()), &mut |_| ()).unwrap();
        scan.summary()
    });
}

/// What the same bytes cost at least: their line breaks found.
#[divan::bench]
fn traces_split(bencher: Bencher<'_, '_>) {
    let lines = traces();
    let text = lines.join("\n");
    bencher
        .counter(ItemsCount::new(lines.len()))
        .bench_local(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count());
}

/// So many ordinary lines for each trace.
fn log(n_ordinary: usize) -> String {
    let part = format!("{}{TRACE}", ORDINARY.repeat(n_ordinary));
    part.repeat((1 << 20) / part.len() + 1)
}

fn docker(text: &str) -> String {
    let line = |it: &str| {
        let text = it.replace('\t', "\\t");
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T10:00:00.123456789Z\"}}\n"
        )
    };
    text.lines().map(line).collect()
}

/// The search for candidates in a block that has none.
#[divan::bench]
fn scan_ordinary(bencher: Bencher<'_, '_>) {
    let (pipeline, block) = (Pipeline::builtin(), ORDINARY.repeat(5000));
    let scan = || pipeline.scanner().candidates(black_box(block.as_bytes())).count();
    bencher.counter(BytesCount::of_str(&block)).bench_local(scan);
}

/// The whole way of a log, with one trace for so many ordinary lines.
#[divan::bench(args = [1000, 100, 10])]
fn whole_way(bencher: Bencher<'_, '_>, n_ordinary: usize) {
    scan_all(bencher, Format::Plain, &log(n_ordinary));
}

/// The same as Docker writes it.
#[divan::bench(args = [1000, 100, 10])]
fn decode_docker(bencher: Bencher<'_, '_>, n_ordinary: usize) {
    scan_all(bencher, Format::DockerJson, &docker(&log(n_ordinary)));
}

fn scan_all(bencher: Bencher<'_, '_>, format: Format, text: &str) {
    bencher.counter(BytesCount::of_str(text)).bench_local(|| {
        let mut scan = Scan::new(Pipeline::builtin(), Some(format));
        scan.reader(black_box(text.as_bytes()), &mut |_| ()).unwrap();
        scan.summary()
    });
}

#[divan::bench]
fn join(bencher: Bencher<'_, '_>) {
    let lines: Vec<&str> = TRACE.lines().collect();
    bencher.counter(ItemsCount::new(lines.len())).bench_local(|| {
        let (mut joiner, mut records) = (Joiner::new(Limits::default()), Vec::new());
        for line in &lines {
            joiner.push(black_box(line), line.contains("Exception"), None, &mut records);
        }
        joiner.flush(&mut records);
        records
    });
}

#[divan::bench]
fn redact(bencher: Bencher<'_, '_>) {
    let redactor = Redactor::builtin();
    bencher.counter(BytesCount::of_str(TRACE)).bench_local(|| redactor.redact(black_box(TRACE)));
}

#[divan::bench]
fn fingerprint(bencher: Bencher<'_, '_>) {
    let (fingerprinter, text) = (Fingerprinter::builtin(), Clean::trusted(TRACE));
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| fingerprinter.fingerprint(black_box(&text)));
}

/// The cursors of so many streams in one transaction of SQLite, on disk.
#[divan::bench(args = [1, 100])]
fn commit_cursors(bencher: Bencher<'_, '_>, n_streams: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/bench.db", folder.path().display());
    let store = runtime.block_on(store::open(&store::Settings { url, max_connections: 1 })).unwrap();
    let mut offset = 0;
    bencher.counter(ItemsCount::new(n_streams)).bench_local(|| {
        offset += 1;
        let cursor = Cursor::File { device: 1, inode: 2, prefix_hash: 3, prefix_len: 4, offset, before: 0 };
        let cursors = (0..n_streams).map(|it| (StreamKey(format!("file:/{it}")), cursor.clone())).collect();
        let batch = CommitBatch { cursors, ..CommitBatch::default() };
        runtime.block_on(store.commit(batch, Timestamp::UNIX_EPOCH)).unwrap()
    });
}
