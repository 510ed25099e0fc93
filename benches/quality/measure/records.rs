//! Assembly: how many texts come out of a log as exactly one record each.

use std::collections::BTreeMap;

use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::Scan;
use homeostat::watch::ingest::pipeline::Pipeline;

use super::Sample;

/// What stands between traces in a log.
pub(crate) const ORDINARY: [&str; 8] = [
    "2026-03-04T10:00:00.123Z INFO  [http] GET /health 200 in 3 ms",
    "INFO:app:request 17 served",
    r#"{"level":"info","msg":"request served","error":null}"#,
    "listening on port 8080",
    r#"10.0.0.1 - - [04/Mar/2026:10:00:00 +0000] "GET /x HTTP/1.1" 200 12"#,
    "time=2026-03-04T10:00:00Z level=info msg=ok errors=0",
    "[2026-03-04 10:00:00 +0000] [7] [INFO] Booting worker",
    "I0304 10:00:00.000000       1 main.go:12] synced, 0 failed",
];

/// Streams that write at the same time.
const N_STREAMS: usize = 8;

/// A record that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) stream: Option<String>,
    /// Counted from 1.
    pub(crate) first_line: u64,
    pub(crate) n_lines: u32,
    /// Redacted.
    pub(crate) text: String,
}

/// Scans a log as `homeostat scan` does.
pub(crate) fn scan(format: Format, log: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut take = |it: homeostat::watch::ingest::files::FileFound<'_>| {
        rows.push(Row {
            stream: it.stream.map(str::to_owned),
            first_line: it.found.first_line,
            n_lines: it.found.n_lines,
            text: it.found.text.into_string(),
        });
    };
    Scan::new(Pipeline::builtin(), Some(format)).reader(log.as_bytes(), &mut take).unwrap();
    rows
}

/// The log of a text between ordinary lines, and the line it begins with.
pub(crate) fn between(lines: &[String], kind: usize) -> (String, u64) {
    let ordinary = |at: usize| ORDINARY[(kind + at) % ORDINARY.len()];
    let mut log: Vec<&str> = vec![ordinary(0), ordinary(1)];
    log.extend(lines.iter().map(String::as_str));
    log.extend([ordinary(2), ordinary(3), ""]);
    (log.join("\n"), 3)
}

/// Whole records of each runtime: how many, of how many.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    pub(crate) of_runtime: BTreeMap<String, (usize, usize)>,
    pub(crate) notes: Vec<String>,
}

impl Assembly {
    fn take(&mut self, sample: &Sample, outcome: Result<(), String>) {
        let found = self.of_runtime.entry(sample.runtime.clone()).or_default();
        found.1 += 1;
        match outcome {
            Ok(()) => found.0 += 1,
            Err(why) => self.notes.push(format!("{}: {why}", sample.label)),
        }
    }

    pub(crate) fn n_right(&self) -> usize {
        self.of_runtime.values().map(|it| it.0).sum()
    }

    pub(crate) fn n(&self) -> usize {
        self.of_runtime.values().map(|it| it.1).sum()
    }

    /// Without the figures of each runtime.
    pub(crate) fn in_all(self) -> Self {
        let all = (self.n_right(), self.n());
        Self { of_runtime: BTreeMap::from([("all".to_owned(), all)]), notes: self.notes }
    }
}

/// Each text in logs of its own, each time between other ordinary lines: so many of eight kinds.
pub(crate) fn alone(samples: &[Sample], n_kinds: usize) -> Assembly {
    let mut assembly = Assembly::default();
    for sample in samples {
        let outcome = (0..n_kinds).try_for_each(|kind| {
            let (log, first) = between(&sample.lines, kind);
            let rows: Vec<Row> = scan(Format::Plain, &log);
            let refs: Vec<&Row> = rows.iter().collect();
            is_whole(&refs, first, sample)
        });
        assembly.take(sample, outcome);
    }
    assembly
}

fn is_whole(rows: &[&Row], first: u64, sample: &Sample) -> Result<(), String> {
    let [row] = rows else {
        let heads: Vec<&str> = rows.iter().map(|it| it.text.lines().next().unwrap_or("")).collect();
        return Err(format!("{} records: {heads:?}", rows.len()));
    };
    if (row.first_line, row.n_lines as usize) == (first, sample.lines.len()) {
        return Ok(());
    }
    Err(format!("lines {}+{}, not {first}+{}", row.first_line, row.n_lines, sample.lines.len()))
}

/// All texts on streams that are interleaved at random, line by line, with an ordinary line here and there.
pub(crate) fn interleaved(samples: &[Sample], seed: u64) -> Assembly {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut log = String::new();
    let mut n_lines = 0;
    let mut put = |stream: usize, line: &str| {
        let line = serde_json::json!({"stream": format!("s{stream}"), "line": line});
        log.push_str(&format!("{line}\n"));
        n_lines += 1;
        n_lines
    };
    let mut order: Vec<usize> = (0..samples.len()).collect();
    random.shuffle(&mut order);
    // Of every stream: the sample it writes and the next of its lines.
    let mut writing: [Option<(usize, usize)>; N_STREAMS] = [None; N_STREAMS];
    let mut firsts = vec![0; samples.len()];
    let mut streams = vec![0; samples.len()];
    while !order.is_empty() || writing.iter().any(Option::is_some) {
        let stream = random.usize(..N_STREAMS);
        match &mut writing[stream] {
            Some((idx, at)) => {
                let number = put(stream, &samples[*idx].lines[*at]);
                if *at == 0 {
                    (firsts[*idx], streams[*idx]) = (number, stream);
                }
                *at += 1;
                if *at == samples[*idx].lines.len() {
                    writing[stream] = None;
                }
            }
            None if random.u8(..3) > 0 => {
                put(stream, ORDINARY[random.usize(..ORDINARY.len())]);
            }
            None => writing[stream] = order.pop().map(|it| (it, 0)),
        }
    }
    judge(samples, &scan(Format::Jsonl, &log), &firsts, &streams)
}

fn judge(samples: &[Sample], rows: &[Row], firsts: &[u64], streams: &[usize]) -> Assembly {
    let mut assembly = Assembly::default();
    let mut n_owned = 0;
    // Of every stream, where its samples begin.
    let mut begins: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for (idx, first) in firsts.iter().enumerate() {
        begins.insert((format!("s{}", streams[idx]), *first), idx);
    }
    let mut of_sample: BTreeMap<usize, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let stream = row.stream.clone().unwrap_or_default();
        // The sample that begins at this line or before it.
        if let Some((_, idx)) =
            begins.range(..=(stream.clone(), row.first_line)).next_back().filter(|it| it.0.0 == stream)
        {
            of_sample.entry(*idx).or_default().push(row);
            n_owned += 1;
        }
    }
    for (idx, sample) in samples.iter().enumerate() {
        let rows = of_sample.get(&idx).map_or(&[][..], Vec::as_slice);
        assembly.take(sample, is_whole(rows, firsts[idx], sample));
    }
    if n_owned < rows.len() {
        assembly.notes.push(format!("{} records of ordinary lines", rows.len() - n_owned));
    }
    assembly
}
