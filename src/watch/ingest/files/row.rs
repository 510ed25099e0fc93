//! What the command line prints: one row a record, and the totals.

use std::time::Duration;

use serde::Serialize;

use super::engine::FileFound;

/// One record found, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanRow {
    pub file: String,
    /// `null` where the format has no streams.
    pub stream: Option<String>,
    pub rule: String,
    pub severity: &'static str,
    /// `h1:` and 64 hex digits.
    pub identity: String,
    pub runtime: &'static str,
    /// Line of the file, counted from 1.
    pub first_line: u64,
    pub lines: u32,
    /// Redacted.
    pub text: String,
}

impl ScanRow {
    /// The row of a record in a file.
    pub fn new(file: &str, FileFound { stream, found }: FileFound<'_>) -> Self {
        Self {
            file: file.to_owned(),
            stream: stream.map(str::to_owned),
            rule: found.detection.rule.to_string(),
            severity: found.detection.severity.name(),
            identity: found.identity.fingerprint.full(),
            runtime: found.identity.runtime.name(),
            first_line: found.first_line,
            lines: found.n_lines,
            text: found.text.into_string(),
        }
    }
}

/// Totals over all files of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    pub bytes: u64,
    pub lines: u64,
    /// Detected records.
    pub records: u64,
    /// Distinct identities among them.
    pub issues: u64,
    pub seconds: f64,
    /// Millions of bytes a second.
    pub mb_per_second: f64,
}

impl Summary {
    pub(super) fn new(bytes: u64, lines: u64, records: u64, issues: usize, elapsed: Duration) -> Self {
        let seconds = elapsed.as_secs_f64();
        let mb_per_second = if seconds > 0.0 { bytes as f64 / 1e6 / seconds } else { 0.0 };
        Self { bytes, lines, records, issues: issues as u64, seconds, mb_per_second }
    }
}
