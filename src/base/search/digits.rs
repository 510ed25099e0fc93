//! Texts that differ only in their digits and ids.
//!
//! Lines of logs come again with other times and numbers. What is asked of them is most often the same for all lines that differ only
//! so: here is the key that they share, and here is told which patterns tell them apart. Pure.

use std::ops::Range;

use regex_syntax::hir::{Class, Hir, HirKind};

/// Stands for a sign of a hexadecimal word; in no text.
const HEX: u8 = 0xff;

/// Shorter words are no ids.
const MIN_ID: usize = 4;

/// Puts the text with its digits made alike into `out`: each becomes `0`, but for one that stands before an `x`, since `0x` says
/// what follows. So do the signs of ids: what follows `0x` in hexadecimal digits, and words of digits and letters up to `f`; of these
/// it stays whether they begin and end with a digit or a letter. The length stays. Whether there are ids.
pub fn alike(text: &[u8], out: &mut Vec<u8>) -> bool {
    out.clear();
    out.extend_from_slice(text);
    let Some((last, before)) = text.split_last() else { return false };
    // Two loops without a branch: the compiler makes vectors of them.
    let pairs = || before.iter().zip(&text[1..]);
    for ((byte, next), out) in pairs().zip(out.iter_mut()) {
        *out = if byte.is_ascii_digit() & (*next != b'x') { b'0' } else { *byte };
    }
    if last.is_ascii_digit() {
        out[before.len()] = b'0';
    }
    let is_letter = |it: &u8| it.wrapping_sub(b'a') < 6;
    let may_be_id = |(byte, next): (&u8, &u8)| {
        byte.is_ascii_digit() & (is_letter(next) | (*next == b'x')) | is_letter(byte) & next.is_ascii_digit()
    };
    let may_have_ids = pairs().fold(0, |any, pair| any | u8::from(may_be_id(pair))) != 0;
    may_have_ids && mark_ids(text, out)
}

/// Whether a text has ids, as [`alike`] knows them.
pub fn has_ids(text: &[u8]) -> bool {
    ids(text).next().is_some()
}

fn mark_ids(text: &[u8], out: &mut [u8]) -> bool {
    let mut has_ids = false;
    for Range { start, end } in ids(text) {
        has_ids = true;
        let is_marked = text[start..].starts_with(b"0x");
        let (from, to) = if is_marked { (start + 2, end) } else { (start + 1, end - 1) };
        out[from..to].fill(HEX);
        if !is_marked {
            for at in [start, end - 1] {
                out[at] = if text[at].is_ascii_digit() { b'0' } else { b'a' };
            }
        }
    }
    has_ids
}

/// Signs of words, and what else they are.
const WORD: u8 = 1;
const DIGIT: u8 = 2;
const LETTER: u8 = 4;
const OTHER: u8 = 8;

static SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    let mut at = 0;
    while at < 256 {
        signs[at] = match at as u8 {
            b'0'..=b'9' => WORD | DIGIT,
            b'a'..=b'f' => WORD | LETTER,
            b'g'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD | OTHER,
            _ => 0,
        };
        at += 1;
    }
    signs
};

/// Where ids stand.
fn ids(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < text.len() {
            let start = at;
            let mut signs = 0;
            while let Some(sign) = text.get(at).map(|it| SIGNS[usize::from(*it)]).filter(|it| *it != 0) {
                signs |= sign;
                at += 1;
            }
            let (word, is_long) = (start..at, at - start >= MIN_ID);
            at += 1;
            let is_id = is_long && signs == WORD | DIGIT | LETTER
                || signs & (DIGIT | OTHER) == DIGIT | OTHER && is_marked_id(&text[word.clone()]);
            if is_id {
                return Some(word);
            }
        }
        None
    })
}

/// `0x` and hexadecimal digits.
fn is_marked_id(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"0x").filter(|it| !it.is_empty());
    digits.is_some_and(|it| it.iter().all(|it| SIGNS[usize::from(*it)] & (DIGIT | LETTER) != 0))
}

/// The text with every digit as `0`.
pub fn all_alike(text: &[u8]) -> Vec<u8> {
    text.iter().map(|it| if it.is_ascii_digit() { b'0' } else { *it }).collect()
}

/// Whether the pattern may match one of two texts that are [`alike`], and not the other.
pub fn tells_apart(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => {
            let is_kept = |at: usize| literal.0.get(at + 1) == Some(&b'x');
            literal.0.iter().enumerate().any(|(at, byte)| byte.is_ascii_digit() && !is_kept(at))
        }
        HirKind::Class(class) => {
            let n_digits = (b'0'..=b'9').filter(|digit| has(class, *digit)).count();
            !matches!(n_digits, 0 | 10)
        }
        HirKind::Capture(capture) => tells_apart(&capture.sub),
        HirKind::Repetition(repetition) => tells_apart(&repetition.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(tells_apart),
    }
}

/// What of a literal, in lower-case ASCII, cannot lie in an id, so that a text in which this is not found has it in no text that differs
/// in ids only. Empty where all of it can.
pub fn beside_ids(literal: &[u8]) -> &[u8] {
    if has_ids(literal) {
        return &[];
    }
    let is_of_word = |it: &u8| SIGNS[usize::from(*it)] != 0;
    let may_be_of_id = |word: &[u8]| word.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f' | b'x'));
    let first = literal.iter().position(|it| !is_of_word(it)).unwrap_or(literal.len());
    let literal = if may_be_of_id(&literal[..first]) { &literal[first..] } else { literal };
    let last = literal.iter().rposition(|it| !is_of_word(it)).map_or(0, |it| it + 1);
    if may_be_of_id(&literal[last..]) { &literal[..last] } else { literal }
}

fn has(class: &Class, digit: u8) -> bool {
    match class {
        Class::Bytes(class) => class.iter().any(|it| (it.start()..=it.end()).contains(&digit)),
        Class::Unicode(class) => class.iter().any(|it| (it.start()..=it.end()).contains(&char::from(digit))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_alike_and_marks_of_numbers_stay() {
        for (text, expected) in [
            ("", ""),
            ("7", "0"),
            ("x", "x"),
            ("at 12:34 0x7f 9x 10x1", "at 00:00 0x__ 9x 00x0"),
            ("é9", "é0"),
            ("f(0xc0000e7, {0x1}) 0xzz 0x", "f(0x_______, {0x_}) 0xzz 0x"),
            ("id=9d17fb a1b2 7c0d-4e10 1a2", "id=0____a a__0 0__a-0__0 0a0"),
            ("deadbeef 12345 12ab_c é12ab 12AB", "deadbeef 00000 00ab_c é00ab 00AB"),
        ] {
            let mut out = b"old".to_vec();
            let has_ids = alike(text.as_bytes(), &mut out);
            assert_eq!(has_ids, super::has_ids(text.as_bytes()), "{text}");
            assert_eq!(has_ids, out.contains(&HEX), "{text}");
            let shown = |it: &u8| if *it == HEX { b'_' } else { *it };
            assert_eq!(out.iter().map(shown).collect::<Vec<_>>(), expected.as_bytes());
            assert_eq!(all_alike(text.as_bytes()).len(), text.len());
        }
    }

    #[test]
    fn what_cannot_lie_in_an_id_is_known() {
        for (literal, expected) in [
            ("error", "error"),
            ("dead", ""),
            ("\"level\":50", "\"level\":"),
            ("bad gateway", " gateway"),
            ("a-b failed", "-b failed"),
            ("\" 50", "\" "),
            ("0xfailed", "0xfailed"),
            ("id 12ab failed", ""),
        ] {
            assert_eq!(beside_ids(literal.as_bytes()), expected.as_bytes(), "{literal}");
        }
    }

    #[test]
    fn patterns_that_look_at_digits_are_known() {
        for (pattern, expected) in [
            (r"\d+ \w [^a] . [0-9a-f]+ \berror$", false),
            (r"0x[0-9a-f]+", false),
            (r"a|(?:b5)?", true),
            (r"[1-9]\d*", true),
            (r"HTTP/1.1", true),
            (r"(x[^0])", true),
        ] {
            let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
            assert_eq!(tells_apart(&parsed.unwrap()), expected, "{pattern}");
        }
    }
}
