//! Places in sources, and what was lost between them.

use crate::base::clock::Timestamp;

/// Names one stream for ever: a source, the thing it reads (container id, file), and stdout or stderr.
///
/// Written like `docker:<container id>:stderr` or `file:<path>`; never contains a label or a name that may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(pub String);

impl StreamKey {
    /// The kind of source, as metrics name it.
    pub fn source(&self) -> &'static str {
        const SOURCES: [&str; 6] = ["docker", "file", "journal", "loki", "otlp", "syslog"];
        let kind = self.0.split_once(':').map_or("", |(kind, _)| kind);
        SOURCES.into_iter().find(|it| *it == kind).unwrap_or("other")
    }
}

/// A place in a stream: everything before it has been read and is committed with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// Engine API: all lines before `nanos`, and `n_at_nanos` lines that carry exactly this time.
    Docker { nanos: i64, n_at_nanos: u32 },
    /// A file: which one it is, and how far it was read.
    File { device: u64, inode: u64, prefix_hash: u64, prefix_len: u32, offset: u64 },
    /// A source in which many write: where reading goes on, and which writers are further than that.
    Mixed { place: MixedPlace, ahead: Vec<Ahead> },
}

/// A place in a source in which many write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MixedPlace {
    /// Loki: all entries before `nanos`, and those at `nanos` with these hashes of labels and text.
    Loki { nanos: i64, seen: Vec<u64> },
    /// The spool of what was sent to homeostat: everything before this byte, counted from the first byte ever written.
    Spool { offset: u64 },
    /// The journal: everything up to the entry with this cursor of its own; empty for its beginning.
    Journal { cursor: String },
}

/// One of the writers of a source: how many of its entries after the place were read and must not be counted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Hash of what names the writer in its source.
    pub writer: u64,
    pub n_entries: u32,
}

/// Lines known to be lost, with the reason. Stored, counted and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub stream: StreamKey,
    pub service: String,
    /// When the loss was noticed.
    pub noticed_at: Timestamp,
    /// From where to where, in words of the source (times, offsets).
    pub from: String,
    pub to: String,
    /// Why, for example `rotated away unread`.
    pub reason: String,
}
