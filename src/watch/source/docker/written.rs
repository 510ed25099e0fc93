//! Lines of the json-file log driver as the engine writes them, looked at from their ends only:
//! <https://docs.docker.com/engine/logging/drivers/json-file/>.
//!
//! Keys stand in one order and without blanks. A line of another form is not known here.

use super::stamp;

/// What every line begins with.
pub(crate) const BEGINNING: &[u8; 8] = br#"{"log":""#;

/// What stands between the text and the name of the stream. Never within a text, whose quotes are escaped.
const STREAM: &[u8; 15] = br#"","stream":"std"#;

/// The rest of the name.
const OUT: &[u8; 4] = b"out\"";
const ERR: &[u8; 4] = b"err\"";

/// The time's key, and how long its value is: with nine digits of a second, or less.
const TIME: &[u8; 9] = br#","time":""#;
const TIME_LENGTHS: std::ops::RangeInclusive<usize> = 20..=35;

/// What is seen of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Glance<'l> {
    /// 0 for stdout, 1 for stderr.
    pub(crate) stream: usize,
    /// As it is written, without the line break at its end.
    pub(crate) text: &'l [u8],
    /// The text does not go on in the stream's next line.
    pub(crate) is_whole: bool,
    pub(crate) time: &'l [u8],
}

/// Stream, time and whether the text is whole; `None` for a line of another form. `line` has no line break.
pub(crate) fn glance(line: &[u8]) -> Option<Glance<'_>> {
    if line.first_chunk() != Some(BEGINNING) || !line.ends_with(b"\"}") {
        return None;
    }
    let rest = &line[BEGINNING.len()..];
    // Nearly always all nine digits are there.
    let mark_of = |time: &usize| rest.len().checked_sub(time + 2 + TIME.len());
    let is_mark = |at: &usize| chunk(rest, *at) == Some(TIME);
    let mark = mark_of(&30).filter(is_mark);
    let mark = mark.or_else(|| TIME_LENGTHS.rev().filter_map(|time| mark_of(&time)).find(is_mark))?;
    let time = &rest[mark + TIME.len()..rest.len() - 2];
    let rest = &rest[..mark];
    // Between the stream and the time there may be what the log driver was told to add.
    let stream =
        rest.len().checked_sub(STREAM.len() + OUT.len()).filter(|at| chunk(rest, *at) == Some(STREAM));
    let stream = stream.or_else(|| memchr::memmem::rfind(rest, STREAM))?;
    let name = chunk(rest, stream + STREAM.len())?;
    if name != OUT && name != ERR {
        return None;
    }
    let text = &rest[..stream];
    let is_whole = ends_with_break(text);
    let text = if is_whole { &text[..text.len() - 2] } else { text };
    Some(Glance { stream: usize::from(name == ERR), text, is_whole, time })
}

/// So many bytes from here on: compared at once.
fn chunk<const N: usize>(text: &[u8], at: usize) -> Option<&[u8; N]> {
    text.get(at..)?.first_chunk()
}

/// Whether JSON text ends with an escaped line break, and not with an escaped backslash and an `n`.
pub(crate) fn ends_with_break(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    let n_backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    n_backslashes % 2 == 1
}

impl Glance<'_> {
    /// When it was logged, in nanoseconds since 1970.
    pub(crate) fn nanos(&self) -> Option<i64> {
        stamp::nanos(self.time)
    }
}

/// A line with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) stream: usize,
    pub(super) is_whole: bool,
    pub(super) nanos: i64,
}

/// The same, with or without its line break; `None` also for a line without a time.
pub(super) fn look(line: &[u8]) -> Option<Look> {
    let line = line.split(|byte| *byte == b'\n').next()?;
    let glance = glance(line)?;
    Some(Look { stream: glance.stream, is_whole: glance.is_whole, nanos: glance.nanos()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(usize, bool, &str)>) {
        let seen = glance(line.as_bytes()).map(|it| (it.stream, it.is_whole, it.time));
        assert_eq!(
            seen,
            expected.map(|(stream, is_whole, time)| (stream, is_whole, time.as_bytes())),
            "{line}"
        );
    }

    #[test]
    fn the_ends_of_a_line_tell() {
        let time = "2026-01-02T10:00:00.1Z";
        let line = |log: &str, stream: &str, more: &str| {
            format!(r#"{{"log":"{log}","stream":"{stream}"{more},"time":"{time}"}}"#)
        };
        check(&line(r"a\n", "stdout", ""), Some((0, true, time)));
        check(&line(r"C:\\n", "stderr", ""), Some((1, false, time)));
        check(&line("", "stderr", ""), Some((1, false, time)));
        check(&line(r"a\n", "stderr", r#","attrs":{"tag":"x, \"stream\":\"y\""}"#), Some((1, true, time)));
        check(&line(r#"\",\"stream\":\"stderr\n"#, "stdout", ""), Some((0, true, time)));
        check(&line(r"a\n", "stdin", ""), None);
        check(r#"{"log":"half"#, None);
        check(&format!("\0\0{}", line("a", "stdout", "")), None);
        check("", None);
    }
}
