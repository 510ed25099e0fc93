//! The systemd journal, read by `journalctl` from a cursor: `entry` reads what it prints, `follow` keeps it running.
//!
//! A child process and no library: the journal's files are no stable format, and `journalctl` is there wherever a journal is.
//!
//! Formats: <https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format>

mod entry;
mod follow;

pub use entry::{JournalEntry, read};
pub use follow::{Settings, run};
