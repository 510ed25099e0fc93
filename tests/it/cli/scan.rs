//! `homeostat scan` as scripts use it: what it prints, in every format, of odd files, and how it ends.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run must fail the test")]

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{TRACE, keys, run};

/// One trace on stderr, an answer of 502 on stdout between its lines.
const LINES: [(&str, &str); 7] = [
    ("stdout", "ready, 0 errors"),
    ("stderr", "Traceback (most recent call last):"),
    ("stderr", "  File \"/app/shop/cart.py\", line 41, in average_price"),
    ("stdout", "10.0.0.1 - - [02/Jan/2026:10:00:00 +0000] \"GET /x HTTP/1.1\" 502 12"),
    ("stderr", "    return total / len(items)"),
    ("stderr", "ZeroDivisionError: division by zero"),
    ("stdout", "bye"),
];

const TIME: &str = "2026-01-02T10:00:00.000000001Z";

fn wrapped(format: &str) -> String {
    let wrap = |(stream, line): &(&str, &str)| match format {
        "plain" => format!("{line}\n"),
        // The second half of every longer line comes as a part of its own.
        "cri" if line.len() > 30 => {
            format!("{TIME} {stream} P {}\n{TIME} {stream} F {}\n", &line[..30], &line[30..])
        }
        "cri" => format!("{TIME} {stream} F {line}\n"),
        "jsonl" => format!("{}\n", serde_json::json!({"stream": stream, "line": line})),
        _ => format!("{}\n", serde_json::json!({"log": format!("{line}\n"), "stream": stream, "time": TIME})),
    };
    LINES.iter().map(wrap).collect()
}

fn rows(told: &str) -> Vec<Value> {
    told.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// File, rule, first line and number of lines.
type Row = (String, String, u64, u64);

/// What matters of every row.
fn brief(told: &str) -> Vec<Row> {
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let number = |row: &Value, key: &str| row[key].as_u64().unwrap();
    let file = |row: &Value| {
        Path::new(&text(row, "file")).file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    rows(told)
        .iter()
        .map(|it| (file(it), text(it, "rule"), number(it, "first_line"), number(it, "lines")))
        .collect()
}

fn row(file: &str, rule: &str, first_line: u64, lines: u64) -> Row {
    (file.to_owned(), rule.to_owned(), first_line, lines)
}

#[test]
fn scan_prints_what_was_agreed() {
    let (code, told, errors) = run(&["scan", "--json", "-"], &format!("ready\n{TRACE}"));
    assert_eq!((code, errors.as_str()), (0, ""));
    let [row] = &rows(&told)[..] else { panic!("one row: {told}") };
    assert_eq!(
        keys(row),
        ["file", "first_line", "identity", "lines", "rule", "runtime", "severity", "stream", "text"]
    );
    let (_, alone, _) = run(&["fingerprint"], TRACE);
    let alone: Value = serde_json::from_str(&alone).unwrap();
    let expected = serde_json::json!({
        "file": "-", "stream": null, "rule": "python.traceback", "severity": "error", "runtime": "python",
        "identity": alone["identity"], "first_line": 2, "lines": 4, "text": TRACE.trim_end(),
    });
    assert_eq!(row, &expected);
    assert_eq!(run(&["scan", "-"], &format!("ready\n{TRACE}")).1, told, "a record is JSON in any case");
}

#[test]
fn every_format_gives_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let mut identities = Vec::new();
    for (format, first, n_lines) in [("docker-json", 2, 4), ("jsonl", 2, 4), ("cri", 2, 4)] {
        let path = folder.path().join(format);
        fs::write(&path, wrapped(format)).unwrap();
        let path = path.to_str().unwrap();
        for chosen in [format, "auto"] {
            let (code, told, errors) = run(&["scan", "--format", chosen, path], "");
            assert_eq!((code, errors.as_str()), (0, ""), "{chosen}");
            let rows = rows(&told);
            let trace = rows.iter().find(|it| it["rule"] == "python.traceback").unwrap();
            assert_eq!(
                (trace["stream"].as_str(), &trace["first_line"], &trace["lines"], &trace["text"]),
                (Some("stderr"), &first.into(), &n_lines.into(), &TRACE.trim_end().into()),
                "{format} as {chosen}"
            );
            let answer = rows.iter().find(|it| it["rule"] == "http.5xx").unwrap();
            assert_eq!((answer["stream"].as_str(), rows.len()), (Some("stdout"), 2), "{format} as {chosen}");
            identities.push(trace["identity"].clone());
        }
    }
    identities.dedup();
    assert_eq!(identities.len(), 1);
}

#[test]
fn a_wrong_format_finds_what_stands_in_the_lines_all_the_same() {
    let (code, told, _) = run(&["scan", "--format", "plain", "-"], &wrapped("docker-json"));
    assert_eq!(code, 0);
    assert!(brief(&told).contains(&row("-", "http.5xx", 4, 1)), "{told}");
    let (code, told, _) = run(&["scan", "--format", "cri", "-"], TRACE);
    assert_eq!((code, brief(&told)), (0, vec![row("-", "python.traceback", 1, 4)]));
}

#[test]
fn files_are_scanned_in_order_and_one_that_is_missing_stops_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a"), "ERROR: one\n").unwrap();
    fs::write(path("b"), "ok\nERROR: two").unwrap();
    fs::create_dir(path("folder")).unwrap();
    let found = [row("a", "level.text-error", 1, 1), row("b", "level.text-error", 2, 1)];
    let (code, told, errors) = run(&["scan", &path("a"), &path("b")], "");
    assert_eq!((code, brief(&told).as_slice(), errors.as_str()), (0, &found[..], ""));
    for missing in ["missing", "folder"] {
        let (code, told, errors) = run(&["scan", &path("a"), &path(missing), &path("b")], "");
        assert_eq!((code, brief(&told).as_slice()), (1, &found[..]), "{missing}");
        assert!(errors.starts_with(&format!("error: failed to read `{}`: ", path(missing))), "{errors}");
        assert!(errors.contains("1 of 3 files could not be read"), "{errors}");
    }
    let (code, told, _) = run(&["scan", "--summary", "--json", &path("missing"), &path("a")], "");
    let totals: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &totals["lines"], &totals["records"]), (1, &1.into(), &1.into()));
}

#[test]
fn totals_and_nothing_else_with_summary() {
    let text = "ERROR: order 7 is lost\nok\nERROR: order 8 is lost\nERROR: disk is full\n";
    let (code, told, errors) = run(&["scan", "--summary", "--json", "-"], text);
    assert_eq!((code, errors.as_str()), (0, ""));
    let totals: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(keys(&totals), ["bytes", "issues", "lines", "mb_per_second", "records", "seconds"]);
    let numbers = ["bytes", "lines", "records", "issues"].map(|key| totals[key].as_u64().unwrap());
    assert_eq!(numbers, [text.len() as u64, 4, 3, 2]);
    assert!(totals["seconds"].as_f64().unwrap() >= 0.0 && totals["mb_per_second"].as_f64().unwrap() > 0.0);
    let (_, told, _) = run(&["scan", "--summary", "-"], text);
    assert!(told.starts_with("69 bytes, 4 lines, 3 records, 2 issues, "), "{told}");
    assert!(told.ends_with(" MB/s\n") && told.lines().count() == 1, "{told}");
}

#[test]
fn odd_files_are_read_to_their_end() {
    let garbage: Vec<u8> = (0..200_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let long = |text: &str| [text.as_bytes(), &b"x".repeat(5 << 20)].concat();
    let last = b"\nERROR: last".to_vec();
    let one = |lines: u64| vec![row("-", "level.text-error", lines, 1)];
    let cases: [(&str, Vec<u8>, Vec<Row>); 9] = [
        ("empty", Vec::new(), Vec::new()),
        ("blank lines", b"\n\n\n".to_vec(), Vec::new()),
        ("no final line break", b"ERROR: last".to_vec(), one(1)),
        ("crlf", b"ok\r\nERROR: a\r\nok\r\n".to_vec(), one(2)),
        ("no utf-8", b"ok \xff\xfe\nERROR: \xc3(\nok\n".to_vec(), one(2)),
        ("nul", b"a\0b\nERROR: \0 x\n".to_vec(), one(2)),
        ("colours", b"\x1b[31mERROR\x1b[0m: a\n".to_vec(), one(1)),
        ("a line of megabytes", [long("INFO "), last.clone()].concat(), one(2)),
        (
            "an error of megabytes",
            [long("ERROR "), last].concat(),
            vec![row("-", "level.text-error", 1, 1), row("-", "level.text-error", 2, 1)],
        ),
    ];
    for (name, bytes, expected) in cases {
        let output = super::homeostat().args(["scan", "-"]).write_stdin(bytes).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{name}");
        assert_eq!(brief(&told), expected, "{name}");
    }
    let n_lines = 1 + garbage.iter().filter(|it| **it == b'\n').count() as u64;
    let mut command = super::homeostat();
    let output = command.args(["scan", "--summary", "--json", "-"]).write_stdin(garbage).output().unwrap();
    let totals: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&totals["bytes"], &totals["lines"]), (&200_000.into(), &n_lines.into()));
}

#[test]
fn the_severest_rule_names_a_record() {
    let text = "2026-01-02 10:00:00 ERROR app: worker 3 is gone\njava.lang.OutOfMemoryError: Java heap space\n\tat com.acme.Shop.buy(Shop.java:12)\n";
    let (_, told, _) = run(&["scan", "-"], text);
    let rows = rows(&told);
    assert_eq!(brief(&told), [row("-", "jvm.crash", 1, 3)]);
    assert_eq!((&rows[0]["severity"], &rows[0]["runtime"]), (&"critical".into(), &"jvm".into()));
}

#[test]
fn secrets_leave_neither_scan_nor_explain() {
    let key = format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc");
    let text = format!("ERROR: charge with {key} failed, call with --password hunter2\n");
    for command in [&["scan", "-"][..], &["explain"], &["fingerprint"]] {
        let (code, told, _) = run(command, &text);
        assert_eq!(code, 0);
        assert!(!told.contains("4eC39") && !told.contains("hunter2"), "{command:?}: {told}");
    }
}
