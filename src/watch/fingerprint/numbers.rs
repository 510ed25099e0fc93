//! Numbers that stand alone in a line, made alike before the line is read for its identity.
//!
//! `order 211740 took 181 ms` and `order 132183 took 296 ms` are one text here, so that an error which repeats with other numbers is
//! looked up and not read again. Each digit becomes `0`, so lengths and places stay; a template masks such numbers anyway. What says
//! more than a value stays as it is: numbers in frames and other indented lines, `... 6 more`, `status 503`, `errno 111`, and whatever
//! is part of a name.

use super::template::NAMES;

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

/// Puts `line` with its numbers made alike behind what is in `out`. `line` has no prefix any more.
pub(super) fn mask(line: &str, out: &mut Vec<u8>) {
    let from = out.len();
    out.extend_from_slice(line.as_bytes());
    let bytes = &mut out[from..];
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
        if let Some(kind) = kind(&bytes[at..end], is_value) {
            let is_kept = length <= TELLING_LENGTH
                && *is_telling.get_or_insert_with(|| TELLING.iter().any(|it| has(line.as_bytes(), it)));
            if !is_kept {
                replace(&mut bytes[at..end], kind);
            }
        }
        at = end + 1;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Digits among other signs.
    Digits,
    /// Hexadecimal digits of both sorts, and dashes.
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
    if !first.is_ascii_hexdigit() && !is_value {
        return None;
    }
    let word = word.strip_suffix(b":").or_else(|| word.strip_suffix(b".")).unwrap_or(word);
    let n_digits = run(word);
    let is_number = match &word[n_digits..] {
        [] | b"ms" | b"s" => true,
        [b'.', fraction @ ..] => {
            let n_fraction = run(fraction);
            n_fraction > 0 && matches!(&fraction[n_fraction..], [] | b"ms" | b"s")
        }
        _ => false,
    };
    if is_number && (1..=MAX_DIGITS).contains(&n_digits) && word.len() <= 2 * MAX_DIGITS {
        return Some(Kind::Digits);
    }
    if is_hex(word) {
        return Some(Kind::Hex);
    }
    (is_value && is_id(word)).then_some(Kind::Digits)
}

/// `u1106`, `req-247`: letters and digits.
fn is_id(word: &[u8]) -> bool {
    word.len() <= MAX_WORD
        && word.iter().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
        && word.iter().any(u8::is_ascii_digit)
        && !NAMES.iter().any(|it| word.eq_ignore_ascii_case(it.as_bytes()))
}

/// How many digits lead.
fn run(bytes: &[u8]) -> usize {
    bytes.iter().position(|it| !it.is_ascii_digit()).unwrap_or(bytes.len())
}

/// `9d17fbb459b22450`, or a UUID: of lower-case digits, with both sorts of them.
fn is_hex(word: &[u8]) -> bool {
    const UUID_DASHES: [usize; 4] = [8, 13, 18, 23];
    let is_uuid = word.len() == 36 && UUID_DASHES.iter().all(|it| word[*it] == b'-');
    let is_digit = |(at, byte): (usize, &u8)| {
        matches!(byte, b'0'..=b'9' | b'a'..=b'f') || is_uuid && UUID_DASHES.contains(&at) && *byte == b'-'
    };
    word.len() >= MIN_HEX
        && word.iter().enumerate().all(is_digit)
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_lowercase)
}

fn replace(word: &mut [u8], kind: Kind) {
    for (at, byte) in word.iter_mut().enumerate() {
        match kind {
            Kind::Digits if byte.is_ascii_digit() => *byte = b'0',
            // Still a word of both sorts.
            Kind::Hex if byte.is_ascii_alphanumeric() => *byte = if at % 2 == 0 { b'0' } else { b'a' },
            Kind::Digits | Kind::Hex => {}
        }
    }
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
            "main.go:66 at 10:20:30 on 2024-01-02 from 10.0.0.1",
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
