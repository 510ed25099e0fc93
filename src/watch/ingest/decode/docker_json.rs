//! Docker's json-file log: <https://docs.docker.com/engine/logging/drivers/json-file/>.
//!
//! The engine writes the keys in one order and without blanks, so a search for what stands between them finds the
//! text; anything else goes through a real parser. It cuts lines at 16 KiB: a part has no `\n` at its end.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Unwrapped, bytes};
use crate::watch::source::docker::stamp;
use crate::watch::source::docker::written::{BEGINNING, ends_with_break};

/// What can be read of a line that was torn: the last whole message in it. A machine that went down leaves NUL bytes or half a message,
/// and the engine writes on behind them.
pub(crate) fn salvage(line: &[u8]) -> Option<Unwrapped<'_>> {
    let start = memchr::memmem::rfind(line, BEGINNING).filter(|start| *start > 0)?;
    unwrap(&line[start..])
}

pub(super) fn unwrap(line: &[u8]) -> Option<Unwrapped<'_>> {
    as_written(line).or_else(|| as_json(line))
}

/// The engine's own form.
fn as_written(line: &[u8]) -> Option<Unwrapped<'_>> {
    let rest = line.strip_prefix(BEGINNING.as_slice())?;
    let text = &rest[..end_of_string(rest)?];
    let rest = rest[text.len()..].strip_prefix(br#"","stream":""#)?;
    let stream = &rest[..memchr::memchr(b'"', rest)?];
    if !matches!(stream, b"stdout" | b"stderr") {
        return None;
    }
    let mark = br#""time":""#;
    let time = memchr::memmem::rfind(rest, mark).map(|at| &rest[at + mark.len()..]);
    let time = time.and_then(|it| it.strip_suffix(b"\"}"));
    let is_part = !ends_with_break(text);
    let text = if is_part { text } else { &text[..text.len() - 2] };
    let stream = std::str::from_utf8(stream).ok()?;
    Some(Unwrapped {
        stream: Some(Cow::Borrowed(stream)),
        text: unescape(text)?,
        at: time.and_then(stamp::timestamp),
        is_part,
    })
}

/// Where the string ends whose opening quote was eaten.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', &text[at..])?;
        if text[found] == b'"' {
            return Some(found);
        }
        at = found + 2;
        if at > text.len() {
            return None;
        }
    }
}

/// The text behind a JSON string; borrowed where nothing is escaped.
pub(crate) fn unescape(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(mut at) = memchr::memchr(b'\\', text) else { return Some(Cow::Borrowed(text)) };
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        out.extend_from_slice(&rest[..at]);
        let escaped = *rest.get(at + 1)?;
        rest = &rest[at + 2..];
        match escaped {
            b'"' | b'\\' | b'/' => out.push(escaped),
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'u' => rest = unicode(rest, &mut out)?,
            _ => return None,
        }
        match memchr::memchr(b'\\', rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    out.extend_from_slice(rest);
    Some(Cow::Owned(out))
}

/// Reads four hex digits, and the other half of a pair; gives what follows. Half a pair becomes U+FFFD.
fn unicode<'t>(rest: &'t [u8], out: &mut Vec<u8>) -> Option<&'t [u8]> {
    let digits = |text: &[u8]| u32::from_str_radix(std::str::from_utf8(text.get(..4)?).ok()?, 16).ok();
    let first = digits(rest)?;
    let mut rest = &rest[4..];
    let mut code = first;
    if (0xd800..0xdc00).contains(&first) {
        let second = rest.strip_prefix(b"\\u").and_then(digits).filter(|it| (0xdc00..0xe000).contains(it));
        if let Some(second) = second {
            code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            rest = &rest[6..];
        }
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    log: Cow<'l, str>,
    #[serde(borrow)]
    stream: Cow<'l, str>,
    time: Option<String>,
}

/// The same keys, in any order and with blanks.
fn as_json(line: &[u8]) -> Option<Unwrapped<'_>> {
    let Line { mut log, stream, time } = serde_json::from_slice(line).ok()?;
    let is_part = !log.ends_with('\n');
    if !is_part {
        log.to_mut().pop();
    }
    let text = bytes(log);
    Some(Unwrapped { stream: Some(stream), text, at: time.and_then(|it| it.parse().ok()), is_part })
}
