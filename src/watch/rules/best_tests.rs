//! What is found is what running every regular expression on every line finds, by another crate and without any literal.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use regex::bytes::{RegexSet, RegexSetBuilder};

use super::*;
use crate::base::redact::Clean;
use crate::watch::rules::Rule;

/// The rules by every regular expression on every line.
struct ByHand(Vec<ByHandRule>);

struct ByHandRule {
    id: String,
    any: RegexSet,
    only: RegexSet,
    except: RegexSet,
    counts_alone: bool,
}

impl ByHand {
    fn new(rules: &[Rule]) -> Self {
        let mut ranked: Vec<&Rule> = rules.iter().collect();
        ranked.sort_by_key(|rule| std::cmp::Reverse(rule.severity));
        let set = |texts: &[String]| {
            RegexSetBuilder::new(texts).unicode(false).multi_line(true).size_limit(1 << 30).build().unwrap()
        };
        let by_hand = |rule: &&Rule| ByHandRule {
            id: rule.id.to_string(),
            any: set(&rule.patterns),
            only: set(&rule.conditions),
            except: set(&rule.excludes),
            counts_alone: rule.counts_alone,
        };
        Self(ranked.iter().map(by_hand).collect())
    }

    fn detect(&self, text: &str) -> Option<&str> {
        let text = text.trim_end().as_bytes();
        let is_alone = !text.contains(&b'\n');
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let hits = |rule: &&ByHandRule| {
            (rule.counts_alone || !is_alone) && lines.iter().any(|line| rule.hits_line(line))
        };
        self.0.iter().find(hits).map(|rule| &*rule.id)
    }

    fn is_hit(&self, line: &[u8]) -> bool {
        self.0.iter().any(|rule| rule.hits_line(line))
    }
}

impl ByHandRule {
    fn hits_line(&self, line: &[u8]) -> bool {
        let mut inner = Vec::new();
        if escape::has_break(line) {
            escape::unescape(line, &mut inner);
        }
        let parts = inner.split(|byte| *byte == b'\n').filter(|_| escape::has_break(line));
        std::iter::once(line).chain(stamp::behind(line)).chain(parts).any(|part| {
            let holds = |set: &RegexSet| set.is_match(part) || set.is_match(line);
            self.any.is_match(part) && (self.only.is_empty() || holds(&self.only)) && !holds(&self.except)
        })
    }
}

fn compare(rules: &RuleSet, by_hand: &ByHand, text: &str) {
    let found = rules.detect(&Clean::trusted(text)).map(|it| it.rule.to_string());
    assert_eq!(found.as_deref(), by_hand.detect(text), "{text:?}");
    for line in text.split('\n') {
        assert_eq!(rules.is_hit(line.as_bytes()), by_hand.is_hit(line.as_bytes()), "{line:?}");
    }
}

static SHIPPED: LazyLock<ByHand> = LazyLock::new(|| ByHand::new(RuleSet::builtin().rules()));

/// What the shipped rules are about, and what they are not.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let rules = RuleSet::builtin();
    let own = rules.rules().iter().flat_map(|it| it.examples.iter().chain(&it.counter_examples));
    let lines = [
        include_str!("../../base/search/ordinary.log"),
        include_str!("../../../tests/fixtures/rules/quiet.log"),
        include_str!("../../../tests/fixtures/rules/loud.log"),
    ];
    let lines = lines.into_iter().flat_map(str::lines).map(str::to_owned);
    own.cloned().chain(lines).collect()
});

#[test]
fn every_example_and_ordinary_line_is_judged_as_by_hand() {
    let rules = RuleSet::builtin();
    TEXTS.iter().for_each(|text| compare(&rules, &SHIPPED, text));
}

/// A text, changed a little.
fn changed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => select(vec![" ", ": ", "=", "\"", "\\", "\\n", "\n", "\t", "0 ", "error", "ERROR ", "failed", "[", "]", "é", "INFO ", "retrying ", "\r"])
            .prop_map(str::to_owned),
        1 => (select(&TEXTS[..]), any::<Index>(), any::<Index>()).prop_map(|(text, from, len)| {
            let text: Vec<char> = text.chars().collect();
            let from = from.index(text.len() + 1);
            text[from..].iter().take(len.index(40)).collect()
        }),
    ];
    let change = (any::<Index>(), 0..4_usize, piece);
    (select(&TEXTS[..]), proptest::collection::vec(change, 0..3)).prop_map(|(text, changes)| {
        changes.into_iter().fold(text, |text, (at, n_gone, piece)| {
            let text: Vec<char> = text.chars().collect();
            let at = at.index(text.len() + 1);
            let rest = text[at..].iter().skip(n_gone);
            text[..at].iter().copied().chain(piece.chars()).chain(rest.copied()).collect()
        })
    })
}

/// A text as it stands in a log.
fn logged() -> impl Strategy<Value = String> {
    (changed(), 0..12_u8).prop_map(|(text, how)| match how {
        0 => format!("2026-01-02T10:00:00.000000000Z {text}"),
        1 => format!("web-1  | {text}"),
        2 => format!("Jan  2 10:00:00 host app[12]: {text}"),
        3 => serde_json::json!({"level": "info", "msg": text}).to_string(),
        4 => serde_json::json!({"stack": text.replace(' ', "\n"), "level": "error"}).to_string(),
        5 => text.to_uppercase(),
        6 => text.to_lowercase(),
        7 => format!("2026-01-02 10:00:00 ERROR {text}"),
        _ => text,
    })
}

/// A pattern of pieces that are cut in all the ways there are.
fn pattern() -> impl Strategy<Value = String> {
    let word = || select(vec!["error", "fail", "fault", "err:", "ror f", "abc", "bc", "x"]);
    let piece = prop_oneof![
        4 => word().prop_map(str::to_owned),
        1 => word().prop_map(|it| format!("(?i:{it})")),
        1 => (word(), word()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
        1 => (word(), word(), word()).prop_map(|(a, b, c)| format!("({a}.{b}|{c}\\b)")),
        1 => (word(), word()).prop_map(|(a, b)| format!("(?:{a}\\w*{b}?)+")),
        1 => word().prop_map(|it| format!("(?:{it} ){{1,3}}")),
        1 => word().prop_map(|it| format!("(?:{it})?")),
        3 => select(vec![
            ".*", "\\b", "^", "$", "\\d+", "[ab]{1,2}", "\\s?", " ", "(?:^|[ :])", "[^e]", "(?u:\\b)", "\\B", "[eE]", ".{0,5}?",
        ])
        .prop_map(str::to_owned),
    ];
    let sequence = || proptest::collection::vec(piece.clone(), 1..6).prop_map(|it| it.concat());
    let any =
        prop_oneof![3 => sequence(), 1 => (sequence(), sequence()).prop_map(|(a, b)| format!("{a}|{b}"))];
    // Rules that hit the empty line are refused.
    any.prop_map(|it| if RegexSet::new([&it]).unwrap().is_match(b"") { format!("abc(?:{it})") } else { it })
}

fn any_rules() -> impl Strategy<Value = RuleSet> {
    let severity = select(vec!["info", "warning", "error", "critical"]);
    let list = |n| proptest::collection::vec(pattern(), n);
    let rule = (severity, list(1..4), list(0..2), list(0..2), any::<bool>());
    proptest::collection::vec(rule, 1..8).prop_map(|rules| {
        let quoted = |patterns: &[String]| format!("{patterns:?}");
        let texts = rules.iter().enumerate().map(|(n, (severity, any, only, except, alone))| {
            let lists = format!("any={}\nonly={}\nexcept={}", quoted(any), quoted(only), quoted(except));
            format!("[[rule]]\nid='a.r{n}'\nseverity='{severity}'\naction='issue'\nalone={alone}\nmatch=['x']\n{lists}\n")
        });
        RuleSet::from_texts([("a.toml", texts.collect::<String>().as_str())]).unwrap()
    })
}

fn words() -> impl Strategy<Value = String> {
    let word = select(vec![
        "error", "ERROR", "fail", "fault", "err:", "errerror", "abc", "ABC", "bc", "x", " ", "7", "ab", ":",
        "\n", "\\n", "é", "web  | ", "errors",
    ]);
    proptest::collection::vec(word, 0..14).prop_map(|it| it.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// **Invariant:** results are those of every regular expression on every line.
    #[test]
    fn changed_examples_are_judged_as_by_hand(texts in proptest::collection::vec(logged(), 1..4)) {
        compare(&RuleSet::builtin(), &SHIPPED, &texts.join("\n"));
    }

    #[test]
    fn any_rules_judge_as_by_hand(rules in any_rules(), texts in proptest::collection::vec(words(), 1..8)) {
        let by_hand = ByHand::new(rules.rules());
        texts.iter().for_each(|text| compare(&rules, &by_hand, text));
    }
}

#[test]
fn lines_full_of_literals_take_no_longer_than_others() {
    let rules = "[[rule]]\nid='a.b'\nseverity='error'\naction='issue'\nany=['error .* boom', 'fail\\w*']\nmatch=['x']\n";
    let rules = RuleSet::from_texts([("a.toml", rules)]).unwrap();
    let by_hand = ByHand::new(rules.rules());
    for end in ["", "boom", " boom", " fail"] {
        compare(&rules, &by_hand, &format!("{}{end}", "error ".repeat(20_000)));
    }
}
