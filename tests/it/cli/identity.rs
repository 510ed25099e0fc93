//! `homeostat fingerprint` as scripts use it: what changes from run to run does not change an identity, another bug
//! has another one, and lines without a record cost no other.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run must fail the test")]

use std::collections::BTreeSet;

use serde_json::Value;

use super::{keys, run};

fn fingerprints(texts: &[String]) -> Vec<Value> {
    let input: String = texts.iter().map(|it| format!("{}\n", serde_json::json!({ "t": it }))).collect();
    let (code, told, errors) = run(&["fingerprint", "--jsonl", "t"], &input);
    assert_eq!((code, errors.as_str()), (0, ""));
    told.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

/// Texts with holes, and what stands in the holes: one identity each, another for each text.
const SAMPLES: [(&str, [&str; 3]); 12] = [
    (
        "Traceback (most recent call last):\n  File \"{}/shop/cart.py\", line 4{}, in total\n    add(x)\nKeyError: 'item-{}'",
        ["/srv", "/home/ci/build-7", "/usr/src/app"],
    ),
    (
        "Traceback (most recent call last):\n  File \"{}/shop/cart.py\", line 4{}, in add\n    f(x)\nKeyError: 'item-{}'",
        ["/srv", "/home/ci/build-7", "/usr/src/app"],
    ),
    (
        "java.lang.IllegalStateException: basket {} is closed\n\tat com.shop.Basket.add(Basket.java:{})\n\tat com.shop.Main$$Lambda$1{}/0x1.run(Main.java:9)",
        ["12", "713", "5"],
    ),
    (
        "TypeError: x is not a function\n    at total (/srv/{}/basket.js:{}:7)\n    at {}/node_modules/a/b.js:1:2",
        ["1", "22", "333"],
    ),
    (
        "panic: no basket\n\ngoroutine {} [running]:\nmain.total(0x{})\n\t/srv/shop/basket.go:{} +0x1d\n",
        ["1", "27", "64"],
    ),
    (
        "thread 'main' ({}) panicked at src/basket.rs:2{}:14:\nno basket\nnote: run with `RUST_BACKTRACE={}`",
        ["1", "2", "3"],
    ),
    ("ERROR order {} of 10.0.{}.7 failed after {} ms", ["12", "713", "5"]),
    ("ERROR user {} of 10.0.{}.7 is unknown after {} ms", ["12", "713", "5"]),
    (
        "{\"level\":\"error\",\"msg\":\"order {} is lost\",\"request_id\":\"{}\",\"ms\":{}}",
        ["12", "713", "5"],
    ),
    (
        "==1{}==ERROR: AddressSanitizer: heap-use-after-free on address 0x60{}\n    #0 0x4{} in total /srv/basket.cpp:9:3\n    #1 0x5 in main /srv/main.cpp:2:1\n",
        ["12", "713", "5"],
    ),
    ("connection to db-{} refused: 10.0.0.{}:5432, attempt {}", ["1", "2", "3"]),
    ("write to 0x7f{} failed: job 550e8400-e29b-41d4-a716-44665544{}000, line {}", ["1", "2", "3"]),
];

/// The text with the value in every hole. JSON has braces of its own, so only `{}` is one.
fn filled(text: &str, value: &str) -> String {
    text.replace("{}", value)
}

#[test]
fn what_changes_from_run_to_run_is_not_in_the_identity() {
    let mut seen = BTreeSet::new();
    for (text, values) in SAMPLES {
        let rows = fingerprints(&values.map(|value| filled(text, value)));
        let mut identities: Vec<&str> = rows.iter().map(|it| it["identity"].as_str().unwrap()).collect();
        identities.dedup();
        assert_eq!(identities.len(), 1, "{text}: {rows:#?}");
        assert!(seen.insert(identities[0].to_owned()), "another text has the identity of: {text}");
    }
}

#[test]
fn the_exact_level_knows_the_line() {
    let text = |line: u32| {
        format!("Traceback (most recent call last):\n  File \"a.py\", line {line}, in f\nKeyError: 'a'")
    };
    let rows = fingerprints(&[text(1), text(2)]);
    assert_eq!((&rows[0]["identity"], &rows[0]["place"]), (&rows[1]["identity"], &rows[1]["place"]));
    assert_ne!(rows[0]["exact"], rows[1]["exact"]);
}

#[test]
fn frames_are_those_of_the_root_cause_innermost_first() {
    let python = "Traceback (most recent call last):\n  File \"a.py\", line 1, in outer\n  File \"a.py\", line 2, in inner\nKeyError: 'x'\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"b.py\", line 9, in page\nRuntimeError: no page";
    let java = "a.b.Outer: x\n\tat a.b.C.page(C.java:1)\nCaused by: a.b.Inner: y\n\tat a.b.D.inner(D.java:2)\n\tat a.b.D.outer(D.java:3)\n\t... 1 more";
    let node = "Error: x\n    at page (/a.js:1:2) {\n  [cause]: RangeError: y\n      at inner (/b.js:1:2)\n      at outer (/b.js:2:2)\n}";
    let rows = fingerprints(&[python.to_owned(), java.to_owned(), node.to_owned()]);
    for (row, kind, expected) in [
        (&rows[0], "KeyError", ["inner", "outer"]),
        (&rows[1], "a.b.Inner", ["a.b.D.inner", "a.b.D.outer"]),
        (&rows[2], "RangeError", ["inner", "outer"]),
    ] {
        let names: Vec<&str> =
            row["frames"].as_array().unwrap().iter().map(|it| it["function"].as_str().unwrap()).collect();
        assert_eq!((row["type"].as_str(), &names[..2]), (Some(kind), &expected[..]), "{row}");
        assert_eq!(keys(&row["frames"][0]), ["file", "function", "in_app", "module"]);
    }
}

#[test]
fn lines_without_a_record_are_told_and_the_others_printed() {
    let input = "{\"t\":\"ERROR: a\"}\n{\"u\":1}\nnope\n\n{\"t\":7}\n{\"t\":\"ERROR: b\"}\n";
    let (code, told, errors) = run(&["fingerprint", "--jsonl", "t"], input);
    let templates: Vec<Value> =
        told.lines().map(|it| serde_json::from_str::<Value>(it).unwrap()["template"].clone()).collect();
    assert_eq!((code, templates), (1, vec![Value::from("a"), Value::from("b")]));
    let told: Vec<&str> = errors.lines().collect();
    assert_eq!(told.len(), 4, "{errors}");
    for (line, expected) in told.iter().zip([
        "error: line 2 of `-`: no text in the field `t`",
        "error: line 3 of `-`: no JSON: ",
        "error: line 5 of `-`: no text in the field `t`",
        "error: 3 lines of `-` hold no record",
    ]) {
        assert!(line.starts_with(expected), "{errors}");
    }
}
