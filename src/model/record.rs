//! Lines that belong together, as joined by `watch/join`.

use super::trace::Runtime;
use crate::base::clock::Timestamp;

/// One record: a line, or a stack trace of many lines. The text is as logged and must not leave the watching
/// half: only its redacted form ([`crate::base::redact::Clean`]) is stored, sent or shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The lines joined by `\n`, without the last line break; invalid UTF-8 replaced, escapes of terminals removed.
    pub text: String,
    /// Number of the first line in its stream, counted from the caller's first push.
    pub first_line: u64,
    /// How many lines were joined.
    pub n_lines: u32,
    /// When the first line was logged, where the source or the line says so.
    pub at: Option<Timestamp>,
    /// Which machine joined it; `Message` for a single line or a generic block.
    pub runtime: Runtime,
    /// Whether lines or bytes were left out because the record reached its bounds.
    pub is_cut: bool,
}
