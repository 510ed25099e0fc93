//! What rules match, what they make of it, and that nothing remembered is other than what would be read.

use super::super::{Fingerprinted, Fingerprinter, Identities};
use super::*;
use crate::base::redact::Clean;

const TRACE: &str = "Traceback (most recent call last):\n  File \"/srv/shop/vendored/pool.py\", line 3, in acquire\n    x\n  File \"/srv/shop/app.py\", line 12, in pay\n    y\nshop.TimeoutError: no answer from db7 after 30 s";

fn globs(patterns: &[&str]) -> Vec<GlobMatcher> {
    patterns.iter().map(|it| globset::Glob::new(it).unwrap().compile_matcher()).collect()
}

fn rule(effect: Effect) -> UserRule {
    UserRule {
        name: "r".to_owned(),
        services: Vec::new(),
        types: Vec::new(),
        message: None,
        functions: Vec::new(),
        paths: Vec::new(),
        effect,
    }
}

fn fixed(text: &str) -> Effect {
    Effect::Decide { parts: Some(vec![Part::Text(text.to_owned())]), verdict: Verdict::default() }
}

fn made(rules: Vec<UserRule>, text: &str) -> Fingerprinted {
    Fingerprinter::with_rules(UserRules::new(rules)).for_service("shop").fingerprint(&Clean::trusted(text))
}

/// Whether a rule changes what the text is.
#[track_caller]
fn check(rule: UserRule, text: &str, expected: bool) {
    let (with, without) = (made(vec![rule.clone()], text), made(Vec::new(), text));
    assert_eq!(with.levels.identity != without.levels.identity, expected, "{rule:?} of {text}");
}

#[test]
fn what_a_rule_names_must_all_match() {
    let r = || rule(fixed("x"));
    check(r(), TRACE, true);
    check(r(), "ERROR: no stock", true);
    check(UserRule { services: globs(&["sh*"]), ..r() }, TRACE, true);
    check(UserRule { services: globs(&["mail", "web"]), ..r() }, TRACE, false);
    check(UserRule { types: globs(&["*.TimeoutError"]), ..r() }, TRACE, true);
    check(UserRule { types: globs(&["TimeoutError"]), ..r() }, TRACE, false);
    check(UserRule { types: globs(&["*"]), ..r() }, "ERROR: no stock", false);
    check(UserRule { message: Some(Regex::new("from db7 after [0-9]+ s$").unwrap()), ..r() }, TRACE, true);
    check(UserRule { message: Some(Regex::new("from db8").unwrap()), ..r() }, TRACE, false);
    check(
        UserRule { message: Some(Regex::new("^no stock of 17").unwrap()), ..r() },
        "ERROR: no stock of 17",
        true,
    );
    check(UserRule { functions: globs(&["pay"]), ..r() }, TRACE, true);
    check(UserRule { functions: globs(&["pay"]), paths: globs(&["*/app.py"]), ..r() }, TRACE, true);
    // One frame must be both.
    check(UserRule { functions: globs(&["pay"]), paths: globs(&["*/pool.py"]), ..r() }, TRACE, false);
    check(UserRule { functions: globs(&["pay"]), types: globs(&["OSError"]), ..r() }, TRACE, false);
}

#[test]
fn parts_make_the_identity() {
    let parts = |parts: &[&str]| {
        let parts = parts.iter().map(|it| Part::read(it).unwrap()).collect();
        rule(Effect::Decide { parts: Some(parts), verdict: Verdict::default() })
    };
    let preimage = |it: &[&str]| made(vec![parts(it)], TRACE).preimage;
    assert_eq!(preimage(&["db"]), "h1\n4:rule\n2:db");
    let of = ["{{type}}", "{{function}}", "{{ path }}", "{{template}}"];
    let expected =
        "h1\n4:rule\n17:shop.TimeoutError\n3:pay\n16:/srv/shop/app.py\n30:no answer from <*> after <*> s";
    assert_eq!(preimage(&of), expected);
    let default = made(Vec::new(), TRACE).preimage;
    assert_eq!(preimage(&["{{default}}", "eu"]), format!("h1\n4:rule\n{}:{default}\n2:eu", default.len()));
    assert_eq!(Part::read("{{what}}"), Err("what"));
}

#[test]
fn the_first_rule_that_matches_wins() {
    let never = UserRule { types: globs(&["OSError"]), ..rule(fixed("never")) };
    let ignored = Verdict { is_ignored: true, severity: Some(Severity::Warning) };
    let ignore = rule(Effect::Decide { parts: None, verdict: ignored });
    let late = rule(fixed("late"));
    let rules = UserRules::new(vec![never, ignore, late]);
    let grouped = Identities::default().of_text(&Clean::trusted(TRACE), &rules);
    let without = Identities::default().of_text(&Clean::trusted(TRACE), &UserRules::none());
    assert_eq!((grouped.identity, grouped.verdict), (without.identity, ignored));
}

#[test]
fn frames_are_whose_the_first_rule_says() {
    let mark = |in_app, paths: &[&str]| UserRule { paths: globs(paths), ..rule(Effect::InApp(in_app)) };
    let in_app = |rules: Vec<UserRule>| {
        let frames = made(rules, TRACE).trace.unwrap().exceptions.remove(0).frames;
        frames.iter().map(|it| it.in_app).collect::<Vec<_>>()
    };
    // Innermost first.
    let lines = made(Vec::new(), TRACE).trace.unwrap().exceptions.remove(0).frames;
    assert_eq!(lines.iter().map(|it| &*it.function).collect::<Vec<_>>(), ["pay", "acquire"]);
    assert_eq!(in_app(Vec::new()), [true, true]);
    assert_eq!(in_app(vec![mark(false, &["*/vendored/*"])]), [true, false]);
    let both = vec![mark(true, &["*/pool.py"]), mark(false, &["*/vendored/*", "*/app.py"])];
    assert_eq!(in_app(both), [false, true]);
    check(mark(false, &["*/vendored/*"]), TRACE, true);
    let of_type = UserRule { types: globs(&["OSError"]), ..mark(false, &["*"]) };
    check(of_type, TRACE, false);
}

/// **Invariant:** what is remembered is what would be read, whatever the rules look at.
#[test]
fn a_record_that_was_seen_is_decided_as_it_was() {
    let message = UserRule { message: Some(Regex::new("order 7").unwrap()), ..rule(fixed("seven")) };
    let function = UserRule { functions: globs(&["pay"]), ..rule(fixed("pay")) };
    for rules in [vec![message.clone()], vec![function.clone()], vec![message, function]] {
        let rules = UserRules::new(rules);
        let mut identities = Identities::default();
        for n in 0..10 {
            for text in ["ERROR: order 5", &TRACE.replace("30 s", "order 5")] {
                let text = Clean::trusted(text.replace('5', &n.to_string()));
                let read = Fingerprinter::with_rules(rules.clone()).fingerprint(&text);
                let grouped = identities.of_text(&text, &rules);
                assert_eq!(grouped.identity.fingerprint, read.levels.identity, "{text}");
            }
        }
    }
}
