//! Lines in, findings out: numbers, look-back, silence, what is held.

use super::*;

/// (first line, lines, rule) of what is found in these lines, pushed within one second and flushed.
fn check(lines: &[&str], expected: &[(u64, u32, &str)]) {
    let pipeline = Pipeline::builtin();
    let (mut state, mut found) = (pipeline.stream(), Vec::new());
    for line in lines {
        pipeline.push(&mut state, line.as_bytes(), None, &mut found);
    }
    pipeline.flush(&mut state, &mut found);
    let found: Vec<_> = found.iter().map(|it| (it.first_line, it.n_lines, &*it.detection.rule)).collect();
    assert_eq!(found, expected, "of: {lines:#?}");
    assert_eq!(state.held_since(), None);
}

#[test]
fn single_lines_and_traces_keep_their_numbers() {
    check(&["all is well", "error: disk is gone", "all is well"], &[(1, 1, "level.text-error")]);
    check(
        &[
            "ok",
            "Traceback (most recent call last):",
            "  File \"/app/a.py\", line 3, in f",
            "    g()",
            "ValueError: x",
            "ok",
            "ok",
            "error: y",
        ],
        &[(1, 4, "python.traceback"), (7, 1, "level.text-error")],
    );
}

#[test]
fn a_trace_is_whole_although_no_rule_hits_its_first_lines() {
    check(
        &[
            "listening",
            "/app/shop.js:12",
            "  throw new Boom('x')",
            "  ^",
            "",
            "Boom: x",
            "    at f (/app/shop.js:12:9)",
            "    at main (/app/shop.js:20:1)",
            "",
            "Node.js v20.1.0",
            "next",
        ],
        &[(1, 9, "node.uncaught")],
    );
}

#[test]
fn secrets_are_gone_before_anything_sees_the_text() {
    let pipeline = Pipeline::builtin();
    let (mut state, mut found) = (pipeline.stream(), Vec::new());
    pipeline.push(&mut state, b"error: login failed password=hunter2", None, &mut found);
    pipeline.flush(&mut state, &mut found);
    assert_eq!(found[0].text.as_str(), "error: login failed password=[redacted:password]");
}

#[test]
fn what_may_belong_to_a_record_holds_the_cursor_until_silence() {
    let pipeline = Pipeline::builtin();
    let (mut state, mut found) = (pipeline.stream(), Vec::new());
    pipeline.push(&mut state, b"com.acme.Boom: x", None, &mut found);
    assert_eq!(state.held_since(), Some(0));
    pipeline.flush(&mut state, &mut found);
    assert_eq!(state.held_since(), None);
    pipeline.push(&mut state, b"com.acme.Boom: y", None, &mut found);
    pipeline.push(&mut state, b"\tat com.acme.A.b(A.java:3)", None, &mut found);
    assert_eq!(state.held_since(), Some(1));
    pipeline.flush(&mut state, &mut found);
    assert_eq!(found.iter().map(|it| (it.first_line, it.n_lines)).collect::<Vec<_>>(), [(1, 2)]);
    assert_eq!((state.held_since(), state.counts().lines), (None, 3));
}

#[test]
fn odd_bytes_are_counted_and_do_no_harm() {
    let pipeline = Pipeline::builtin();
    let (mut state, mut found) = (pipeline.stream(), Vec::new());
    let long = [b"error: ".as_slice(), &b"x".repeat(2 << 20)].concat();
    for line in [b"error: \xff\x00".as_slice(), b"\x1b[31merror: red\x1b[0m\r", &long] {
        pipeline.push(&mut state, line, None, &mut found);
    }
    pipeline.flush(&mut state, &mut found);
    assert_eq!(
        found[..2].iter().map(|it| it.text.as_str()).collect::<Vec<_>>(),
        ["error: \u{fffd}\0", "error: red"]
    );
    assert_eq!((found.len(), found[2].is_cut), (3, true));
    assert_eq!(state.counts(), LineCounts { lines: 3, candidates: 3, cut: 1, not_utf8: 1 });
}
