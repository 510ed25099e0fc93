//! Lines of every format, whole, cut and odd.

use super::*;

fn check(format: Format, line: &str, expected: (Option<&str>, &str, Option<&str>, bool)) {
    let Unwrapped { stream, text, at, is_part } = format.read(line.as_bytes());
    let text = String::from_utf8_lossy(&text).into_owned();
    let at = at.map(|it| it.to_string());
    assert_eq!((stream.as_deref(), text.as_str(), at.as_deref(), is_part), expected, "of: {line}");
}

#[test]
fn docker_json_as_the_engine_writes_it() {
    let at = Some("2026-01-02T10:00:00.123456789Z");
    let time = r#""time":"2026-01-02T10:00:00.123456789Z"}"#;
    let line = |log: &str, rest: &str| format!(r#"{{"log":"{log}","stream":"stderr",{rest}{time}"#);
    check(Format::DockerJson, &line(r"all is well\n", ""), (Some("stderr"), "all is well", at, false));
    check(Format::DockerJson, &line("a part", ""), (Some("stderr"), "a part", at, true));
    check(
        Format::DockerJson,
        &line(r#"\u003ca\u003e \"b\"\t\\ \u00e9\ud83d\ude00\n"#, r#""attrs":{"tag":"x"},"#),
        (Some("stderr"), "<a> \"b\"\t\\ é😀", at, false),
    );
    // Not a line break: a backslash and an `n`.
    check(Format::DockerJson, &line(r"C:\\n", ""), (Some("stderr"), r"C:\n", at, true));
    check(
        Format::DockerJson,
        &line(r"half \ud83d pair\n", ""),
        (Some("stderr"), "half \u{fffd} pair", at, false),
    );
}

#[test]
fn docker_json_of_other_writers() {
    check(
        Format::DockerJson,
        r#"{"stream": "stdout", "log": "x\ty\n", "time": "2026-01-02T10:00:00Z"}"#,
        (Some("stdout"), "x\ty", Some("2026-01-02T10:00:00Z"), false),
    );
    check(Format::DockerJson, r#"{"log":"x","stream":"stdout"}"#, (Some("stdout"), "x", None, true));
}

#[test]
fn cri_lines() {
    let at = Some("2026-01-02T10:00:00.000000001Z");
    check(
        Format::Cri,
        "2026-01-02T10:00:00.000000001Z stderr F error: two  blanks",
        (Some("stderr"), "error: two  blanks", at, false),
    );
    check(Format::Cri, "2026-01-02T10:00:00.000000001Z stdout P half", (Some("stdout"), "half", at, true));
    check(Format::Cri, "2026-01-02T10:00:00.000000001Z stdout F", (Some("stdout"), "", at, false));
}

#[test]
fn jsonl_lines() {
    check(Format::Jsonl, r#"{"stream":"a/1","line":"x\ny"}"#, (Some("a/1"), "x\ny", None, false));
}

#[test]
fn what_is_not_of_its_format_is_text() {
    for format in Format::ALL {
        for line in [
            "",
            "error: x",
            "{",
            r#"{"log":"x"#,
            r#"{"log":7,"stream":"stdout"}"#,
            r#"{"log":"\x","stream":"stdout"}"#,
            "2026 stdout F x",
        ] {
            check(format, line, (None, line, None, false));
        }
    }
}

#[test]
fn the_format_is_told_by_the_first_lines() {
    for (text, expected) in [
        ("", Format::Plain),
        ("\n\nerror: x\n", Format::Plain),
        (r#"{"level":"error","msg":"x"}"#, Format::Plain),
        (r#"{"log":"x\n","stream":"stdout","time":"2026-01-02T10:00:00Z"}"#, Format::DockerJson),
        ("2026-01-02T10:00:00Z stdout F x\n2026-01-02T10:00:00Z stdo", Format::Cri),
        ("2026-01-02T10:00:00Z stdout F x\nerror: y\n", Format::Plain),
        ("{\"stream\":\"a\",\"line\":\"x\"}\n", Format::Jsonl),
    ] {
        assert_eq!(Format::of(text.as_bytes()), expected, "of: {text}");
    }
}
