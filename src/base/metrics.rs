//! The names of the metrics, what they count, and one function per count.
//!
//! Names are `homeostat_<noun>_<unit>_total`; labels have few values, never a name from outside. Who shows them installs a recorder.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_histogram, histogram};

/// Text read from sources, by source.
pub const SOURCE_BYTES: &str = "homeostat_source_bytes_total";
/// Messages of a source that did not have its form, by source and reason. They were read all the same.
pub const ODD_MESSAGES: &str = "homeostat_odd_messages_total";
/// Bytes left out of over-long lines, by source.
pub const CUT_BYTES: &str = "homeostat_cut_bytes_total";
/// Known losses of lines, by source.
pub const GAPS: &str = "homeostat_gaps_total";
/// Occurrences, by triage's decision.
pub const OCCURRENCES: &str = "homeostat_occurrences_total";
/// Things that were found and not counted, by reason.
pub const DROPPED: &str = "homeostat_dropped_occurrences_total";
/// Commits of the watching half, by result.
pub const COMMITS: &str = "homeostat_commits_total";
/// How long a commit took.
pub const COMMIT_SECONDS: &str = "homeostat_commit_seconds";
/// Alerts that came in, by what became of them.
pub const ALERTS: &str = "homeostat_alerts_total";

/// Tells the installed recorder what the names mean.
pub fn describe() {
    describe_counter!(SOURCE_BYTES, "text read from sources, in bytes");
    describe_counter!(ODD_MESSAGES, "messages of a source that did not have its form");
    describe_counter!(CUT_BYTES, "bytes left out of over-long lines");
    describe_counter!(GAPS, "known losses of lines");
    describe_counter!(OCCURRENCES, "occurrences by decision");
    describe_counter!(DROPPED, "things found and not counted, by reason");
    describe_counter!(COMMITS, "commits of occurrences and cursors, by result");
    describe_histogram!(COMMIT_SECONDS, "duration of a commit, in seconds");
    describe_counter!(ALERTS, "alerts received, by what became of them");
}

/// `n_bytes` of text were read.
pub fn source_bytes(source: &'static str, n_bytes: usize) {
    counter!(SOURCE_BYTES, "source" => source).increment(n_bytes as u64);
}

/// A message did not have the form of its source.
pub fn odd_message(source: &'static str, reason: &'static str) {
    counter!(ODD_MESSAGES, "source" => source, "reason" => reason).increment(1);
}

/// `n_bytes` of an over-long line were left out.
pub fn cut_bytes(source: &'static str, n_bytes: u64) {
    if n_bytes > 0 {
        counter!(CUT_BYTES, "source" => source).increment(n_bytes);
    }
}

/// A gap was noted.
pub fn gap(source: &'static str) {
    counter!(GAPS, "source" => source).increment(1);
}

/// `n` occurrences got this decision.
pub fn occurrences(decision: &'static str, n: u64) {
    counter!(OCCURRENCES, "decision" => decision).increment(n);
}

/// `n` things were found and not counted.
pub fn dropped(reason: &'static str, n: u64) {
    counter!(DROPPED, "reason" => reason).increment(n);
}

/// A commit ended.
pub fn commit(result: &'static str, took: Duration) {
    counter!(COMMITS, "result" => result).increment(1);
    histogram!(COMMIT_SECONDS).record(took.as_secs_f64());
}

/// `n` alerts came to this end.
pub fn alerts(result: &'static str, n: u64) {
    counter!(ALERTS, "result" => result).increment(n);
}
