//! Outputs of real test runners against the issue they must show.

use super::*;
use crate::base::redact::Redactor;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/judge/", $name, ".txt"))
    };
}

fn suspect(record: &str) -> Suspect {
    let fingerprinter = Fingerprinter::builtin();
    let found = fingerprinter.fingerprint(&Redactor::builtin().redact(record));
    Suspect::new(fingerprinter, &found)
}

fn check(record: &str, output: &str, expected: bool) {
    let suspect = suspect(record);
    assert_eq!(suspect.is_in(&Redactor::builtin().redact(output)), expected, "{suspect:?}\n{output}");
}

#[test]
fn a_test_shows_the_issue_in_its_runners_own_words() {
    check(fixture!("python.issue"), fixture!("python.unittest"), true);
    check(fixture!("python.issue"), fixture!("python.pytest"), true);
    check(fixture!("node.issue"), fixture!("node.test"), true);
    check(fixture!("go.issue"), fixture!("go.test"), true);
    check(fixture!("rust.issue"), fixture!("rust.test"), true);
    check(fixture!("jvm.issue"), fixture!("jvm.test"), true);
}

#[test]
fn another_runtime_shows_nothing() {
    let issues =
        [fixture!("python.issue"), fixture!("node.issue"), fixture!("go.issue"), fixture!("jvm.issue")];
    let outputs =
        [fixture!("python.unittest"), fixture!("node.test"), fixture!("go.test"), fixture!("jvm.test")];
    for (at, issue) in issues.iter().enumerate() {
        for (_, output) in outputs.iter().enumerate().filter(|(other, _)| *other != at) {
            check(issue, output, false);
        }
    }
}

#[test]
fn another_type_or_place_is_another_error() {
    let output = fixture!("python.unittest");
    let issue = fixture!("python.issue");
    check(issue, &output.replace("ZeroDivisionError", "AttributeError"), false);
    check(issue, &output.replace("orders.py", "prices.py"), false);
    check(issue, &output.replace("in split_voucher", "in total").replace("in <listcomp>", "in total"), false);
    check(issue, "", false);
    check(issue, "FAILED (failures=1)\nAssertionError: 0 != 1\n", false);
    // The type alone, without the place.
    check(issue, "ZeroDivisionError: integer division or modulo by zero\n", false);
    let go = fixture!("go.test").replace("First", "Last").replace("orders.go", "prices.go");
    check(fixture!("go.issue"), &go, false);
}

#[test]
fn a_message_without_a_trace_is_compared_by_its_template() {
    let record = "2026-11-20 10:00:00,123 ERROR billing: no rate for CHF in table 17";
    let caught =
        "------ Captured log call ------\nERROR    billing:orders.py:12 no rate for USD in table 4\n";
    check(record, "2026-11-20 11:00:00,007 ERROR billing: no rate for CHF in table 18\n", true);
    check(record, &caught.replace("USD", "CHF"), true);
    check(record, "ERROR    billing:orders.py:12 no stock of CHF in table 17\n", false);
}
