//! What is found is the same however a file is cut, and the same as by pushing line after line.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::watch::ingest::decode::Unwrapped;
use crate::watch::ingest::engine::n_short_cuts;
use crate::watch::ingest::pipeline::StreamState;

/// Stream, first line, lines, rule, text, identity.
type Row = (Option<String>, u64, u32, String, String, String);

fn row(stream: Option<&str>, found: &Found, first_line: u64) -> Row {
    let rule = found.detection.rule.to_string();
    let (text, identity) = (found.text.as_str().to_owned(), found.identity.fingerprint.full());
    (stream.map(str::to_owned), first_line, found.n_lines, rule, text, identity.to_string())
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
    let (stream, first_line, n_lines, rule, text, _) = &rows[0];
    assert_eq!((stream.as_deref(), *first_line, *n_lines), (Some("stderr"), 1, 8));
    assert_eq!((rows.len(), rule.as_str(), text.as_str()), (1, "node.uncaught", NODE));
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

/// What services log again and again.
const RECURRING: [&str; 22] = [
    ORDINARY,
    PYTHON,
    JAVA,
    NODE,
    GO,
    JSON,
    "2026-01-02 03:04:05,006 ERROR shop.tasks: task 649979 crashed\nTraceback (most recent call last):\n  File \"/a.py\", line 22, in f\n    g(4)\nValueError: no 649979",
    "2026-01-02 03:04:05,006 ERROR [exec-1] c.a.Web - request 716881 failed\njava.lang.IllegalStateException: no 716881\n\tat a.B.c(B.java:40)\nCaused by: java.sql.SQLException: x\n\t... 15 more",
    "panic: runtime error: x\n[signal SIGSEGV: code=0x1 addr=0x0 pc=0x4a0200]\n\ngoroutine 809 [running]:\nmain.(*Shop).stage0_8(0xc00009b1ac, 0x1)\n\t/srv/a.go:49 +0x1d",
    "2026-01-02T03:01:15.218Z\tERROR\ta/handler.go:88\tcall failed\t{\"trace_id\": \"1b4aafa3fe89bb5b\", \"error\": \"late\"}",
    r#"{"level":50,"time":1767322834537,"pid":38,"hostname":"web-7d9f8b6c5-x2k2q","reqId":"req-3701c","msg":"connect ECONNREFUSED 10.0.3.58:5432"}"#,
    r#"{"event": "payment declined", "order_id": 109038, "took": 1.25, "level": "error", "timestamp": "2026-01-02T03:00:03.848529Z"}"#,
    r#"{"level":"error","msg":"order 12 failed","error":"order 12"}"#,
    r#"{"level":"error","msg":"a1b2 failed","err":{"message":"b2","stack":"Error: b2\n    at f (/a.js:1:2)"}}"#,
    "10.227.240.13 - - [02/Jan/2026:03:00:11 +0000] \"GET /cart HTTP/1.1\" 503 40161 \"-\" \"curl/8.5.0\"",
    "level=error msg=\"order 12 failed\" err=\"refused 12\"",
    "ERROR: status 503 of order 12345",
    "ERROR login failed password=hunter2 for 4111 1111 1111 1111",
    "/a.cpp:17:51: runtime error: load of null pointer of type 'int'\n    #0 0x55d0a1b2 in f /a.cpp:17:51\nSUMMARY: UndefinedBehaviorSanitizer: undefined-behavior /a.cpp:17:51 in",
    "2026-01-02 03:04:05.006 UTC [1380] ERROR:  duplicate key value violates unique constraint \"items_pkey\"\n2026-01-02 03:04:05.006 UTC [1380] DETAIL:  Key (id)=(7) already exists.",
    "error: alone",
    "2026-01-02 03:04:05.004 UTC [1060] LOG:  duration: 32.860 ms",
];

/// The text with other digits, or other signs in its ids, or as it is.
fn again(text: &str, random: &mut fastrand::Rng) -> String {
    let (of_digits, of_ids) = (random.u8(..4), random.u8(..3));
    let mut change = |it: char| match it {
        '0'..='9' | 'a'..='f' if of_ids == 0 && random.u8(..6) == 0 => random.digit(16),
        '0'..='9' if of_digits == 0 || of_digits == 1 && random.u8(..6) == 0 => random.digit(10),
        _ => it,
    };
    text.chars().map(&mut change).collect()
}

#[test]
fn what_recurs_is_found_as_if_it_came_first() {
    let before = n_short_cuts();
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..150 {
        let format = Format::ALL[round % Format::ALL.len()];
        let texts: Vec<&str> = (0..random.usize(1..6)).filter_map(|_| random.choice(RECURRING)).collect();
        let mut lines = Vec::new();
        for _ in 0..random.usize(1..80) {
            let stream = usize::from(random.u8(..4) == 0);
            let text = again(texts[random.usize(..texts.len())], &mut random);
            let n = if random.u8(..8) == 0 { random.usize(1..6) } else { usize::MAX };
            lines.extend(text.split('\n').take(n).map(|line| (stream, line.to_owned())));
            if random.bool() {
                lines.push((random.usize(..2), again(ORDINARY, &mut random)));
            }
        }
        if random.u8(..4) == 0 {
            // Both streams at once.
            for idx in 1..lines.len() {
                if random.u8(..5) == 0 && lines[idx].0 != lines[idx - 1].0 {
                    lines.swap(idx, idx - 1);
                }
            }
        }
        let text = wrap(format, &lines).into_bytes();
        let block_bytes = *random.choice(&[700, 4096, BLOCK_BYTES]).unwrap_or(&BLOCK_BYTES);
        assert_eq!(scan(format, &text, block_bytes), by_line(format, &text), "round {round}");
    }
    let n = n_short_cuts() - before;
    assert!(n > 500, "{n} of them were known");
}
