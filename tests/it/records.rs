//! `homeostat scan` over traces as they stand in real logs: whatever they are wrapped in and whatever stands around
//! them, each is exactly one record, on the right lines, with the identity that the bare trace has.
//!
//! `tests/fixtures/records` and `tests/fixtures/traces` always; with `HOMEOSTAT_CORPUS` the shared data too, against
//! floors.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its data must fail")]
#![expect(clippy::print_stdout, reason = "the figures are for people to read")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::{Scan, ScanRow};
use homeostat::watch::ingest::pipeline::Pipeline;

use crate::quality::measure::records::ORDINARY;

/// A trace and what it is called.
struct Sample {
    name: String,
    lines: Vec<String>,
}

impl Sample {
    /// A blank line before it is only a Rust panic's.
    fn new(name: impl Into<String>, text: &str) -> Self {
        let text = text.trim_end();
        let text = if text.starts_with("\nthread '") { text } else { text.trim_start_matches('\n') };
        Self {
            name: name.into(),
            lines: text.lines().map(|it| it.trim_end_matches('\r').to_owned()).collect(),
        }
    }
}

/// How samples are laid into a file.
#[derive(Clone, Copy)]
struct Layout {
    name: &'static str,
    format: Format,
    /// Lines before and after each sample; without, the samples follow each other back to back.
    is_between: bool,
    /// Put before each line of a sample and between them.
    stamp: &'static str,
    /// Put before the first line of a sample.
    head: &'static str,
    ending: &'static str,
}

const PLAIN: Layout =
    Layout { name: "plain", format: Format::Plain, is_between: true, stamp: "", head: "", ending: "\n" };
const LAYOUTS: [Layout; 11] = [
    PLAIN,
    Layout { name: "crlf", ending: "\r\n", ..PLAIN },
    Layout { name: "back to back", is_between: false, ..PLAIN },
    Layout { name: "docker-json", format: Format::DockerJson, ..PLAIN },
    Layout { name: "cri", format: Format::Cri, ..PLAIN },
    Layout { name: "jsonl", format: Format::Jsonl, ..PLAIN },
    Layout { name: "docker logs -t", stamp: "2026-03-04T10:00:00.000000001Z ", ..PLAIN },
    Layout { name: "docker compose", stamp: "web-1  | ", ..PLAIN },
    Layout { name: "log4j", head: "2026-03-04 10:00:00,123 ERROR [main] c.acme.App - ", ..PLAIN },
    Layout { name: "python logging", head: "ERROR:app.shop:", ..PLAIN },
    Layout { name: "gunicorn", head: "[2026-03-04 10:00:00 +0000] [7] [ERROR] ", ..PLAIN },
];

/// A file with samples, and which of its lines are whose.
#[derive(Default)]
struct Laid {
    text: String,
    /// Of every line of the file: its stream and the sample it belongs to.
    lines: Vec<(Option<&'static str>, Option<usize>)>,
}

impl Laid {
    fn new(samples: &[Sample], layout: Layout) -> Self {
        let mut laid = Self::default();
        let streams = |idx: usize| ["stdout", "stderr"][idx % 2];
        let stamped = |it: &str| format!("{}{it}", layout.stamp);
        for (idx, sample) in samples.iter().enumerate() {
            let (own, other) = (streams(idx), streams(idx + 1));
            let around = |laid: &mut Self, from: usize| {
                for line_idx in (from..from + 2).filter(|_| layout.is_between) {
                    laid.push(layout, own, None, &stamped(ORDINARY[line_idx % ORDINARY.len()]));
                }
            };
            around(&mut laid, idx);
            for (line_idx, line) in sample.lines.iter().enumerate() {
                // The other stream writes at the same time.
                if layout.format != Format::Plain && line_idx % 3 == 1 {
                    laid.push(layout, other, None, &stamped(ORDINARY[(idx + line_idx) % ORDINARY.len()]));
                }
                let head = if line_idx == 0 { layout.head } else { "" };
                laid.push(layout, own, Some(idx), &stamped(&format!("{head}{line}")));
            }
            around(&mut laid, idx + 3);
        }
        laid
    }

    fn push(&mut self, layout: Layout, stream: &'static str, owner: Option<usize>, line: &str) {
        let time = "2026-03-04T10:00:00.000000001Z";
        let mut put = |wrapped: String, is_of: Option<&'static str>| {
            self.text.push_str(&wrapped);
            self.text.push_str(layout.ending);
            self.lines.push((is_of, owner));
        };
        match layout.format {
            Format::Plain => put(line.to_owned(), None),
            Format::Jsonl => {
                put(serde_json::json!({"stream": stream, "line": line}).to_string(), Some(stream))
            }
            Format::DockerJson => {
                let log = serde_json::to_string(&format!("{line}\n")).unwrap();
                put(format!(r#"{{"log":{log},"stream":"{stream}","time":"{time}"}}"#), Some(stream));
            }
            // Every long line in two parts.
            Format::Cri if line.len() > 40 && line.is_char_boundary(40) => {
                put(format!("{time} {stream} P {}", &line[..40]), Some(stream));
                put(format!("{time} {stream} F {}", &line[40..]), Some(stream));
            }
            Format::Cri => put(format!("{time} {stream} F {line}"), Some(stream)),
        }
    }

    /// The text of the sample as the record must have it.
    fn is_right(&self, owner: usize, row: &ScanRow, sample: &Sample, layout: Layout) -> bool {
        let first = self.lines.iter().position(|it| it.1 == Some(owner)).unwrap() as u64 + 1;
        let text: Vec<&str> = row.text.lines().map(str::trim_end).collect();
        let expected: Vec<String> = sample.lines.iter().map(|it| it.trim_end().to_owned()).collect();
        let is_first = row.first_line == first && row.lines as usize == sample.lines.len();
        // Times, names and secrets in the text are the redactor's business; here only the number of lines counts.
        is_first
            && text.len() == expected.len()
            && (layout.stamp.is_empty() || row.text.contains(layout.stamp))
    }
}

struct Outcome {
    n: usize,
    one: usize,
    right: usize,
    same: usize,
    notes: Vec<String>,
}

fn scan(path: &Path, format: Option<Format>) -> Vec<ScanRow> {
    let mut rows = Vec::new();
    Scan::new(Pipeline::builtin(), format)
        .path(path, &mut |found| rows.push(ScanRow::new("x", found)))
        .unwrap();
    rows
}

fn measure(samples: &[Sample], layout: Layout) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    let laid = Laid::new(samples, layout);
    fs::write(&path, &laid.text).unwrap();
    let mut rows: BTreeMap<usize, Vec<ScanRow>> = BTreeMap::new();
    let mut stray = 0;
    for row in scan(&path, Some(layout.format)) {
        let stream = row.stream.clone();
        let of_stream = laid.lines[row.first_line as usize - 1..]
            .iter()
            .filter(|it| it.0.map(str::to_owned) == stream)
            .take(row.lines as usize);
        let mut owners: Vec<usize> = of_stream.filter_map(|it| it.1).collect();
        owners.dedup();
        if owners.is_empty() {
            stray += 1;
        }
        for owner in owners {
            rows.entry(owner).or_default().push(row.clone());
        }
    }
    let pipeline = Pipeline::builtin();
    let mut outcome = Outcome { n: samples.len(), one: 0, right: 0, same: 0, notes: Vec::new() };
    if stray > 0 {
        outcome.notes.push(format!("{stray} records of ordinary lines"));
    }
    for (idx, sample) in samples.iter().enumerate() {
        let found = rows.get(&idx).map_or(&[][..], Vec::as_slice);
        let [row] = found else {
            outcome.notes.push(format!("{}: {} records", sample.name, found.len()));
            continue;
        };
        outcome.one += 1;
        if !laid.is_right(idx, row, sample, layout) {
            outcome
                .notes
                .push(format!("{}: lines {}+{} of {}", sample.name, row.first_line, row.lines, row.text));
            continue;
        }
        outcome.right += 1;
        let (_, alone) = pipeline.identify(&sample.lines.join("\n"));
        let is_same = alone.fingerprint.full() == row.identity && alone.runtime.name() == row.runtime;
        if !is_same {
            outcome.notes.push(format!("{}: another identity, {}", sample.name, row.runtime));
        }
        outcome.same += usize::from(is_same);
    }
    println!(
        "{}: {} of {} one, {} right, {} same",
        layout.name, outcome.one, outcome.n, outcome.right, outcome.same
    );
    outcome
}

fn own(folder: &str) -> Vec<Sample> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut samples: Vec<Sample> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .map(|it| Sample::new(it.file_stem().unwrap().to_string_lossy(), &fs::read_to_string(&it).unwrap()))
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

/// What cannot be told apart from something else when it stands behind a logger's prefix.
fn is_clear(layout: Layout, sample: &Sample) -> bool {
    // The messages between the stacks of wrapped errors are any text, such as the next error's.
    if !layout.is_between && (sample.name.starts_with("go.chain") || sample.name.starts_with("go.logged")) {
        return false;
    }
    // No logger writes what interpreters say themselves, nor what another logger wrote.
    let has_own_head = [
        "haskell.",
        "lua.",
        "luajit.",
        "nodelog.",
        "pythonlog.",
        "mono.",
        "erlang.",
        "elixir.",
        "native-doc-cdb",
    ];
    if !layout.head.is_empty() && has_own_head.iter().any(|it| sample.name.starts_with(it)) {
        return false;
    }
    // A class that does not call itself an exception looks like the logger's name; a blank first line is no message; a
    // place alone is Node's preamble, which no logger writes.
    layout.head.is_empty()
        || !(sample.lines[0].is_empty()
            || sample.name.starts_with("java-message")
            || sample.name.starts_with("java.logged")
            || sample.name == "rails-log"
            || sample.name.starts_with("python-group")
            || sample.lines[0].starts_with('=')
            || sample.lines[0].starts_with("20"))
}

#[test]
fn own_records_are_found_whole_in_every_wrapping() {
    let mut wrong = Vec::new();
    for layout in LAYOUTS {
        let samples: Vec<Sample> =
            own("records").into_iter().chain(own("traces")).filter(|it| is_clear(layout, it)).collect();
        wrong.extend(measure(&samples, layout).notes.into_iter().map(|it| format!("{}: {it}", layout.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The shared data, where it is: name of the part, samples, and how many of a hundred must be right in every wrapping.
fn shared() -> Vec<(&'static str, Vec<Sample>, usize)> {
    #[expect(clippy::disallowed_methods, reason = "a test's own switch, not a setting of the program")]
    let Some(folder) = std::env::var_os("HOMEOSTAT_CORPUS").map(PathBuf::from) else {
        println!("skipped: HOMEOSTAT_CORPUS is not set");
        return Vec::new();
    };
    let lines = |file: &str| -> Vec<Sample> {
        let text = fs::read_to_string(folder.join("traces").join(file)).unwrap();
        let values = text.lines().map(|it| serde_json::from_str::<serde_json::Value>(it).unwrap());
        let sample = |it: serde_json::Value| {
            Sample::new(format!("{}/{}", it["lang"], it["bug"]), it["trace"].as_str().unwrap())
        };
        values.map(sample).collect()
    };
    let texts = |part: &str| -> Vec<Sample> {
        let files = fs::read_dir(folder.join("records").join(part)).unwrap().map(|it| it.unwrap().path());
        let mut samples: Vec<Sample> = files
            .filter(|it| it.extension().is_some_and(|it| it == "txt"))
            .map(|it| (it.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&it).unwrap()))
            .map(|(name, bytes)| Sample::new(name, &String::from_utf8_lossy(&bytes)))
            .collect();
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        samples
    };
    vec![
        ("traces", lines("traces.jsonl"), 100),
        ("java-tests", lines("java-tests.jsonl"), 99),
        ("pitfalls", texts("pitfalls"), 97),
        ("detect-exceptions", texts("detect-exceptions"), 92),
        ("clusterfuzz", texts("clusterfuzz"), 35),
    ]
}

#[test]
fn shared_records_are_found_whole_in_every_wrapping() {
    let mut wrong = Vec::new();
    for (part, samples, floor) in shared() {
        for layout in LAYOUTS {
            // Six hundred of one kind; the others try every layout.
            let is_enough = matches!(layout.name, "plain" | "docker-json" | "docker logs -t" | "log4j");
            if part == "java-tests" && !is_enough {
                continue;
            }
            // Log lines of other formats back to back are what they are: log lines.
            if !layout.is_between && matches!(part, "detect-exceptions" | "clusterfuzz") {
                continue;
            }
            let outcome = measure(&samples, layout);
            if outcome.same * 100 < floor * outcome.n {
                wrong.push(format!("{part}, {}: {:#?}", layout.name, outcome.notes));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
