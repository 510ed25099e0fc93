//! Log files of Kubernetes' container runtimes: `2026-01-02T10:00:00.000000000Z stdout F text`.

use std::borrow::Cow;

use super::Unwrapped;

pub(super) fn unwrap(line: &[u8]) -> Option<Unwrapped<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(fields.next()?).ok()?;
    let stream = fields.next().filter(|it| matches!(*it, b"stdout" | b"stderr"))?;
    let tags = fields.next().filter(|it| it.starts_with(b"F") || it.starts_with(b"P"))?;
    Some(Unwrapped {
        stream: Some(Cow::Borrowed(std::str::from_utf8(stream).ok()?)),
        text: Cow::Borrowed(fields.next().unwrap_or_default()),
        at: Some(time.parse().ok()?),
        is_part: tags.starts_with(b"P"),
    })
}
