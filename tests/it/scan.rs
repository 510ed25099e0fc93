//! `homeostat scan` over files of every format: the same records, whatever they are wrapped in.

#![expect(clippy::unwrap_used, reason = "a test that cannot write its files must fail")]

use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;
use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::{Scan, ScanRow};
use homeostat::watch::ingest::pipeline::Pipeline;
use homeostat::watch::rules::RuleSet;

/// Stdout and stderr of one service, a trace of each torn apart by the other.
const LINES: [(&str, &str); 11] = [
    ("stdout", "listening on 0.0.0.0:80"),
    ("stderr", "Traceback (most recent call last):"),
    ("stdout", "2026-01-02 10:00:00 INFO  GET /error 200"),
    ("stderr", "  File \"/app/shop.py\", line 3, in buy"),
    ("stderr", "    pay(<token>)"),
    ("stdout", "com.acme.Boom: no stock, mail bob@example.com"),
    ("stderr", "ValueError: no amount"),
    ("stdout", "\tat com.acme.A.b(A.java:3)"),
    ("stderr", "ready"),
    ("stdout", "10.0.0.1 - - [02/Jan/2026:10:00:00 +0000] \"GET /x HTTP/1.1\" 502 12"),
    ("stdout", "bye"),
];

fn wrapped(format: Format) -> String {
    LINES
        .iter()
        .map(|(stream, line)| match format {
            Format::Plain => format!("{line}\n"),
            Format::Cri => format!("2026-01-02T10:00:00.000000001Z {stream} F {line}\n"),
            Format::Jsonl => format!("{}\n", serde_json::json!({"stream": stream, "line": line})),
            Format::DockerJson => {
                let log = serde_json::to_string(&format!("{line}\n")).unwrap();
                format!(
                    "{{\"log\":{log},\"stream\":\"{stream}\",\"time\":\"2026-01-02T10:00:00.000000001Z\"}}\n"
                )
            }
        })
        .collect()
}

fn rows(path: &Path, format: Option<Format>) -> Vec<ScanRow> {
    let mut rows = Vec::new();
    Scan::new(Pipeline::builtin(), format)
        .path(path, &mut |found| rows.push(ScanRow::new("app.log", found)))
        .unwrap();
    rows.sort_by_key(|row| row.first_line);
    rows
}

#[test]
fn streams_are_joined_apart_in_every_wrapping() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::DockerJson, Format::Cri, Format::Jsonl] {
        let path = folder.path().join(format.name());
        std::fs::write(&path, wrapped(format)).unwrap();
        let rows = rows(&path, None);
        let brief: Vec<_> = rows
            .iter()
            .map(|it| (it.stream.as_deref().unwrap_or("-"), it.first_line, it.lines, it.rule.as_str()))
            .collect();
        assert_eq!(
            brief,
            [
                ("stderr", 2, 4, "python.traceback"),
                ("stdout", 6, 2, "jvm.frame"),
                ("stdout", 10, 1, "http.5xx"),
            ],
            "{}",
            format.name()
        );
        assert_eq!(
            rows[1].text,
            "com.acme.Boom: no stock, mail [redacted:email]\n\tat com.acme.A.b(A.java:3)"
        );
    }
}

#[test]
fn a_compressed_file_reads_like_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, gzip) = (folder.path().join("a"), folder.path().join("a.gz"));
    let text = wrapped(Format::Plain);
    std::fs::write(&plain, &text).unwrap();
    let mut encoder = GzEncoder::new(std::fs::File::create(&gzip).unwrap(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
    let rows_plain = rows(&plain, None);
    assert!(!rows_plain.is_empty());
    assert_eq!(rows(&gzip, None), rows_plain);
}

#[test]
fn a_row_is_one_line_of_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    std::fs::write(&path, "ok\n2026-01-02 10:00:00 ERROR [main] c.acme.App - order 7 failed\n").unwrap();
    let rows = rows(&path, Some(Format::Plain));
    insta::with_settings!({filters => vec![("h1:[0-9a-f]{64}", "h1:<64 hex digits>")]}, {
        insta::assert_snapshot!(serde_json::to_string(&rows[0]).unwrap(), @r#"{"file":"app.log","stream":null,"rule":"level.text-error","severity":"error","identity":"h1:<64 hex digits>","runtime":"message","first_line":2,"lines":1,"text":"2026-01-02 10:00:00 ERROR [main] c.acme.App - order 7 failed"}"#);
    });
}

#[test]
fn totals_add_up_over_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut scan = Scan::new(Pipeline::builtin(), None);
    let mut n_bytes = 0;
    for name in ["a", "b"] {
        let text = wrapped(Format::Jsonl);
        n_bytes += text.len() as u64;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        scan.path(&path, &mut |_| ()).unwrap();
    }
    let summary = scan.summary();
    assert_eq!((summary.bytes, summary.lines, summary.records, summary.issues), (n_bytes, 22, 6, 3));
    assert!(scan.path(&folder.path().join("missing"), &mut |_| ()).is_err());
}

#[test]
fn rules_of_a_folder_take_the_place_of_the_shipped_ones() {
    let folder = tempfile::tempdir().unwrap();
    let rules =
        "[[rule]]\nid = 'shop.bye'\nseverity = 'info'\naction = 'count'\nany = ['^bye$']\nmatch = ['bye']\n";
    std::fs::write(folder.path().join("shop.toml"), rules).unwrap();
    std::fs::write(folder.path().join("README.md"), "no rules").unwrap();
    let rules = RuleSet::load_dir(folder.path()).unwrap();
    assert_eq!(rules.check_examples(), []);
    assert_eq!(rules.rules().iter().map(|it| &*it.id).collect::<Vec<_>>(), ["shop.bye"]);
}

#[test]
fn all_problems_of_a_folder_come_at_once_with_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let first = "[[rule]]\nid = 'a.b'\nseverity = 'bad'\naction = 'issue'\nany = ['(']\nmatch = ['x']\ncolour = 1\n\n\
                 [[rule]]\nid = 'a.c'\nseverity = 'error'\naction = 'issue'\nany = ['(', 'a\\nb']\nmatch = ['x']\n";
    let second = "except = ['@silent']\n[[rule]]\nid = 'a.d'\nseverity = 'error'\naction = 'issue'\nany = 'x'\n[[rule]";
    std::fs::write(folder.path().join("a.toml"), first).unwrap();
    std::fs::write(folder.path().join("b.toml"), second).unwrap();
    let problems = RuleSet::load_dir(folder.path()).unwrap_err();
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n").replace(&folder.path().display().to_string(), "rules");
    insta::assert_snapshot!(shown, @r#"
    rules/a.toml:3: a.b: severity: unknown severity `bad` (one of info, warning, error or critical)
    rules/a.toml:7: a.b: colour: unknown key (known here: id, severity, action, route, cooldown, runtime, description, any, only, except, alone, match, no_match)
    rules/a.toml:13: a.c: any[1]: not a regular expression: unclosed group (see https://docs.rs/regex for the syntax; look-around and back-references do not exist)
    rules/a.toml:13: a.c: any[2]: it wants a line break (rules are searched line by line)
    rules/b.toml:7: toml: unclosed array table, expected `]` (see https://toml.io for the syntax)
    "#);
}
