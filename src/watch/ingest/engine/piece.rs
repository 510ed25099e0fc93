//! A line as it stands in a block, taken apart no further than needed.

use std::borrow::Cow;

use super::block_engine::{At, Input};
use crate::base::clock::Timestamp;
use crate::watch::ingest::decode::line::readable;
use crate::watch::ingest::decode::{Format, unescape};

/// See the module's documentation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'b> {
    /// Its text, escaped where its format escapes it.
    pub(super) written: &'b [u8],
    format: Format,
    /// Number of its stream of a pair; `None` where the format has none.
    pub(super) stream: Option<usize>,
    /// When it was logged, where that is known.
    pub(super) at: Option<Timestamp>,
    /// The same, if the line itself says so.
    pub(super) nanos: Option<i64>,
    /// Where it stands, and where the next one does.
    pub(super) start: At,
    pub(super) next: At,
}

impl<'b> Piece<'b> {
    /// The line at this place; `None` at the end, for one that is not written as its format's writers write it, and for a part of a line.
    pub(super) fn at(input: &Input<'b>, at: At) -> Option<Self> {
        let rest = input.text.get(at.offset..).filter(|it| !it.is_empty())?;
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        let next = At { offset: at.offset + line.len() + 1, line_idx: at.line_idx + 1 };
        let mut piece = Self {
            written: line,
            format: input.format,
            stream: None,
            at: None,
            nanos: None,
            start: at,
            next,
        };
        if input.format != Format::Plain {
            let glance = input.format.glance(line).filter(|it| it.is_whole)?;
            piece.written = glance.text;
            piece.stream = Some(glance.stream);
            piece.nanos = glance.nanos();
            piece.at = piece.nanos.and_then(|it| Timestamp::from_nanosecond(it.into()).ok());
        }
        piece.at = piece.at.or_else(|| input.places?.at(at.line_idx));
        Some(piece)
    }

    /// Whether its text is written with escapes.
    pub(super) fn is_escaped(&self) -> bool {
        self.format == Format::DockerJson
    }

    /// Its text; `None` if it is no UTF-8.
    pub(super) fn text(&self) -> Option<Cow<'b, str>> {
        match bytes(self.written, self.is_escaped())? {
            Cow::Borrowed(plain) => std::str::from_utf8(plain).ok().map(|_| readable(plain).text),
            Cow::Owned(plain) => {
                std::str::from_utf8(&plain).ok().map(|_| Cow::Owned(readable(&plain).text.into_owned()))
            }
        }
    }
}

/// The bytes that are written so.
pub(super) fn bytes(written: &[u8], is_escaped: bool) -> Option<Cow<'_, [u8]>> {
    if is_escaped { unescape(written) } else { Some(Cow::Borrowed(written)) }
}
