//! Log files of Kubernetes' container runtimes: `2026-01-02T10:00:00.000000000Z stdout F text`.

use std::borrow::Cow;

use super::Unwrapped;
use crate::watch::source::docker::stamp;
use crate::watch::source::docker::written::Glance;

pub(super) fn unwrap(line: &[u8]) -> Option<Unwrapped<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = fields.next()?;
    let stream = fields.next().filter(|it| matches!(*it, b"stdout" | b"stderr"))?;
    let tags = fields.next().filter(|it| it.starts_with(b"F") || it.starts_with(b"P"))?;
    Some(Unwrapped {
        stream: Some(Cow::Borrowed(std::str::from_utf8(stream).ok()?)),
        text: Cow::Borrowed(fields.next().unwrap_or_default()),
        at: Some(stamp::timestamp(time)?),
        is_part: tags.starts_with(b"P"),
    })
}

pub(super) fn glance(line: &[u8]) -> Option<Glance<'_>> {
    let (time, rest) = line.split_at(memchr::memchr(b' ', &line[..line.len().min(48)])?);
    let stream = match rest.get(..8)? {
        b" stdout " => 0,
        b" stderr " => 1,
        _ => return None,
    };
    let is_whole = match rest[8..] {
        [b'F'] | [b'F', b' ', ..] => true,
        [b'P', b' ', ..] => false,
        _ => return None,
    };
    stamp::nanos(time)?;
    Some(Glance { stream, text: rest.get(10..).unwrap_or_default(), is_whole, time })
}
