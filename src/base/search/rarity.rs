//! How rare a text is in ordinary logs: which of several texts is worth searching for.

use super::cuts::Set;

/// A literal shorter than this is found in nearly every line and is not used.
const MIN_LENGTH: usize = 3;

/// From here on rarer is not better: `error:` is rare enough, and one literal is cheaper than thirty longer ones.
const RARE_ENOUGH: f32 = 5.6;

/// Words of which ordinary lines are full: they say nothing.
const COMMON: &[&str] = &[
    "level",
    "severity",
    "info",
    "message",
    "status",
    "http",
    "log",
    "com.",
    "org.",
    "name",
    "with",
    "code",
    "due",
    "line",
    "time",
    "user",
    "signal",
    "backend",
    "column",
    "connection",
    "server",
    "service",
    "process",
    "request",
    "after",
    "while",
    "waiting",
    "finished",
    "connecting",
    "reading",
    "caught",
    "received",
    "thread",
    "task",
    "worker",
    "upstream",
    "mongo",
    "php",
    "exceeded",
    "terminated",
    "started",
    "database",
    "disk",
];

/// A literal shorter than this is taken only where there is no other.
pub(super) const GOOD_LENGTH: usize = 4;

/// How rare the most common member is in ordinary logs, less something for each member; 0 if it is of no use.
pub(super) fn score(set: &Set) -> f32 {
    let shortest = set.iter().map(Vec::len).min().unwrap_or_default();
    if shortest < MIN_LENGTH {
        return 0.0;
    }
    let ceiling = if shortest < GOOD_LENGTH { 0.5 } else { RARE_ENOUGH };
    let rarest = set.iter().map(|it| rarity(it)).fold(ceiling, f32::min);
    // Where all are common, long ones are less so.
    (rarest - 0.05 * set.len() as f32).max(0.01 + 0.0001 * shortest.min(100) as f32)
}

/// What the bytes say, without the common words among them.
fn rarity(literal: &[u8]) -> f32 {
    let weight_of = |text: &[u8]| text.iter().map(|byte| weight(*byte)).sum::<f32>();
    // At the start of a word: `uncaught` is not common because `caught` is.
    let is_start = |at: &usize| *at == 0 || !literal[at - 1].is_ascii_alphabetic();
    let mut common: Vec<&str> = Vec::new();
    for start in (0..literal.len()).filter(is_start) {
        let rest = &literal[start..];
        let begins = |word: &&&str| word.as_bytes()[0] == rest[0] && rest.starts_with(word.as_bytes());
        for word in COMMON.iter().filter(begins) {
            if !common.contains(word) {
                common.push(word);
            }
        }
    }
    weight_of(literal) - common.iter().map(|it| weight_of(it.as_bytes())).sum::<f32>()
}

/// How much a byte says: less where ordinary logs are full of it.
fn weight(byte: u8) -> f32 {
    match byte {
        b' ' | b'"' | b':' | b',' | b'.' | b'-' | b'/' | b'=' => 0.6,
        b'0'..=b'9' | b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 0.9,
        _ => 1.3,
    }
}
