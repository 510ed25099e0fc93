//! What the joiner promises: bounds, times, places to start again, prefixes, and that no line is in two records.

use proptest::prelude::*;

use super::*;
use crate::base::clock::Timestamp;
use crate::model::record::Record;
use crate::model::trace::Runtime;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn is_marked(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["error", "exception", "panic", "traceback"].iter().any(|it| line.contains(it))
}

fn push_all(joiner: &mut Joiner, lines: &[&str]) -> Vec<Record> {
    let mut records = Vec::new();
    for line in lines {
        joiner.push(line, is_marked(line), None, &mut records);
    }
    records
}

fn join(text: &str) -> Vec<Record> {
    let mut joiner = Joiner::new(Limits::default());
    let mut records = push_all(&mut joiner, &text.split('\n').collect::<Vec<_>>());
    joiner.flush(&mut records);
    records
}

#[track_caller]
fn check(text: &str, expected: &[(u64, u32, Runtime)]) {
    let found: Vec<_> = join(text).iter().map(|it| (it.first_line, it.n_lines, it.runtime)).collect();
    assert_eq!(found, expected, "{text}");
}

const TRACEBACK: &str =
    "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    f()\nValueError: x";

#[test]
fn lines_that_say_nothing_make_no_record() {
    check("one\ntwo\n\nGET / 200\n  indented", &[]);
    // The message of .NET's console logger stands under its level.
    check("warn: Shop.Web[3]\n      no error page is set\nwarn: Shop.Web[4]\n      an error", &[]);
    check("warn: Shop.Web[3]\n      not found\nerror: x", &[(2, 1, Runtime::Message)]);
}

#[test]
fn a_dump_of_all_threads_is_no_error_but_a_deadlock_is() {
    let dump = "Full thread dump OpenJDK 64-Bit Server VM (17.0.15+6 mixed mode):\n\n\"main\" #1 prio=5\n   java.lang.Thread.State: RUNNABLE\n\tat shop.Main.main(Main.java:7)\n\nJNI global refs: 15\n";
    check(&format!("ok\n{dump}\nok"), &[]);
    check(
        &format!(
            "{dump}\nFound one Java-level deadlock:\n=====\n\"a\":\n  waiting\n\tat shop.Cart.first(Cart.java:12)\nok"
        ),
        &[(0, 13, Runtime::Jvm)],
    );
}

#[test]
fn a_marked_line_is_a_record_with_what_is_indented_under_it() {
    check("ok\nrequest error 7\nok", &[(1, 1, Runtime::Message)]);
    check("request error 7\n  detail: x\n  more\nok", &[(0, 3, Runtime::Message)]);
    check("error one\nerror two", &[(0, 1, Runtime::Message), (1, 1, Runtime::Message)]);
    check("{\"level\":\"error\"}\n  x", &[(0, 1, Runtime::Message)]);
}

#[test]
fn two_traces_one_after_another_are_two_records() {
    let java = "Exception in thread \"main\" a.B: x\n\tat a.C.d(C.java:1)";
    let node = "/a.js:1\nx\n^\n\nError: x\n    at f (/a.js:1:2)\n\nNode.js v20.0.0";
    let go = "panic: x\n\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:1 +0x1";
    let rust = "thread 'main' panicked at a.rs:1:2:\nx\nnote: run with `RUST_BACKTRACE=1`";
    let all = [TRACEBACK, TRACEBACK, java, java, node, node, go, go, rust, rust, TRACEBACK, java];
    let texts: Vec<String> = join(&all.join("\n")).into_iter().map(|it| it.text).collect();
    assert_eq!(texts, all);
}

#[test]
fn a_logger_s_line_and_its_trace_are_one() {
    check(&format!("2024-01-01 10:00:00 ERROR app: failed\n{TRACEBACK}\nok"), &[(0, 5, Runtime::Python)]);
    check(&format!("2024-01-01 10:00:00 INFO app: served\n{TRACEBACK}"), &[(1, 4, Runtime::Python)]);
}

#[test]
fn prefixes_before_every_line_do_not_matter() {
    for prefix in ["web-1  | ", "2024-01-01T10:00:00Z ", "2024-01-01T10:00:00.000000000Z stderr F "] {
        let text = TRACEBACK.replace('\n', &format!("\n{prefix}"));
        check(&format!("{prefix}ok\n{prefix}{text}\n{prefix}ok"), &[(1, 4, Runtime::Python)]);
    }
}

#[test]
fn terminals_escapes_and_carriage_returns_are_taken_off() {
    let records = join("\u{1b}[31mrequest error\u{1b}[0m\r");
    assert_eq!(records[0].text, "request error");
}

#[test]
fn records_are_cut_at_their_bounds() {
    let limits = Limits { max_lines: 3, max_bytes: 60, ..Limits::default() };
    let mut joiner = Joiner::new(limits);
    let mut lines = vec!["a.B.CException: x"];
    lines.extend(["\tat a.b.C.d(C.java:1)"; 9]);
    let mut records = push_all(&mut joiner, &lines);
    joiner.flush(&mut records);
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].n_lines, records[0].is_cut), (10, true));
    assert!(records[0].text.len() <= 60, "{}", records[0].text);
}

#[test]
fn silence_ends_a_record_by_the_lines_own_times() {
    let mut joiner = Joiner::new(Limits::default());
    let mut records = Vec::new();
    for (second, line) in
        [(0, "a.B.CException: x"), (1, "\tat a.b.C.d(C.java:1)"), (9, "\tat a.b.C.e(C.java:2)")]
    {
        joiner.push(line, false, Some(at(second)), &mut records);
    }
    assert_eq!(records.iter().map(|it| it.n_lines).collect::<Vec<_>>(), [2]);
}

#[test]
fn lines_without_times_are_parted_by_nobody_but_the_source() {
    let mut joiner = Joiner::new(Limits::default());
    let mut records = push_all(&mut joiner, &["error"]);
    assert!(records.is_empty());
    joiner.flush(&mut records);
    assert_eq!(records.len(), 1);
}

#[test]
fn the_place_to_start_again_is_the_first_line_of_what_is_open() {
    let mut joiner = Joiner::new(Limits::default());
    assert_eq!(joiner.held_since(), None);
    push_all(&mut joiner, &["ok", "/a.js:1", "throw x", "^", "", "Error: x"]);
    assert_eq!(joiner.held_since(), Some(1));
    push_all(&mut joiner, &["    at f (/a.js:1:2)", "", "Node.js v20.0.0"]);
    assert_eq!(joiner.held_since(), None);
}

/// Lines that begin, continue and end records of every kind, and lines that do none of it.
const LINES: &[&str] = &[
    "ok",
    "",
    "request error 7",
    "  indented",
    "Traceback (most recent call last):",
    "  File \"a.py\", line 1, in f",
    "    f()",
    "ValueError: x",
    "During handling of the above exception, another exception occurred:",
    "a.B.CException: x",
    "\tat a.b.C.d(C.java:1)",
    "Caused by: a.D: y",
    "\t... 2 more",
    "/a.js:1",
    "^",
    "Error: x",
    "    at f (/a.js:1:2)",
    "    at g (/a.js:1:2) {",
    "}",
    "Node.js v20.0.0",
    "panic: x",
    "goroutine 1 [running]:",
    "main.f()",
    "\t/a.go:1 +0x1",
    "thread 'main' panicked at a.rs:1:2:",
    "stack backtrace:",
    "   0: f",
    "note: x",
    "2024-01-01 10:00:00 INFO served",
    "2024-01-01 10:00:00 ERROR failed",
    "==================",
    "==1==ERROR: AddressSanitizer: x",
    "    #0 0x1 in f a.c:1",
    "died at /a.pl line 3.",
    "web-1  | ok",
    "{\"level\":\"error\"}",
    "Jul 09, 2015 3:23:29 PM a.B c",
    "SEVERE: x",
    "PHP Fatal error:  Uncaught E: x in /a.php:3",
    "Stack trace:",
    "#0 /a.php(5): f()",
    "Unhandled exception:",
];

proptest! {
    /// **Invariant:** no line is in two records, and records come in the order of their lines.
    #[test]
    fn no_line_is_in_two_records(picks in prop::collection::vec(0..LINES.len(), 0..60)) {
        let lines: Vec<&str> = picks.iter().map(|it| LINES[*it]).collect();
        let mut next = 0;
        for record in join(&lines.join("\n")) {
            prop_assert!(record.first_line >= next);
            next = record.first_line + u64::from(record.n_lines);
            let end = usize::try_from(next).unwrap();
            prop_assert!(end <= lines.len());
            let start = usize::try_from(record.first_line).unwrap();
            prop_assert_eq!(&record.text, &lines[start..end].join("\n"));
        }
    }

    /// **Invariant:** what is read again from `held_since` after a crash gives the records that were still to come.
    #[test]
    fn a_replay_joins_as_the_first_run_did(picks in prop::collection::vec(0..LINES.len(), 1..40), crash in 0_usize..40) {
        let lines: Vec<&str> = picks.iter().map(|it| LINES[*it]).collect();
        let crash = crash.min(lines.len());
        let mut first = Joiner::new(Limits::default());
        let before = push_all(&mut first, &lines[..crash]);
        let from = first.held_since().map_or(crash, |it| usize::try_from(it).unwrap());
        let mut second = Joiner::new(Limits::default());
        let mut after = push_all(&mut second, &lines[from..]);
        second.flush(&mut after);
        let texts = |records: Vec<Record>| records.into_iter().map(|it| it.text).collect::<Vec<_>>();
        let mut found = texts(before);
        found.extend(texts(after));
        prop_assert_eq!(found, texts(join(&lines.join("\n"))));
    }

    /// Text of any kind does no harm.
    #[test]
    fn odd_lines_do_no_harm(lines in prop::collection::vec("\\PC{0,40}|[ \\t\\x00-\\x7f]{0,40}", 0..20)) {
        join(&lines.join("\n"));
    }
}

#[test]
fn a_line_that_is_given_early_is_given_once_with_what_follows() {
    let mut joiner = Joiner::new(Limits::default());
    let mut records = Vec::new();
    joiner.push("error: no stock", true, None, &mut records);
    assert_eq!(joiner.held_since(), Some(0));
    joiner.tell_early(&mut records);
    joiner.tell_early(&mut records);
    let texts = |records: &[Record]| records.iter().map(|it| it.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        (texts(&records), joiner.held_since(), joiner.is_open()),
        (vec!["error: no stock".to_owned()], None, true)
    );
    joiner.push("  in shop 7", false, None, &mut records);
    assert_eq!(joiner.held_since(), None, "it belongs to what was given");
    joiner.push("error: no bread", true, None, &mut records);
    assert_eq!((texts(&records).len(), joiner.held_since()), (1, Some(2)));
    joiner.flush(&mut records);
    assert_eq!(texts(&records), ["error: no stock", "error: no bread"]);
    // A trace that is open waits.
    joiner.push("Traceback (most recent call last):", true, None, &mut records);
    joiner.tell_early(&mut records);
    assert_eq!((records.len(), joiner.held_since()), (2, Some(3)));
}
