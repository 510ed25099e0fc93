//! What is found is the same however a file is cut, and the same as by pushing line after line.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::watch::ingest::decode::Unwrapped;
use crate::watch::ingest::pipeline::StreamState;

/// Stream, first line, lines, rule, text.
type Row = (Option<String>, u64, u32, String, String);

fn row(stream: Option<&str>, found: &Found, first_line: u64) -> Row {
    let rule = found.detection.rule.to_string();
    (stream.map(str::to_owned), first_line, found.n_lines, rule, found.text.as_str().to_owned())
}

fn scan(format: Format, text: &[u8], block_bytes: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut scan = Scan::new(Pipeline::builtin(), Some(format)).with_blocks(block_bytes);
    scan.reader(text, &mut |it| rows.push(row(it.stream, &it.found, it.found.first_line))).unwrap();
    let n_lines =
        text.split(|byte| *byte == b'\n').count() - usize::from(text.is_empty() || text.ends_with(b"\n"));
    let summary = scan.summary();
    assert_eq!((summary.bytes, summary.lines), (text.len() as u64, n_lines as u64));
    assert_eq!(summary.records, rows.len() as u64);
    rows.sort();
    rows
}

/// A stream read line by line.
struct ByLine {
    name: Option<String>,
    state: StreamState,
    /// The file's number of each line pushed.
    numbers: Vec<u64>,
    part: Option<(Vec<u8>, u64)>,
}

impl ByLine {
    fn rows(&self, found: &[Found]) -> Vec<Row> {
        let number = |it: &Found| self.numbers[usize::try_from(it.first_line).unwrap()] + 1;
        found.iter().map(|it| row(self.name.as_deref(), it, number(it))).collect()
    }
}

/// The same without blocks and without skipping: each line unwrapped, parts joined, pushed.
fn by_line(format: Format, text: &[u8]) -> Vec<Row> {
    let pipeline = Pipeline::builtin();
    let mut streams: HashMap<Option<String>, ByLine> = HashMap::new();
    let mut rows = Vec::new();
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate().filter(|_| !text.is_empty()) {
        let Unwrapped { stream, text, at, is_part } = format.read(line);
        let name = stream.map(|it| it.into_owned());
        let new = || ByLine { name: name.clone(), state: pipeline.stream(), numbers: Vec::new(), part: None };
        let stream = streams.entry(name.clone()).or_insert_with(new);
        let (mut whole, first) = stream.part.take().unwrap_or((Vec::new(), number as u64));
        whole.extend_from_slice(&text);
        if is_part {
            stream.part = Some((whole, first));
            continue;
        }
        stream.numbers.push(first);
        let mut found = Vec::new();
        pipeline.push(&mut stream.state, &whole, at, &mut found);
        rows.extend(stream.rows(&found));
    }
    for mut stream in streams.into_values() {
        let mut found = Vec::new();
        if let Some((whole, first)) = stream.part.take() {
            stream.numbers.push(first);
            pipeline.push(&mut stream.state, &whole, None, &mut found);
        }
        pipeline.flush(&mut stream.state, &mut found);
        rows.extend(stream.rows(&found));
    }
    rows.sort();
    rows
}

const ORDINARY: &str = "2026-01-02 10:00:00 INFO  [main] c.acme.App - order 7 is done";
const PYTHON: &str =
    "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g(<x> & y)\nValueError: x";
const JAVA: &str = "com.acme.Boom: no stock\n\tat com.acme.A.b(A.java:3)\n\tat com.acme.A.c(A.java:9)\nCaused by: java.lang.IllegalStateException: x\n\t... 2 more";
const NODE: &str =
    "/app/shop.js:12\n  throw new Boom('x')\n  ^\n\nBoom: x\n    at f (/app/shop.js:12:9)\n\nNode.js v20.1.0";
const GO: &str = "panic: boom\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/app/main.go:3 +0x1d";
const JSON: &str = r#"{"level":"error","msg":"x","stack":"Error: x\n\tat \"f\" (/app/a.js:1:2)"}"#;

/// Texts of one line or more, each from one stream.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(ORDINARY.to_owned()),
        2 => (1..40_usize).prop_map(|n| vec![ORDINARY; n].join("\n")),
        1 => proptest::sample::select(vec![PYTHON, JAVA, NODE, GO, JSON]).prop_map(str::to_owned),
        1 => (proptest::sample::select(vec![PYTHON, JAVA, NODE, GO]), 1..5_usize)
            .prop_map(|(trace, n)| trace.lines().take(n).collect::<Vec<_>>().join("\n")),
        1 => (proptest::sample::select(vec![PYTHON, JAVA, NODE, GO]), 1..5_usize)
            .prop_map(|(trace, n)| trace.lines().skip(n).collect::<Vec<_>>().join("\n")),
        1 => proptest::sample::select(vec![
            "", "  indented", "error: x", "\u{1b}[31merr\u{1b}[0mor: x", "error: y\r", "com.acme.Boom: alone", "C:\\n",
            "É: \u{1f600} failed to <load> \"x\"", "0 errors", "}", "a\tb", "err=\"x\" y",
        ]).prop_map(str::to_owned),
        1 => (0..3_usize).prop_map(|n| format!("error: {}x", "long ".repeat(n * 5000))),
    ]
}

/// Lines of several streams, interleaved by line.
fn lines() -> impl Strategy<Value = Vec<(usize, String)>> {
    proptest::collection::vec((0..2_usize, text(), any::<bool>()), 0..14).prop_map(|texts| {
        let mut waiting: [Vec<String>; 2] = [Vec::new(), Vec::new()];
        let mut lines = Vec::new();
        for (stream, text, is_late) in texts {
            waiting[stream].extend(text.split('\n').map(str::to_owned));
            let n = if is_late { waiting[stream].len() / 2 } else { waiting[stream].len() };
            lines.extend(waiting[stream].drain(..n).map(|line| (stream, line)));
        }
        for (stream, rest) in waiting.into_iter().enumerate() {
            lines.extend(rest.into_iter().map(|line| (stream, line)));
        }
        lines
    })
}

/// JSON as the engine writes it.
fn docker_string(text: &str) -> String {
    text.chars().fold(String::new(), |out, it| match it {
        '"' | '\\' => out + "\\" + &it.to_string(),
        '\r' => out + "\\r",
        '<' | '>' | '&' | '\0'..='\u{1f}' => out + &format!("\\u{:04x}", u32::from(it)),
        _ => out + &it.to_string(),
    })
}

fn wrap(format: Format, lines: &[(usize, String)]) -> String {
    let mut text = String::new();
    for (idx, (stream, line)) in lines.iter().enumerate() {
        let name = ["stdout", "stderr"][*stream];
        let time = format!("2026-01-02T10:00:{:02}.000000001Z", idx / 40 % 60);
        match format {
            Format::Plain => text.push_str(&format!("{line}\n")),
            Format::Cri => text.push_str(&format!("{time} {name} F {line}\n")),
            Format::Jsonl => {
                text.push_str(&format!("{}\n", serde_json::json!({"stream": name, "line": line})));
            }
            Format::DockerJson => {
                let line = format!("{line}\n");
                let mut rest = line.as_str();
                while !rest.is_empty() {
                    let (part, after) = rest.split_at(rest.floor_char_boundary(16 * 1024));
                    let part = docker_string(&part.replace('\n', "\u{0}")).replace("\\u0000", "\\n");
                    text.push_str(&format!(
                        "{{\"log\":\"{part}\",\"stream\":\"{name}\",\"time\":\"{time}\"}}\n"
                    ));
                    rest = after;
                }
            }
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_found_does_not_depend_on_blocks(
        lines in lines(),
        format in proptest::sample::select(Format::ALL.to_vec()),
        block_bytes in prop_oneof![1..200_usize, Just(4096_usize), Just(BLOCK_BYTES)],
        has_break in any::<bool>(),
    ) {
        let mut text = wrap(format, &lines).into_bytes();
        if !has_break {
            text.pop();
        }
        let expected = by_line(format, &text);
        prop_assert_eq!(scan(format, &text, block_bytes), expected);
    }
}

#[test]
fn blocks_between_hits_are_skipped_and_their_last_lines_known() {
    let quiet = vec![ORDINARY; 5000].join("\n");
    let text = format!("{quiet}\n{NODE}\n{quiet}\nerror: x\n{quiet}\n{PYTHON}");
    let rows = scan(Format::Plain, text.as_bytes(), 16 * 1024);
    let brief: Vec<_> = rows.iter().map(|row| (row.1, row.2, row.3.as_str())).collect();
    assert_eq!(
        brief,
        [(5001, 8, "node.uncaught"), (10009, 1, "level.text-error"), (15010, 4, "python.traceback")]
    );
}

#[test]
fn a_sparse_stream_is_found_across_many_blocks_of_the_other() {
    let mut lines: Vec<_> = NODE.lines().take(5).map(|line| (1, line.to_owned())).collect();
    lines.extend(vec![(0, ORDINARY.to_owned()); 30]);
    lines.extend(NODE.lines().skip(5).map(|line| (1, line.to_owned())));
    let text = wrap(Format::DockerJson, &lines);
    let rows = scan(Format::DockerJson, text.as_bytes(), 512);
    assert_eq!(rows, [(Some("stderr".into()), 1, 8, "node.uncaught".into(), NODE.into())]);
}

#[test]
fn a_word_cut_into_two_parts_is_found() {
    let line = format!("{} panic: x", "y".repeat(16 * 1024 - 3));
    let text = wrap(Format::DockerJson, &[(0, ORDINARY.to_owned()), (1, line.clone())]);
    assert!(!text.contains("panic"));
    let rows = scan(Format::DockerJson, text.as_bytes(), BLOCK_BYTES);
    assert_eq!(rows, by_line(Format::DockerJson, text.as_bytes()));
    let text = wrap(Format::DockerJson, &[(0, format!("error: {line}"))]);
    assert_eq!(scan(Format::DockerJson, text.as_bytes(), BLOCK_BYTES)[0].1, 1);
}
