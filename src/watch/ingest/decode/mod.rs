//! From bytes as a source keeps them to lines of text with their stream and time.
//!
//! Odd input is a plain line: what is not of its format is taken as text and looked at like any other.

use std::borrow::Cow;

use crate::base::clock::Timestamp;
use crate::watch::source::docker::written::{self, Glance};

mod cri;
mod docker_json;
mod jsonl;
pub mod line;

pub(super) use docker_json::{salvage, unescape};

/// How lines are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One text a line.
    Plain,
    /// Docker's json-file: `{"log":"text\n","stream":"stdout","time":"…"}`; a text without `\n` goes on in the next.
    DockerJson,
    /// Kubernetes: `time stream F text`; the tag `P` goes on in the next.
    Cri,
    /// One `{"stream":…,"line":…}` a line.
    Jsonl,
}

/// A text of JSON as the bytes of a line, copied only where it had escapes.
fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Plain, Self::DockerJson, Self::Cri, Self::Jsonl];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::DockerJson => "docker-json",
            Self::Cri => "cri",
            Self::Jsonl => "jsonl",
        }
    }

    /// The format with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a text, judged by its first lines: the first one that all of them have, else plain.
    pub fn of(beginning: &[u8]) -> Self {
        let lines: Vec<&[u8]> =
            beginning.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).take(5).collect();
        // The last one may be cut off.
        let whole =
            if lines.len() > 1 && !beginning.ends_with(b"\n") { &lines[..lines.len() - 1] } else { &lines };
        let wrapped = [Self::DockerJson, Self::Cri, Self::Jsonl];
        let has = |format: &Self| !whole.is_empty() && whole.iter().all(|line| format.unwrap(line).is_some());
        wrapped.into_iter().find(has).unwrap_or(Self::Plain)
    }

    /// The parts of a line of this format; `None` if it is not of this format.
    pub(super) fn unwrap(self, line: &[u8]) -> Option<Unwrapped<'_>> {
        match self {
            Self::Plain => Some(Unwrapped::plain(line)),
            Self::DockerJson => docker_json::unwrap(line),
            Self::Cri => cri::unwrap(line),
            Self::Jsonl => jsonl::unwrap(line),
        }
    }

    /// What can be told of a line of a container without reading its text; `None` for a line that is not written as the engines of
    /// containers write it, and of formats that are not theirs.
    pub(super) fn glance(self, line: &[u8]) -> Option<Glance<'_>> {
        match self {
            Self::Plain | Self::Jsonl => None,
            Self::DockerJson => written::glance(line),
            Self::Cri => cri::glance(line),
        }
    }

    /// The parts of a line, taken as a plain text where it is not of this format.
    #[cfg(test)]
    pub(super) fn read(self, line: &[u8]) -> Unwrapped<'_> {
        self.unwrap(line).unwrap_or_else(|| Unwrapped::plain(line))
    }
}

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwrapped<'l> {
    /// Name of the stream; `None` where the format has none.
    pub(super) stream: Option<Cow<'l, str>>,
    pub(super) text: Cow<'l, [u8]>,
    pub(super) at: Option<Timestamp>,
    /// The text goes on in the stream's next line.
    pub(super) is_part: bool,
}

impl<'l> Unwrapped<'l> {
    pub(super) fn plain(line: &'l [u8]) -> Self {
        Self { stream: None, text: Cow::Borrowed(line), at: None, is_part: false }
    }
}

#[cfg(test)]
mod tests;
