//! No line that a rule hits is passed by, however it is wrapped: what the prefilter leaves and a rule hits is what every regular
//! expression finds on every decoded line.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn ordinary() -> Vec<&'static str> {
    include_str!("../../base/search/ordinary.log").lines().collect()
}

/// Whether any rule hits the line, each tried by itself, without literals.
fn by_hand(rules: &RuleSet, line: &str) -> bool {
    // Behind a second line, so that rules count that do not count alone.
    let text = format!("{line}\n.");
    (0..rules.rules().len()).any(|rule| rules.hits(rule, &text))
}

/// A line of a log: an example of a rule, or an ordinary one, with a bit of another in it.
fn line() -> impl Strategy<Value = String> {
    let rules = RuleSet::builtin();
    let examples = rules.rules().iter().flat_map(|it| it.examples.iter().chain(&it.counter_examples));
    let examples: Vec<String> = examples.flat_map(|it| it.lines()).map(str::to_owned).collect();
    let one = prop_oneof![3 => select(examples), 2 => select(ordinary()).prop_map(str::to_owned)];
    (one.clone(), proptest::option::of((one, any::<Index>(), any::<Index>()))).prop_map(|(line, other)| {
        let Some((other, at, from)) = other else { return line };
        let (line, other): (Vec<char>, Vec<char>) = (line.chars().collect(), other.chars().collect());
        let (head, tail) = line.split_at(at.index(line.len() + 1));
        let middle = other[from.index(other.len() + 1)..].iter().take(12);
        head.iter().chain(middle).chain(tail).collect()
    })
}

/// The same line as its container's engine writes it, as JSON of others, and as JSON within JSON.
fn wrapped(line: &str) -> [String; 4] {
    let docker = |text: &str| {
        let json = serde_json::json!({"log": format!("{text}\n"), "stream": "stdout", "time": "2026-01-02T10:00:00.000000001Z"});
        json.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
    };
    let json = |text: &str| serde_json::json!({"message": text}).to_string();
    [line.to_owned(), docker(line), json(line), docker(&json(line))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// **Invariant:** lines that a rule hits are candidates, wrapped or not.
    #[test]
    fn no_line_that_a_rule_hits_is_passed_by(lines in proptest::collection::vec(line(), 1..6)) {
        let rules = RuleSet::builtin();
        let scanner = Scanner::new(Arc::clone(&rules));
        let texts: Vec<[String; 4]> = lines.iter().map(|it| wrapped(it)).collect();
        for how in 0..4 {
            let block: String = texts.iter().map(|it| it[how].clone() + "\n").collect();
            let found: Vec<&str> = scanner.candidates(block.as_bytes()).map(|it| &block[it]).collect();
            for (line, text) in lines.iter().zip(&texts) {
                // JSON of a program is searched as a line of its own.
                let decoded = if how < 2 { line } else { &text[2] };
                let is_hit = by_hand(&rules, decoded);
                prop_assert_eq!(scanner.is_candidate(decoded.as_bytes()), is_hit, "{}", decoded);
                prop_assert!(!is_hit || found.contains(&&*text[how]), "{}", text[how]);
            }
        }
    }
}
