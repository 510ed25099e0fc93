//! Numbers that stand alone in a line, made alike before the line is read for its identity.
//!
//! `order 211740 took 181 ms` and `order 132183 took 296 ms` are one text here, so that an error which repeats with other numbers is
//! looked up and not read again. Each digit becomes `0`, so lengths and places stay; a template masks such numbers anyway. What says
//! more than a value stays as it is: numbers in frames and other indented lines, `... 6 more`, `status 503`, `errno 111`, and whatever
//! is part of a name.

use std::ops::Range;

use super::template::NAMES;
use crate::base::search::digits;

/// Longer numbers are left: a parser may read them as something else.
const MAX_DIGITS: usize = 9;

/// Shortest hexadecimal word that is taken for an id.
const MIN_HEX: usize = 8;

/// Longer words are texts.
const MAX_WORD: usize = 64;

/// In a line with one of these, short numbers say what happened.
const TELLING: [&[u8]; 3] = [b"status", b"http", b"errno"];

/// Numbers of at most so many digits may say what happened.
const TELLING_LENGTH: usize = 3;

/// `line` with its numbers made alike. It has no prefix any more.
pub(super) fn masked(line: &str) -> String {
    let mut masked = Vec::with_capacity(line.len());
    mask(line, &mut masked);
    String::from_utf8(masked).expect("masks are ASCII for ASCII")
}

/// Puts `line` with its numbers made alike behind what is in `out`. `line` has no prefix any more. Whether the same comes out of every
/// line that is [`alike`](crate::base::search::digits::alike) it: no digit says more than a value.
pub(super) fn mask(line: &str, out: &mut Vec<u8>) -> bool {
    let mut is_alike = true;
    let mut end = 0;
    values(line, |value, kind| {
        let (before, word) = (&line.as_bytes()[end..value.start], &line.as_bytes()[value.clone()]);
        is_alike &= !has_digit(before) && is_same_of_alike(word, kind);
        out.extend_from_slice(before);
        make_alike(word, kind, out);
        end = value.end;
    });
    let rest = &line.as_bytes()[end..];
    out.extend_from_slice(rest);
    is_alike && !has_digit(rest)
}

/// Whether the same is put in the place of all values that are [`alike`](crate::base::search::digits::alike): of an id among other signs
/// its letters stay.
pub(super) fn is_same_of_alike(word: &[u8], kind: Kind) -> bool {
    kind == Kind::Hex || !digits::has_ids(word)
}

/// Tells where values stand in a line that has no prefix any more, and of what kind they are.
pub(super) fn values(line: &str, mut tell: impl FnMut(Range<usize>, Kind)) {
    let bytes = line.as_bytes();
    let is_part_of_trace = bytes.first().is_none_or(|it| matches!(it, b' ' | b'\t' | b'#' | b'.' | b'+'));
    if is_part_of_trace {
        return;
    }
    let mut is_telling = None;
    let mut at = 0;
    while at < bytes.len() {
        let length =
            bytes[at..].iter().position(|it| ENDS_WORD[usize::from(*it)]).unwrap_or(bytes.len() - at);
        let (end, is_value) = (at + length, at > 0 && bytes[at - 1] == b'=');
        let kind = kind(&bytes[at..end], is_value).filter(|_| {
            length > TELLING_LENGTH
                || !*is_telling.get_or_insert_with(|| TELLING.iter().any(|it| has(bytes, it)))
        });
        if let Some(kind) = kind {
            tell(at..end, kind);
        }
        at = end + 1;
    }
}

fn has_digit(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits among other signs.
    Digits,
    /// Hexadecimal digits, and dashes.
    Hex,
}

/// What stands between words.
static ENDS_WORD: [bool; 256] = {
    let mut ends = [false; 256];
    let signs = b" \t\r=()[]{}<>,;|\"'";
    let mut at = 0;
    while at < signs.len() {
        ends[signs[at] as usize] = true;
        at += 1;
    }
    ends
};

/// What kind of value a word is; `None` for all else.
fn kind(word: &[u8], is_value: bool) -> Option<Kind> {
    // Most words of a line are names: their first sign tells.
    let first = *word.first()?;
    if !first.is_ascii_hexdigit() && !is_value || word.len() > MAX_WORD {
        return None;
    }
    let word = word.strip_suffix(b":").or_else(|| word.strip_suffix(b".")).unwrap_or(word);
    if is_number(word) || is_address(word) || is_time(word) {
        return Some(Kind::Digits);
    }
    if is_hex(word) {
        return Some(Kind::Hex);
    }
    (is_value && is_id(word)).then_some(Kind::Digits)
}

/// `211740`, `339.8`, `296ms`.
fn is_number(word: &[u8]) -> bool {
    let n_digits = run(word);
    let is_end = |rest: &[u8]| matches!(rest, [] | b"ms" | b"s");
    (1..=MAX_DIGITS).contains(&n_digits)
        && match &word[n_digits..] {
            [b'.', fraction @ ..] => run(fraction) > 0 && is_end(&fraction[run(fraction)..]),
            rest => is_end(rest),
        }
}

/// `10.0.3.77`, `10.0.3.77:5432`
fn is_address(word: &[u8]) -> bool {
    let address = word.split(|it| *it == b':').next().unwrap_or_default();
    let port = word.get(address.len() + 1..);
    address.split(|it| *it == b'.').count() == 4
        && address.split(|it| *it == b'.').all(|it| (1..=3).contains(&it.len()) && run(it) == it.len())
        && port.is_none_or(|it| (1..=5).contains(&it.len()) && run(it) == it.len())
}

/// `03:00:00.123`, `2026-01-02T03:00:00Z`, `02/Jan/2026:03:00:00`
fn is_time(word: &[u8]) -> bool {
    matches!(run(word), 1 | 2 | 4)
        && word.iter().filter(|it| **it == b':').count() > 1
        && word.iter().all(|it| it.is_ascii_alphanumeric() || b":/.,-+".contains(it))
        && word.split(|it| !it.is_ascii_alphabetic()).all(|it| it.len() < 4)
}

/// `u1106`, `req-247`: letters and digits.
fn is_id(word: &[u8]) -> bool {
    word.iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
        && word.iter().any(u8::is_ascii_digit)
        && !NAMES.iter().any(|it| is_like(word, it.as_bytes()))
}

/// Whether both are one word, whatever digits are in them.
fn is_like(word: &[u8], name: &[u8]) -> bool {
    let is_same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || a.is_ascii_digit() && b.is_ascii_digit();
    word.len() == name.len() && word.iter().zip(name).all(is_same)
}

/// How many digits lead.
fn run(bytes: &[u8]) -> usize {
    bytes.iter().position(|it| !it.is_ascii_digit()).unwrap_or(bytes.len())
}

/// `9d17fbb459b22450` or a UUID, of lower-case digits with both sorts of them; `0xc0000e7`.
fn is_hex(word: &[u8]) -> bool {
    const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];
    let is_digit = |it: &u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    if let Some(digits) = word.strip_prefix(b"0x") {
        return !digits.is_empty() && digits.iter().all(is_digit);
    }
    let is_uuid = word.len() == 36 && UUID_DASHES.iter().all(|it| word[*it] == b'-');
    word.len() >= MIN_HEX
        && word.iter().enumerate().all(|(at, it)| is_digit(it) || is_uuid && UUID_DASHES.contains(&at))
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_lowercase)
}

/// Puts a value behind what is in `out`, so that others of its kind and length are the same.
fn make_alike(word: &[u8], kind: Kind, out: &mut Vec<u8>) {
    out.extend(word.iter().enumerate().map(|(at, byte)| match kind {
        Kind::Digits if byte.is_ascii_digit() => b'0',
        // Still a word of both sorts; `0x` stays.
        Kind::Hex if byte.is_ascii_alphanumeric() && *byte != b'x' => {
            if at % 2 == 0 {
                b'0'
            } else {
                b'a'
            }
        }
        Kind::Digits | Kind::Hex => *byte,
    }));
}

fn has(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|it| it.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let mut masked = b"before ".to_vec();
        mask(line, &mut masked);
        assert_eq!(String::from_utf8(masked).unwrap(), format!("before {expected}"));
    }

    #[test]
    fn values_are_alike() {
        check("invalid amount for order 211740", "invalid amount for order 000000");
        check("order 7: took 181 ms, 296ms or 1.25s", "order 0: took 000 ms, 000ms or 0.00s");
        check("job (12) failed [3] id=42 at \"17\".", "job (00) failed [0] id=00 at \"00\".");
        check("42 is odd.", "00 is odd.");
        check("user=u1106 of x-12", "user=u0000 of x-12");
        check("connect ECONNREFUSED 10.0.3.77:5432", "connect ECONNREFUSED 00.0.0.00:0000");
        check("main.f(0xc0000e7, {0x1})", "main.f(0x0a0a0a0, {0x0})");
        check("at 03:00:00,123 [02/Jan/2026:03:00:00 +0000]", "at 00:00:00,000 [00/Jan/0000:00:00:00 +0000]");
        check("trace 9d17fbb459b22450 lost", "trace 0a0a0a0a0a0a0a0a lost");
        check("no 6f1c2f9e-0a4b-4c5d-8e6f-7a8b9c0d1e2f", "no 0a0a0a0a-a0a0-0a0a-a0a0-0a0a0a0a0a0a");
    }

    #[test]
    fn what_says_more_stays() {
        for line in [
            "",
            "  File \"/srv/a.py\", line 12, in f",
            "\tat a.B.c(B.java:40)",
            "#0 0x55 in f",
            "... 6 more",
            "+ 12",
            "HTTP 503 from upstream",
            "Status code 404",
            "failed with errno 111",
            "utf-8 sha256 s3 h2 x86 E1234",
            "main.go:66 on 2024-01-02 at a::b::c 1:2",
            "1234567890123",
            "deadbeef facade",
            "user u1106 encoding=utf8",
            "1.2.3",
            "é 1é",
        ] {
            check(line, line);
        }
        check("status 503 of order 1234", "status 503 of order 0000");
    }
}
