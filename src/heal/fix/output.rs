//! Makes what a command wrote fit to be compared, stored and shown.

use crate::base::redact::{Clean, Redactor};

/// Text without escapes of terminals and other controls, redacted.
pub(super) fn cleaned(bytes: &[u8], redactor: &Redactor) -> Clean {
    redactor.redact(&without_escapes(&String::from_utf8_lossy(bytes)))
}

/// The first and the last half of `max_bytes`, cut at lines where there are any, with a note between them.
pub(super) fn capped(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let half = max_bytes / 2;
    let head = &text[..text.floor_char_boundary(half)];
    let tail = &text[text.ceil_char_boundary(text.len() - half)..];
    let head = head.rfind('\n').map_or(head, |end| &head[..end]);
    let tail = tail.find('\n').map_or(tail, |start| &tail[start + 1..]);
    let n_left_out = text.len() - head.len() - tail.len();
    format!("{head}\n[... {n_left_out} bytes left out ...]\n{tail}")
}

/// Leaves out escape sequences (ECMA-48: CSI, OSC and the two-byte ones) and controls but line breaks and tabs. A carriage return
/// alone, as of a progress bar, ends a line.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
                Some(']' | 'P' | '^' | '_') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => out.push('\n'),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_left_out() {
        let cases = [
            ("\x1b[1;31mred\x1b[0m\r\nnext\r100%\x07", "red\nnext\n100%"),
            ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\tc", "ab\tc"),
            ("cut \x1b[", "cut "),
        ];
        for (input, expected) in cases {
            assert_eq!(without_escapes(input), expected, "{input:?}");
        }
        let clean = cleaned(b"key AKIAABCDEFGHIJKLMNOP \xff", &Redactor::builtin());
        assert_eq!(clean.as_str(), "key [redacted:aws-key] \u{fffd}");
    }

    #[test]
    fn both_ends_are_kept() {
        assert_eq!(capped("short", 10), "short");
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let capped = capped(&text, 40);
        assert_eq!(capped, "line 0\nline 1\n[... 761 bytes left out ...]\nline 98\nline 99\n");
    }
}
