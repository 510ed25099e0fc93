//! Sets of patterns that rule files name with `@`: lines whose own level says that they are no error.
//!
//! A line's level is the first one in its head, so `ERROR set level to INFO` is an error and
//! `INFO retry after error: reset` is not. Words of the head before the level must not look like another level.

/// Words between the start of a line and its level: dates, hosts, threads, loggers; no word of two capitals but time
/// zones, so that no level is skipped.
macro_rules! head {
    () => {
        r"^\s*(?:(?:\[[^\]\[]{0,60}[a-z][^\]\[]{0,60}\]|UTC|GMT|CES?T|[EPCM][SD]T|MSK|JST|IST|BST|(?:[^\sA-Z]|[A-Z][^\sA-Z])*[A-Z]?)\s+){0,8}"
    };
}

/// A key that holds a level, in JSON, logfmt and their like, up to its value.
macro_rules! key {
    () => {
        r#"(?i)(?:^|[\s{,"'.])(?:level|lvl|severity|levelname|loglevel|log_level|severity_?text|@l)\\?["']?\s*[=:]\s*\\?["']?"#
    };
}

const QUIET: &[&str] = &[
    concat!(
        head!(),
        r"[\[(<|]{0,2}\s?(?:(?:INFO|INFORMATION|DEBUG|TRACE|NOTICE|VERBOSE|INF|DBG|VRB)(?:[\]\s:|>);,-]|$)|(?:FINE|FINER|FINEST|CONFIG|LOG|STATEMENT|DETAIL|HINT):)"
    ),
    r"\|\s*(?:INFO|DEBUG|TRACE|NOTICE)\s*\|",
    r"(?i)^.{0,100}?[\[<(|](?:\w+:)?\s*(?:info|information|informational|debug|trace\d?|notice|verbose)\s*[\]>)|]",
    concat!(
        key!(),
        r"(?:info|information|informational|debug|trace|notice|verbose|default|inf|dbg|fine|finest)\b"
    ),
    r#""level":\s?[123]0\b"#,
    r#""s":\s?"[ID]\d?""#,
    r"^[ID]\d{4} \d\d:\d\d:\d\d",
    r"(?i)^\s*(?:\S*\d\S*\s+){0,3}(?:info|debug|trace|dbug|trce|notice|verbose)\s*[:>-]",
    r"^\s*(?:\S*\d\S*\s+){1,3}(?:info|debug|trace|notice)\s",
];

const WARNING: &[&str] = &[
    concat!(head!(), r"[\[(<|]{0,2}\s?(?:WARN|WARNING|WRN)(?:[\]\s:|>);,-]|$)"),
    r"\|\s*WARN(?:ING)?\s*\|",
    r"(?i)^.{0,100}?[\[<(|](?:\w+:)?\s*warn(?:ing)?\s*[\]>)|]",
    concat!(key!(), r"(?:warn|warning|wrn)\b"),
    r#""level":\s?40\b"#,
    r#""s":\s?"W""#,
    r"^W\d{4} \d\d:\d\d:\d\d",
    r"(?i)^\s*(?:\S*\d\S*\s+){0,3}warn(?:ing)?\s*[:>-]",
    r"^\s*(?:\S*\d\S*\s+){1,3}warn(?:ing)?\s",
];

/// The names that may follow `@`.
pub(super) const NAMES: [&str; 2] = ["@quiet", "@warning"];

/// The patterns of a set: `@quiet` (info and below) or `@warning`.
pub(super) fn named(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "@quiet" => Some(QUIET),
        "@warning" => Some(WARNING),
        _ => None,
    }
}

/// Parts of a list, each with the place of its first entry.
type Parts<'t> = Vec<(usize, &'t [String])>;

/// The entries of a list, each part with the place of its first entry: the sets that stand in it, and what is its own.
pub(super) fn split(texts: &[String]) -> (Parts<'_>, Parts<'_>) {
    let (mut named, mut own) = (Vec::new(), Vec::new());
    let (mut at, mut own_from) = (0, 0);
    while at < texts.len() {
        let begins = |set: &&&[&str]| {
            texts[at..].len() >= set.len() && texts[at..].iter().zip(**set).all(|(a, b)| a == b)
        };
        match [QUIET, WARNING].iter().find(begins) {
            Some(set) => {
                if own_from < at {
                    own.push((own_from, &texts[own_from..at]));
                }
                named.push((at, &texts[at..at + set.len()]));
                at += set.len();
                own_from = at;
            }
            None => at += 1,
        }
    }
    if own_from < texts.len() {
        own.push((own_from, &texts[own_from..]));
    }
    (named, own)
}
