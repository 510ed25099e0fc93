//! Frames of the engine's log API to lines, pure.
//!
//! Asked for timestamps, the engine puts `2006-01-02T15:04:05.000000000Z ` before every message. A message is a line, or a part of one:
//! the engine cuts lines at 16 KiB, and the end of the output may lack its line break. A part has no `\n`. All parts of a line carry the
//! time of the first one (some log drivers: each its own). With a terminal there are no frames, and messages stand one after the other, parts
//! without anything between them. Source: moby `daemon/logger/copier.go`, `api/server/httputils/write_log_stream.go`.
//!
//! Podman gives times with the offset of its machine (`+02:00` for `Z`), cuts lines at 8 KiB, and each part has its own time. Source: podman
//! `pkg/api/handlers/compat/containers_logs.go`, conmon `src/ctr_stdio.c`.

use crate::base::clock::Timestamp;

/// What the engine cuts lines at.
const PART_BYTES: usize = 16 << 10;

/// What Podman cuts lines at.
const PODMAN_PART_BYTES: usize = 8 << 10;

/// More than this of one line is left out.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// Form of a time up to its zone.
const TIME: &[u8; 29] = b"0000-00-00T00:00:00.000000000";

/// Zones: UTC, and an offset from it; with the blank behind them.
const ZONES: [&[u8]; 2] = [b"Z ", b"+00:00 "];

/// A line with the time of its first part. `text` has no line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Since 1970.
    pub nanos: i64,
    pub text: Vec<u8>,
}

/// Joins the parts of one stream.
#[derive(Debug)]
pub struct Joiner {
    open: Option<Open>,
    /// Whether lines end in `\r\n`.
    is_terminal: bool,
    /// Bytes left out of lines over a mebibyte.
    pub n_cut_bytes: u64,
}

#[derive(Debug)]
struct Open {
    line: Line,
    is_full_part: bool,
}

impl Joiner {
    /// For output with or without a terminal.
    pub const fn new(is_terminal: bool) -> Self {
        Self { open: None, is_terminal, n_cut_bytes: 0 }
    }

    /// Takes one message as framed by the engine; gives the lines that it ends: the one before it, if that had no line break, and its own.
    /// `None` for a message without a time.
    pub fn push(&mut self, message: &[u8]) -> Option<(Option<Line>, Option<Line>)> {
        let (nanos, body) = split_stamp(message)?;
        let goes_on = self.open.as_ref().is_some_and(|open| open.is_full_part || open.line.nanos == nanos);
        let before = if goes_on { None } else { self.finish() };
        let (part, is_end) = match body.split_last() {
            Some((b'\n', part)) => (part, true),
            Some(_) | None => (body, false),
        };
        let open = self
            .open
            .get_or_insert_with(|| Open { line: Line { nanos, text: Vec::new() }, is_full_part: false });
        open.is_full_part = matches!(part.len(), PART_BYTES | PODMAN_PART_BYTES);
        let n_kept = part.len().min(MAX_LINE_BYTES.saturating_sub(open.line.text.len()));
        open.line.text.extend_from_slice(&part[..n_kept]);
        self.n_cut_bytes += (part.len() - n_kept) as u64;
        let own = if is_end { self.finish() } else { None };
        Some((before, own))
    }

    /// The line that is still open: only when no part can follow, which the end of an answer alone does not tell.
    pub fn finish(&mut self) -> Option<Line> {
        let mut line = self.open.take()?.line;
        if self.is_terminal && line.text.ends_with(b"\r") {
            line.text.pop();
        }
        Some(line)
    }
}

/// Cuts the unframed output of a container with a terminal into messages.
#[derive(Debug, Default)]
pub struct TerminalSplitter {
    buffer: Vec<u8>,
}

impl TerminalSplitter {
    /// Takes the next bytes, cut anywhere; gives the messages that are complete. `now_nanos` bounds what is taken for a time inside a line.
    pub fn push(&mut self, bytes: &[u8], now_nanos: i64) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(bytes);
        let Some(last) = memchr::memrchr(b'\n', &self.buffer) else {
            return Vec::new();
        };
        let rest = self.buffer.split_off(last + 1);
        let complete = std::mem::replace(&mut self.buffer, rest);
        complete.split_inclusive(|&byte| byte == b'\n').flat_map(|line| messages(line, now_nanos)).collect()
    }

    /// What is left when the output is over: a line without a line break.
    pub fn finish(&mut self, now_nanos: i64) -> Vec<Vec<u8>> {
        messages(&std::mem::take(&mut self.buffer), now_nanos)
    }
}

/// The messages that stand in one line of unframed output.
fn messages(line: &[u8], now_nanos: i64) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let cut = split_stamp(rest).and_then(|(nanos, body)| {
            next_stamp(nanos, body, now_nanos).map(|cut| rest.len() - body.len() + cut)
        });
        let (message, next) = rest.split_at(cut.unwrap_or(rest.len()));
        rest = next;
        messages.push(message.to_vec());
    }
    messages
}

/// Where in `body` the next message begins: after a full part, or, where the output ended without a line break and the container was
/// started again, at a time later than that of this message. A program may print such a time too; but not one from the future.
fn next_stamp(nanos: i64, body: &[u8], now_nanos: i64) -> Option<usize> {
    memchr::memchr_iter(b' ', body).find_map(|blank| {
        let zone = if body[..blank].ends_with(b"Z") { ZONES[0] } else { ZONES[1] };
        let start = (blank + 1).checked_sub(TIME.len() + zone.len()).filter(|&start| start > 0)?;
        let (time, _) = split_stamp(&body[start..])?;
        let is_part = matches!(start, PART_BYTES | PODMAN_PART_BYTES);
        (is_part || time > nanos && time <= now_nanos).then_some(start)
    })
}

/// The time before a message.
pub(super) fn stamp_of(message: &[u8]) -> Option<i64> {
    split_stamp(message).map(|(nanos, _)| nanos)
}

/// The time before a message, and the message.
fn split_stamp(message: &[u8]) -> Option<(i64, &[u8])> {
    let is_like = |text: &[u8], form: &[u8]| {
        text.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == form,
        })
    };
    let (time, rest) = message.split_at_checked(TIME.len()).filter(|(time, _)| is_like(time, TIME))?;
    let zone = ZONES.into_iter().find(|zone| rest.len() >= zone.len() && is_like(rest, zone))?;
    let text = std::str::from_utf8(&message[..time.len() + zone.len() - 1]).ok()?;
    let timestamp: Timestamp = text.parse().ok()?;
    Some((i64::try_from(timestamp.as_nanosecond()).ok()?, &rest[zone.len()..]))
}

/// A time of the engine's JSON (`2006-01-02T15:04:05.000000000Z`, any number of digits); `None` for its zero time and for anything else.
pub(super) fn engine_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|&timestamp: &Timestamp| timestamp > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: &str = "2026-11-21T06:36:45.539952291Z ";
    const T2: &str = "2026-11-21T06:36:46.000000001Z ";
    const T1_THERE: &str = "2026-11-21T12:06:45.539952291+05:30 ";
    const T1_WEST: &str = "2026-11-20T23:36:45.539952291-07:00 ";
    const N1: i64 = 1_795_243_005_539_952_291;
    const N2: i64 = 1_795_243_006_000_000_001;

    fn line(nanos: i64, text: &str) -> Line {
        Line { nanos, text: text.as_bytes().to_vec() }
    }

    fn full_part() -> String {
        "x".repeat(PART_BYTES)
    }

    /// Pushes messages (as framed) and finishes.
    fn joined(messages: &[String]) -> Vec<Line> {
        let mut joiner = Joiner::new(false);
        let mut lines = Vec::new();
        for message in messages {
            let (before, own) = joiner.push(message.as_bytes()).expect("a message with a time");
            lines.extend(before);
            lines.extend(own);
        }
        lines.extend(joiner.finish());
        lines
    }

    #[test]
    fn parts_are_joined_into_lines() {
        let (x, y) = (full_part(), "y".repeat(PODMAN_PART_BYTES));
        let cases: Vec<(Vec<String>, Vec<Line>)> = vec![
            (vec![format!("{T1}a\n"), format!("{T1}b\n")], vec![line(N1, "a"), line(N1, "b")]),
            (vec![format!("{T1}\n"), format!("{T2}b\r\n")], vec![line(N1, ""), line(N2, "b\r")]),
            // A line of three parts, all with its time.
            (
                vec![format!("{T1}{x}"), format!("{T1}{x}"), format!("{T1}end\n"), format!("{T2}next\n")],
                vec![line(N1, &format!("{x}{x}end")), line(N2, "next")],
            ),
            // A line of exactly one part: its line break comes alone.
            (vec![format!("{T1}{x}"), format!("{T1}\n")], vec![line(N1, &x)]),
            // A driver that gives each part its own time.
            (vec![format!("{T1}{x}"), format!("{T2}end\n")], vec![line(N1, &format!("{x}end"))]),
            // The output ended without a line break, and began again.
            (vec![format!("{T1}cut"), format!("{T2}new\n")], vec![line(N1, "cut"), line(N2, "new")]),
            (vec![format!("{T1}cut")], vec![line(N1, "cut")]),
            // Podman, in another zone.
            (
                vec![
                    format!("{T1_THERE}{y}"),
                    format!("{T2}{y}"),
                    format!("{T2}end\n"),
                    format!("{T1_WEST}a\n"),
                ],
                vec![line(N1, &format!("{y}{y}end")), line(N1, "a")],
            ),
        ];
        for (messages, expected) in cases {
            assert_eq!(joined(&messages), expected, "{messages:?}");
        }
    }

    #[test]
    fn a_terminal_ends_lines_with_two_characters() {
        let mut joiner = Joiner::new(true);
        assert_eq!(joiner.push(format!("{T1}a\r\n").as_bytes()), Some((None, Some(line(N1, "a")))));
        joiner.push(format!("{T1}{}\r", "x".repeat(PART_BYTES - 1)).as_bytes()).unwrap();
        let (_, own) = joiner.push(format!("{T1}\n").as_bytes()).unwrap();
        assert_eq!(own, Some(line(N1, &"x".repeat(PART_BYTES - 1))));
    }

    #[test]
    fn a_message_without_a_time_is_told_apart() {
        let other = "2026-11-21T12:06:45.539952291+0530 hello";
        for message in
            ["", "short", "2026-11-21 06:36:45.539952291Z hello", &T1[..30], &T1_THERE[..35], other]
        {
            assert_eq!(Joiner::new(false).push(message.as_bytes()), None, "{message}");
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut joiner = Joiner::new(false);
        let message = format!("{T1}{}", full_part());
        for _ in 0..80 {
            assert_eq!(joiner.push(message.as_bytes()), Some((None, None)));
        }
        assert_eq!(joiner.finish().unwrap().text.len(), MAX_LINE_BYTES);
        assert_eq!(joiner.n_cut_bytes, 16 * PART_BYTES as u64);
    }

    #[test]
    fn terminal_output_is_cut_into_messages_wherever_it_is_torn() {
        let x = full_part();
        let output =
            format!("{T1}{x}{T1}{x}{T1}end\r\n{T1}cut{T2}new at {T1}is text\r\n{T2}{T1}odd\r\n{T2}open");
        let expected = [
            format!("{T1}{x}"),
            format!("{T1}{x}"),
            format!("{T1}end\r\n"),
            format!("{T1}cut"),
            format!("{T2}new at {T1}is text\r\n"),
            format!("{T2}{T1}odd\r\n"),
            format!("{T2}open"),
        ];
        for chunk_len in [1, 7, 4096, output.len()] {
            let mut splitter = TerminalSplitter::default();
            let mut messages: Vec<Vec<u8>> =
                output.as_bytes().chunks(chunk_len).flat_map(|chunk| splitter.push(chunk, N2)).collect();
            messages.extend(splitter.finish(N2));
            let messages: Vec<String> =
                messages.into_iter().map(|message| String::from_utf8(message).unwrap()).collect();
            assert_eq!(messages, expected, "chunks of {chunk_len}");
        }
    }

    #[test]
    fn a_terminal_of_podman_is_cut_too() {
        let (y, mut splitter) = ("y".repeat(PODMAN_PART_BYTES), TerminalSplitter::default());
        let messages = [format!("{T1_THERE}{y}"), format!("{T1_THERE}end\r\n"), format!("{T2}a b c\r\n")];
        let cut = splitter.push(messages.concat().as_bytes(), N2);
        assert_eq!(cut, messages.map(String::into_bytes));
    }

    #[test]
    fn a_time_from_the_future_inside_a_line_is_text() {
        let mut splitter = TerminalSplitter::default();
        let output = format!("{T1}expires {T2}soon\r\n");
        let messages = splitter.push(output.as_bytes(), N1);
        assert_eq!(messages, [output.into_bytes()]);
    }

    #[test]
    fn the_zero_time_is_no_time() {
        assert_eq!(engine_time("0001-01-01T00:00:00Z"), None);
        assert_eq!(engine_time("2026-11-21T06:36:45.5Z").unwrap().as_millisecond(), N1 / 1_000_000 - 39);
    }
}
