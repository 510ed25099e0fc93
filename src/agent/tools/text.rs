//! Makes foreign output fit for the model: no terminal escapes, nothing invisible, no secrets, not too long.

use crate::base::redact::Redactor;

/// Output as the model gets it.
pub(in crate::agent) fn present(bytes: &[u8], redactor: &Redactor, max_chars: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = reveal(&overwrite(&strip_escapes(&text)));
    cap(redactor.redact(&text).as_str(), max_chars)
}

/// The first and the last half of `max_chars` characters, with a note between them.
pub(in crate::agent) fn cap(text: &str, max_chars: usize) -> String {
    let n_chars = text.chars().count();
    if n_chars <= max_chars {
        return text.to_owned();
    }
    let half = max_chars / 2;
    let at = |n| text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
    let (head, tail) = (&text[..at(half)], &text[at(n_chars - half)..]);
    let n_left_out = n_chars - 2 * half;
    format!(
        "{head}\n[... {n_left_out} characters left out; narrow the command or read a part to see them ...]\n{tail}"
    )
}

/// Without terminal escape sequences (ECMA-48: CSI, OSC and the other strings, two-character ones).
fn strip_escapes(text: &str) -> String {
    if !text.contains(['\u{1b}', '\u{9b}']) {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let introducer = match c {
            '\u{9b}' => Some('['),
            '\u{1b}' => chars.next(),
            _ => {
                plain.push(c);
                continue;
            }
        };
        match introducer {
            Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            Some(']' | 'P' | 'X' | '^' | '_') => {
                // Ends in BEL, or in ESC and a backslash; a line end is taken for one that was forgotten.
                while let Some(c) = chars.next_if(|c| *c != '\n') {
                    if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            // The escape and the one character after it, with the one that selects a character set.
            Some('(' | ')' | '*' | '+') => {
                chars.next();
            }
            Some(_) | None => {}
        }
    }
    plain
}

/// Carriage returns as a terminal shows them: what follows one overwrites the line.
fn overwrite(text: &str) -> String {
    if !text.contains('\r') {
        return text.to_owned();
    }
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Every character that could hide something as `<U+XXXX>`.
pub(in crate::agent) fn reveal(text: &str) -> String {
    if !text.chars().any(is_hidden) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Controls, and what is invisible, of no width, or changes the direction (Unicode: default ignorable code points, bidi
/// controls, line separators, interlinear annotations).
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' => true,
        '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' => true,
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(present(input.as_bytes(), &Redactor::builtin(), 10_000), expected, "{input:?}");
    }

    #[test]
    fn terminals_are_undone() {
        check("\u{1b}[1;31mred\u{1b}[0m and \u{9b}32mgreen", "red and green");
        check("\u{1b}]8;;https://x.test\u{7}link\u{1b}]8;;\u{1b}\\ end", "link end");
        check("\u{1b}]0;never ended\nnext", "\nnext");
        check("\u{1b}(Bplain\u{1b}=", "plain");
        check("a\r\nb\r\n", "a\nb\n");
        check(" 10%\r 50%\r100%\ndone", "100%\ndone");
        check("cut \u{1b}", "cut ");
    }

    #[test]
    fn nothing_is_hidden() {
        check("a\u{200b}b\u{202e}c\u{e0041}\u{feff}", "a<U+200B>b<U+202E>c<U+E0041><U+FEFF>");
        check("bell\u{7} back\u{8} null\0", "bell<U+0007> back<U+0008> null<U+0000>");
        check("tab\there, ümlaut, 漢字, 😀", "tab\there, ümlaut, 漢字, 😀");
    }

    #[test]
    fn secrets_split_by_colours_are_still_found() {
        check("password=\u{1b}[1mhunter2hunter2\u{1b}[0m", "password=[redacted:password]");
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(present(b"\xff\xfeok", &Redactor::builtin(), 100), "\u{fffd}\u{fffd}ok");
    }

    #[test]
    fn both_ends_are_kept() {
        assert_eq!(cap("short", 5), "short");
        let capped = cap("äbcdefghij", 4);
        assert_eq!(
            capped,
            "äb\n[... 6 characters left out; narrow the command or read a part to see them ...]\nij"
        );
    }
}
