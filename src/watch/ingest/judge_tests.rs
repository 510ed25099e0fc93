//! What is told of the lines is what is told of the text.

use std::fs;
use std::path::Path;

use super::*;
use crate::watch::fingerprint::Fingerprinter;

/// What redactor, rules and fingerprinter say of the whole text.
fn whole(judge: &Judge, text: &str) -> Option<Judged> {
    let text = judge.redactor.redact(text);
    let detection = judge.rules.detect(&text)?;
    let made = Fingerprinter::with_rules(judge.user_rules.clone()).fingerprint(&text);
    let identity = Identity { fingerprint: made.levels.identity, runtime: made.runtime };
    let verdict = Identities::default().of_text(&text, &judge.user_rules).verdict;
    Some(Judged::new(text, detection, Grouped { identity, verdict }))
}

/// Records of all sorts, and lines that do not fit them.
fn lines() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records");
    let files = fs::read_dir(folder).unwrap().map(|it| fs::read_to_string(it.unwrap().path()).unwrap());
    let odd = [
        "login failed password=hunter2 for order 12",
        "ERROR pay 4111 1111 1111 1111 refused",
        "error: mail to someone@shop.test failed after 12 ms",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        r#"{"level":50,"time":1767322801977,"msg":"order 7 failed","err":"refused"}"#,
        r#"2026-01-02T03:04:05Z {"level":"error","msg":"order 7 failed"}"#,
        "level=error msg=\"order 7 failed\" err=refused",
        "HTTP status 503 from upstream",
        "ERROR trace 9d17fbb459b22450 lost, user=a1b2c3 at 2001:0db8:85a3:0000",
        "2026-01-02T03:01:15.218Z\tERROR\ta.go:88\tfailed\t{\"trace_id\": \"1b4aafa3fe89bb5b\"}",
        "{\"level\":50,\"time\":1767322834537,\"msg\":\"error 12\"}",
        "... 7 more",
        "Error: carriage\r return 12",
        "panic: boom \u{1b}[31m12",
        "",
        "   ",
        "error",
        "ERROR é 12",
    ];
    let lines = files.flat_map(|it| it.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.chain(odd.map(str::to_owned)).collect()
}

#[test]
fn records_of_any_lines_are_judged_as_whole_texts() {
    let judge = Judge::new(RuleSet::builtin(), Redactor::builtin());
    assert!(judge.redactor.works_by_line(), "nothing would be remembered");
    let lines = lines();
    let mut random = fastrand::Rng::with_seed(4);
    let mut n_found = 0;
    for _ in 0..1000 {
        let from = random.usize(..lines.len());
        let mut record: Vec<String> = lines.iter().skip(from).take(random.usize(1..12)).cloned().collect();
        if random.bool() {
            record.insert(random.usize(..=record.len()), random.choice(&lines).unwrap().clone());
        }
        let mut text = record.join("\n");
        if random.bool() {
            let has_ids = random.bool();
            let digit = |it: char| match it {
                '0'..='9' | 'a'..='f' if has_ids && random.u8(..5) == 0 => random.digit(16),
                '0'..='9' => random.digit(10),
                _ => it,
            };
            text = text.chars().map(digit).collect();
        }
        let expected = whole(&judge, &text);
        n_found += usize::from(expected.is_some());
        assert_eq!(judge.judge(&mut judge.memo(), text.clone()), expected, "{text}");
        assert_eq!(judge.judge(&mut judge.memo(), text.clone()), expected, "a second time: {text}");
    }
    assert!(n_found > 150, "{n_found}");
}

#[test]
fn what_is_remembered_is_bounded() {
    let judge = Judge::new(RuleSet::builtin(), Redactor::builtin());
    for n in 0..10_000 {
        let name: String = format!("{n:05}").bytes().map(|it| char::from(it - b'0' + b'a')).collect();
        let memo = &mut *judge.memo();
        judge.judge(memo, format!("error: no {name}\n\tat {name}.run(A.java:1)"));
        assert!(memo.known.len() <= 3 * 1024 + 12, "{n}");
    }
}
