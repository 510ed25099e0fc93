//! Whole records to their fingerprints: what changes from run to run does not count, what makes another bug does.

use proptest::prelude::*;

use super::*;

fn fingerprint(text: &str) -> Fingerprinted {
    Fingerprinter::builtin().fingerprint(&Clean::trusted(text))
}

fn identity(text: &str) -> String {
    fingerprint(text).levels.identity.full()
}

const PYTHON: &str = "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 3, in <module>\n    main()\n  File \"/srv/app/pay.py\", line 12, in charge\n    raise PaymentError(order)\nshop.PaymentError: declined A-17";
const JAVA: &str = "java.lang.IllegalStateException: job failed\n\tat a.Job.run(Job.java:12)\n\tat java.base/java.lang.Thread.run(Thread.java:840)\nCaused by: a.PaymentException: declined A-17\n\tat a.Pay.charge(Pay.java:7)\n\t... 2 more";
const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'name')\n    at lookup (/srv/app/shop.js:3:39)\n    at Object.<anonymous> (/srv/app/main.js:24:22)\n    at Module._compile (node:internal/modules/cjs/loader:1521:14)";
const GO: &str = "panic: runtime error: index out of range [6] with length 3\n\ngoroutine 1 [running]:\nmain.pick(...)\n\t/srv/app/main.go:5\nmain.main()\n\t/srv/app/main.go:16 +0x412\nexit status 2";
const RUST: &str = "thread 'main' (23997) panicked at src/main.rs:12:46:\nindex out of bounds: the len is 3 but the index is 7\nstack backtrace:\n   0: __rustc::rust_begin_unwind\n             at /rustc/5980/library/std/src/panicking.rs:689:5\n   1: shop::pick\n             at ./src/main.rs:12:46\nnote: Some details are omitted";

#[test]
fn envelopes_and_prefixes_do_not_count() {
    for text in [PYTHON, JAVA, NODE, GO, RUST] {
        let expected = fingerprint(text);
        assert!(expected.trace.is_some(), "{text}");
        let json = serde_json::to_string(text).unwrap();
        for wrapped in [
            text.replace('\n', "\nweb-1  | ").replacen("", "web-1  | ", 1),
            text.replace('\n', "\n2024-01-01T10:00:00Z ").replacen("", "2024-01-01T10:00:00Z ", 1),
            text.replace('\n', "\r\n"),
            format!("2024-01-01 10:00:00,123 ERROR app.pay: {text}"),
            format!(r#"{{"level":"error","message":"failed","error":{{"stack_trace":{json}}}}}"#),
            format!(r#"{{"level":50,"msg":"failed","err":{{"stack":{json}}}}}"#),
            format!(r#"{{"body":"failed","attributes":{{"exception.stacktrace":{json}}}}}"#),
        ] {
            let found = fingerprint(&wrapped);
            assert_eq!(found.preimage, expected.preimage, "{wrapped}");
        }
    }
}

#[test]
fn frames_are_read_innermost_first_and_marked() {
    let trace = fingerprint(JAVA).trace.unwrap();
    let root: Vec<(&str, bool)> =
        trace.exceptions[0].frames.iter().map(|it| (it.function.as_str(), it.in_app)).collect();
    assert_eq!(trace.exceptions[0].kind, "a.PaymentException");
    assert_eq!(root, [("a.Pay.charge", true), ("a.Job.run", true), ("java.lang.Thread.run", false)]);
    assert_eq!(trace.exceptions[1].kind, "java.lang.IllegalStateException");
}

#[test]
fn titles_are_one_line() {
    for (text, expected) in [
        (PYTHON, "shop.PaymentError: declined A-17"),
        (JAVA, "a.PaymentException: declined A-17"),
        (GO, "panic: runtime error: index out of range [6] with length 3"),
        (RUST, "panic: index out of bounds: the len is 3 but the index is 7"),
        ("2024-01-01 ERROR [main] no route\nmore", "no route"),
    ] {
        assert_eq!(fingerprint(text).title.as_str(), expected);
    }
}

#[test]
fn every_step_is_explained() {
    let explain = |text: &str| Fingerprinter::builtin().explain(&Clean::trusted(text)).to_string();
    insta::assert_snapshot!("explain_python", explain(PYTHON));
    insta::assert_snapshot!("explain_java", explain(JAVA));
    insta::assert_snapshot!(
        "explain_message",
        explain("2024-01-01 10:00:00 ERROR c.e.Pay - order 12 failed for 10.0.0.1:80")
    );
}

#[test]
fn another_function_type_or_sentence_is_another_bug() {
    for (text, from, to) in [
        (PYTHON, "in charge", "in refund"),
        (PYTHON, "shop.PaymentError", "shop.OrderError"),
        (JAVA, "a.Pay.charge", "a.Pay.refund"),
        (NODE, "at lookup", "at search"),
        (GO, "index out of range [6] with length 3", "assignment to entry in nil map"),
        (RUST, "shop::pick", "shop::find"),
        ("connection refused by 10.0.0.1", "refused", "reset"),
    ] {
        assert_ne!(identity(text), identity(&text.replace(from, to)), "{from} → {to}");
    }
}

proptest! {
    /// **Invariant:** lines, folders, ids, addresses, threads and times do not change an identity.
    #[test]
    fn what_changes_from_run_to_run_does_not_count(line in 1_u32..5000, folder in "/[a-z]{1,8}/[a-z0-9-]{1,12}", id in "[A-Z]{1,4}-[0-9]{1,6}", number in 0_u32..100_000) {
        for text in [PYTHON, JAVA, NODE, GO, RUST] {
            let changed = text
                .replace("/srv/app", &folder)
                .replace("A-17", &id)
                .replace("line 12", &format!("line {line}"))
                .replace(".java:7", &format!(".java:{line}"))
                .replace(":3:39", &format!(":{line}:9"))
                .replace("main.go:5", &format!("main.go:{line}"))
                .replace("+0x412", &format!("+0x{number:x}"))
                .replace("main.rs:12:46", &format!("main.rs:{line}:4"))
                .replace("(23997)", &format!("({number})"))
                .replace("index is 7", &format!("index is {number}"))
                .replace("[6]", &format!("[{number}]"));
            prop_assert_eq!(fingerprint(&changed).preimage, fingerprint(text).preimage);
        }
    }

    /// Recursion of any depth is the same bug.
    #[test]
    fn depth_does_not_count(depth in 2_usize..60) {
        let frames = |n: usize| "\tat a.Tree.walk(Tree.java:7)\n".repeat(n);
        let text = |n: usize| format!("a.TreeException: x\n\tat a.Leaf.cut(Leaf.java:1)\n{}\tat a.Main.main(Main.java:1)", frames(n));
        prop_assert_eq!(identity(&text(depth)), identity(&text(1)));
    }

    /// Text of any kind has a fingerprint.
    #[test]
    fn odd_texts_do_no_harm(text in "(\\PC|[ \\t\\n\\x00-\\x7f]){0,200}") {
        fingerprint(&text);
    }
}

fn fixtures() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files =
        ["records", "traces"].map(|it| std::fs::read_dir(folder.join(it)).unwrap()).into_iter().flatten();
    let paths = files.map(|it| it.unwrap().path()).filter(|it| it.is_file());
    let own = [PYTHON, JAVA, NODE, GO, RUST].map(str::to_owned);
    own.into_iter().chain(paths.map(|it| std::fs::read_to_string(it).unwrap())).collect()
}

/// Numbers that are made alike are those that do not count anyway.
#[test]
fn making_numbers_alike_changes_no_identity() {
    for text in fixtures() {
        let unwrapped = unwrap::unwrap(&text);
        let lines: Vec<&str> = unwrapped.lines.iter().map(String::as_str).collect();
        let (as_logged, alike) = (read(&lines, &UserRules::none()), read_alike(&lines, &UserRules::none()));
        assert_eq!(
            (alike.key.identity, alike.key.place),
            (as_logged.key.identity, as_logged.key.place),
            "{text}"
        );
    }
}

/// **Invariant:** what is looked up is what would be read.
#[test]
fn a_text_that_was_seen_gives_what_it_gave() {
    let (mut identities, rules) = (Identities::default(), UserRules::none());
    let messages = [
        "ValueError: order 7",
        "2026-01-02 10:00:00 ERROR a.B - order 7 of 7",
        "HTTP status 507",
        "a.B: x 7\n\tat a.C.d(C.java:7)\n\t... 7 more",
        "a.B: x\n\tat a.C.d(C.java:1)\n\tat a.E.f(E.java:1)\nCaused by: a.G: 7\n\tat a.C.h(C.java:3)\n\t... 7 more",
        "{\"level\":50,\"msg\":\"order 7\"}",
        "level=error msg=\"order 7\" status=507",
        "",
        "\n",
    ];
    let texts: Vec<String> = messages.into_iter().map(str::to_owned).chain(fixtures()).collect();
    for n in 0..30 {
        for text in &texts {
            let text = Clean::trusted(text.replace('7', &n.to_string()));
            let read = fingerprint(text.as_str());
            let identity = Identity { fingerprint: read.levels.identity, runtime: read.runtime };
            let expected = Grouped { identity, verdict: Verdict::default() };
            assert_eq!(identities.of_text(&text, &rules), expected, "{text}");
            if !text.as_str().lines().next().is_none_or(Identities::needs_text) {
                let ids: Vec<LineId> = text.as_str().lines().map(|it| identities.line(it).id).collect();
                assert_eq!(identities.of_lines(&ids, &rules), expected, "{text}");
            }
        }
    }
}
