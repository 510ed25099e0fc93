//! The lines around records, however the stream is cut into blocks.

use super::*;
use crate::watch::ingest::engine::OddLines;
use crate::watch::ingest::pipeline::Pipeline;

fn settings() -> Settings {
    Settings { before: 2, after: 2, ..Settings::default() }
}

/// What is told of each record, in the end, of a text that comes in blocks of so many lines.
fn told(text: &str, format: Format, n_lines: usize, settings: Settings) -> Vec<(String, String, String)> {
    let mut engine = BlockEngine::new(Pipeline::builtin().with_around(settings), OddLines::AsText);
    let (mut found, mut told) = (Vec::new(), Vec::new());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for block in lines.chunks(n_lines) {
        let block = block.concat();
        let input = Input { format, text: block.as_bytes(), places: None };
        engine.block(&input, &mut |_, it| found.push(it));
        told.extend(engine.around_block(&input));
    }
    engine.finish(&mut |_, it| found.push(it));
    told.extend(engine.around_rest(true));
    let lines = |found: &Found| {
        let id = found.around.as_ref().and_then(|it| it.id);
        let mut told = told.iter().filter(|it| id.is_some() && it.id == id);
        let before = told.clone().next().map(|it| it.before.as_str().to_owned());
        let after = told.next_back().map(|it| it.after.as_str().to_owned());
        (before.unwrap_or_default(), found.text.as_str().to_owned(), after.unwrap_or_default())
    };
    found.iter().map(lines).collect()
}

fn check(text: &str, format: Format, expected: &[(&str, &str, &str)]) {
    let owned = |it: &(&str, &str, &str)| (it.0.to_owned(), it.1.to_owned(), it.2.to_owned());
    let expected: Vec<_> = expected.iter().map(owned).collect();
    for n_lines in [1, 2, 3, 5, 100] {
        assert_eq!(told(text, format, n_lines, settings()), expected, "in blocks of {n_lines} lines");
    }
}

#[test]
fn a_record_is_told_with_the_lines_around_it() {
    let text = "INFO one\nINFO two\nINFO three\nERROR no stock\nINFO four\nINFO five\nINFO six\n";
    check(text, Format::Plain, &[("INFO two\nINFO three", "ERROR no stock", "INFO four\nINFO five")]);
    check("ERROR no stock\n", Format::Plain, &[("", "ERROR no stock", "")]);
    check(
        "a\nERROR x\nERROR y",
        Format::Plain,
        &[("a", "ERROR x", "ERROR y"), ("a\nERROR x", "ERROR y", "")],
    );
}

#[test]
fn a_trace_is_one_record_with_lines_on_both_sides() {
    let trace = "com.acme.Boom: no stock\n\tat com.acme.A.a(A.java:1)\n\tat com.acme.B.b(B.java:2)";
    let text = format!("INFO one\nINFO two\nINFO three\n{trace}\nINFO four\nINFO five\nINFO six\n");
    check(&text, Format::Plain, &[("INFO two\nINFO three", trace, "INFO four\nINFO five")]);
}

#[test]
fn the_other_stream_of_a_container_is_left_out() {
    let line = |stream: &str, text: &str| {
        let time = "2026-01-02T03:04:05.000000001Z";
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
    };
    let text = [
        line("stderr", "opened"),
        line("stdout", "GET /1"),
        line("stderr", "retry \\\"2\\\""),
        line("stdout", "GET /2"),
        line("stderr", "ERROR no stock"),
        line("stdout", "GET /3"),
        line("stderr", "password=hunter2-x9"),
        line("stderr", "closed"),
    ];
    let expected = ("opened\nretry \"2\"", "ERROR no stock", "password=[redacted:password]\nclosed");
    check(&text.concat(), Format::DockerJson, &[expected]);
}

#[test]
fn of_a_storm_a_few_are_told_with_their_lines() {
    let text = "INFO ok\nERROR no stock\n".repeat(1000);
    let told = told(&text, Format::Plain, 64, settings());
    assert_eq!((told.len(), told.iter().filter(|it| !it.0.is_empty()).count()), (1000, 3));
}

#[test]
fn nothing_is_kept_where_nobody_wants_it_and_little_where_somebody_does() {
    let off = Settings { before: 0, after: 0, ..settings() };
    assert_eq!(
        told("a\nERROR x\nb\n", Format::Plain, 1, off),
        [(String::new(), "ERROR x".to_owned(), String::new())]
    );
    let mut engine = BlockEngine::new(Pipeline::builtin().with_around(settings()), OddLines::AsText);
    for n in 0..2000 {
        let text = format!("{}\n", "x".repeat(n * 37 % 900)).repeat(1 + n % 7);
        let input = Input { format: Format::Plain, text: text.as_bytes(), places: None };
        engine.block(&input, &mut |_, _| {});
        engine.around_block(&input);
        let kept = engine.surroundings.as_ref().unwrap();
        assert!(
            kept.tail.len() <= settings().max_bytes * 3 / 2
                && kept.tail.capacity() <= settings().max_bytes * 2
        );
        assert!(kept.starts.len() <= MAX_STARTS && (kept.tail.is_empty() || kept.tail.ends_with(b"\n")));
    }
}
