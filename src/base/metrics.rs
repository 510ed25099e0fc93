//! The names of the metrics, what they count, and one function per count.
//!
//! Names are `homeostat_<noun>_<unit>_total`; labels have few values, never a name from outside. Who shows them installs a recorder.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::clock::Timestamp;

/// Text read from sources, by source.
pub const SOURCE_BYTES: &str = "homeostat_source_bytes_total";
/// Lines read from sources, by source.
pub const SOURCE_LINES: &str = "homeostat_source_lines_total";
/// Lines that were worth a closer look, by source.
pub const SOURCE_CANDIDATES: &str = "homeostat_source_candidates_total";
/// Records that a rule hit, by source.
pub const SOURCE_RECORDS: &str = "homeostat_source_records_total";
/// What a source has and homeostat has not read yet, in bytes, by source.
pub const LAG_BYTES: &str = "homeostat_source_lag_bytes";
/// Age of the oldest text that a source has and homeostat has not read yet, in seconds, by source.
pub const LAG_SECONDS: &str = "homeostat_source_lag_seconds";
/// How often a source had to be connected to or opened again, by source.
pub const RECONNECTS: &str = "homeostat_source_reconnects_total";
/// Lines or messages of a source that were left out, by source and reason.
pub const SOURCE_DROPS: &str = "homeostat_source_drops_total";
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

/// Reloads of the config, by result.
pub const RELOADS: &str = "homeostat_config_reloads_total";
/// Whether the config that was read last is used: 1 or 0.
pub const RELOAD_OK: &str = "homeostat_config_is_current";
/// When the config in use was read, in seconds since 1970.
pub const RELOADED_AT: &str = "homeostat_config_read_timestamp_seconds";

/// Tells the installed recorder what the names mean.
pub fn describe() {
    describe_counter!(SOURCE_BYTES, "text read from sources, in bytes");
    describe_counter!(SOURCE_LINES, "lines read from sources");
    describe_counter!(SOURCE_CANDIDATES, "lines that were worth a closer look");
    describe_counter!(SOURCE_RECORDS, "records that a rule hit");
    describe_gauge!(LAG_BYTES, "what a source has and is not read yet, in bytes");
    describe_gauge!(LAG_SECONDS, "age of the oldest text that is not read yet, in seconds");
    describe_counter!(RECONNECTS, "connections to sources made again");
    describe_counter!(SOURCE_DROPS, "lines or messages left out, by reason");
    describe_counter!(ODD_MESSAGES, "messages of a source that did not have its form");
    describe_counter!(CUT_BYTES, "bytes left out of over-long lines");
    describe_counter!(GAPS, "known losses of lines");
    describe_counter!(OCCURRENCES, "occurrences by decision");
    describe_counter!(DROPPED, "things found and not counted, by reason");
    describe_counter!(COMMITS, "commits of occurrences and cursors, by result");
    describe_histogram!(COMMIT_SECONDS, "duration of a commit, in seconds");
    describe_counter!(RELOADS, "reloads of the config, by result");
    describe_gauge!(RELOAD_OK, "whether the config that was read last is used");
    describe_gauge!(RELOADED_AT, "when the config in use was read");
    describe_counter!(ALERTS, "alerts received, by what became of them");
}

/// `n_bytes` of text were read.
pub fn source_bytes(source: &'static str, n_bytes: usize) {
    counter!(SOURCE_BYTES, "source" => source).increment(n_bytes as u64);
}

/// `lines` were read, of which `candidates` were worth a closer look, and a rule hit `records`.
pub fn source_read(source: &'static str, lines: u64, candidates: u64, records: u64) {
    for (name, n) in [(SOURCE_LINES, lines), (SOURCE_CANDIDATES, candidates), (SOURCE_RECORDS, records)] {
        if n > 0 {
            counter!(name, "source" => source).increment(n);
        }
    }
}

/// A source is this far behind, over all that it reads: bytes not read yet, and the age of the oldest of them.
pub fn source_lag(source: &'static str, bytes: u64, age: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no integers")]
    gauge!(LAG_BYTES, "source" => source).set(bytes as f64);
    gauge!(LAG_SECONDS, "source" => source).set(age.as_secs_f64());
}

/// A source was connected to or opened again.
pub fn reconnect(source: &'static str) {
    counter!(RECONNECTS, "source" => source).increment(1);
}

/// `n` lines or messages of a source were left out.
pub fn source_drop(source: &'static str, reason: &'static str, n: u64) {
    if n > 0 {
        counter!(SOURCE_DROPS, "source" => source, "reason" => reason).increment(n);
    }
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

/// The config was read again: `used`, `same` or `refused`.
pub fn reload(result: &'static str) {
    counter!(RELOADS, "result" => result).increment(1);
    gauge!(RELOAD_OK).set(if result == "refused" { 0.0 } else { 1.0 });
}

/// The config in use was read at this time.
pub fn config_read(at: Timestamp) {
    gauge!(RELOAD_OK).set(1.0);
    gauge!(RELOADED_AT).set(at.as_duration().as_secs_f64());
}
