//! One `{"stream":…,"line":…}` a line: lines of many streams in one file, for replays and measurements.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Unwrapped, bytes};

#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    stream: Cow<'l, str>,
    #[serde(borrow)]
    line: Cow<'l, str>,
    time: Option<String>,
}

pub(super) fn unwrap(line: &[u8]) -> Option<Unwrapped<'_>> {
    let Line { stream, line, time } = serde_json::from_slice(line).ok()?;
    let text = bytes(line);
    Some(Unwrapped { stream: Some(stream), text, at: time.and_then(|it| it.parse().ok()), is_part: false })
}
