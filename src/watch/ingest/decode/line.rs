//! Bytes of one line to text that parts above can work with.

use std::borrow::Cow;

/// Lines are cut here. Longer ones are data dumps; what names an error stands at their beginning.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Put behind what was kept of a line that was cut.
pub const CUT_MARK: &str = " [cut by homeostat]";

/// A line as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Readable<'l> {
    pub(crate) text: Cow<'l, str>,
    /// Whether bytes that are no UTF-8 were replaced.
    pub(crate) was_mended: bool,
}

/// The line as text: cut to [`MAX_LINE_BYTES`], without carriage returns at its end, without escape sequences of terminals and without the
/// zeroes that a writer leaves before its next line when its file is cut to nothing, invalid UTF-8 replaced. Borrows where nothing had to be changed.
pub(crate) fn readable(line: &[u8]) -> Readable<'_> {
    let line = &line[line.iter().take_while(|byte| **byte == 0).count()..];
    let is_cut = line.len() > MAX_LINE_BYTES;
    let line = if is_cut { cut(line) } else { line };
    let n_returns = line.iter().rev().take_while(|byte| **byte == b'\r').count();
    let line = &line[..line.len() - n_returns];
    let mut text = std::str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let was_mended = matches!(text, Cow::Owned(_));
    if memchr::memchr(0x1b, line).is_some() {
        text = Cow::Owned(without_escapes(&text));
    }
    if is_cut {
        text.to_mut().push_str(CUT_MARK);
    }
    Readable { text, was_mended }
}

/// The first part of a long line, not ending within a character.
fn cut(line: &[u8]) -> &[u8] {
    let is_boundary = |at: &usize| line[*at] & 0xc0 != 0x80;
    let end = (MAX_LINE_BYTES - 3..=MAX_LINE_BYTES).rev().find(is_boundary).unwrap_or(MAX_LINE_BYTES);
    &line[..end]
}

/// Leaves out control sequences (ECMA-48): `ESC [ … letter`, `ESC ] … BEL or ESC \`, and two-character escapes.
fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&rest[..at]);
        rest = after_escape(&rest[at + 1..]);
    }
    out.push_str(rest);
    out
}

/// What follows an escape sequence whose ESC was eaten. A sequence without its end eats only its introducer.
fn after_escape(rest: &str) -> &str {
    if let Some(control) = rest.strip_prefix('[') {
        let end = control.find(|c: char| !matches!(c, ' '..='?'));
        return match end {
            Some(end) if matches!(control.as_bytes()[end], b'@'..=b'~') => &control[end + 1..],
            Some(end) => &control[end..],
            None => "",
        };
    }
    if let Some(command) = rest.strip_prefix(']') {
        let bell = command.find('\x07').map(|at| (at, at + 1));
        let terminator = command.find("\x1b\\").map(|at| (at, at + 2));
        let end = [bell, terminator].into_iter().flatten().min();
        return end.map_or(command, |(_, after)| &command[after..]);
    }
    let mut chars = rest.chars();
    match chars.next() {
        // `ESC ( B` and its like choose a character set.
        Some(' '..='/') => {
            chars.next();
            chars.as_str()
        }
        Some('0'..='~') => chars.as_str(),
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[u8], expected: &str, was_mended: bool) {
        assert_eq!(readable(line), Readable { text: expected.into(), was_mended });
    }

    #[test]
    fn takes_off_what_is_for_terminals() {
        check(b"plain\r", "plain", false);
        check(b"\x1b[1;31merror\x1b[0m: x\x1b[K", "error: x", false);
        check(b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b\x1b(Bc\x1b7d\x1b", "abcd", false);
        check("\x1b[31é".as_bytes(), "é", false);
        check(b"\0\0error: x\0", "error: x\0", false);
        check(b"a\xffb", "a\u{fffd}b", true);
    }

    #[test]
    fn cuts_long_lines_between_characters() {
        let long = "é".repeat(MAX_LINE_BYTES);
        let Readable { text, was_mended } = readable(long.as_bytes());
        assert_eq!((text.len(), was_mended), (MAX_LINE_BYTES + CUT_MARK.len(), false));
        let odd = format!("a{long}");
        assert_eq!(readable(odd.as_bytes()).text.len(), MAX_LINE_BYTES - 1 + CUT_MARK.len());
    }
}
