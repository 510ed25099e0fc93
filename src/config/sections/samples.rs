//! `[samples]`: what is kept of the records that were found.

use std::time::Duration;

use super::super::document::Section;
use crate::watch::ingest::around;

/// Reads `[samples]`.
pub(in crate::config) fn samples(root: &Section<'_>) -> around::Settings {
    let section = root.section("samples");
    let default = around::Settings::default();
    let lines =
        |key, default: usize| usize::try_from(section.number(key, 0..=50, default as u64)).unwrap_or(default);
    let max_bytes = section.bytes("max_bytes", 128..=64 << 10, default.max_bytes as u64);
    let settings = around::Settings {
        before: lines("lines_before", default.before),
        after: lines("lines_after", default.after),
        every: section.duration("every", Duration::ZERO..=Duration::from_secs(24 * 3600), default.every),
        max_bytes: usize::try_from(max_bytes).unwrap_or(default.max_bytes),
    };
    section.finish();
    settings
}
