//! Texts that differ only in their digits.
//!
//! Lines of logs come again with other times and numbers. What is asked of them is most often the same for all lines that differ only
//! so: here is the key that they share, and here is told which patterns tell them apart. Pure.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Puts the text with its digits made alike into `out`: each becomes `0`, but for one that stands before an `x`, since `0x` says
/// what follows. The length stays.
pub fn alike(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(text);
    let Some(following) = text.get(1..) else { return };
    for ((byte, next), out) in text.iter().zip(following).zip(out.iter_mut()) {
        *out = if byte.is_ascii_digit() & (*next != b'x') { b'0' } else { *byte };
    }
    if let Some(last) = out.last_mut().filter(|it| it.is_ascii_digit()) {
        *last = b'0';
    }
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
            ("at 12:34 0x7f 9x 10x1", "at 00:00 0x0f 9x 00x0"),
            ("é9", "é0"),
        ] {
            let mut out = b"old".to_vec();
            alike(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(all_alike(text.as_bytes()).len(), text.len());
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
