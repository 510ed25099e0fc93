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
    /// A container's stream: all lines before `nanos`, and `n_at_nanos` lines that carry exactly this time. `log`: the same place in
    /// the engine's own file, where that was read; a hint, since the file may be gone or not be readable any more.
    Docker { nanos: i64, n_at_nanos: u32, log: Option<FilePlace> },
    /// A file: which one it is, and how far it was read.
    File { device: u64, inode: u64, prefix_hash: u64, prefix_len: u32, offset: u64, before: u64 },
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

/// A place in a file that may have another name by now, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePlace {
    pub device: u64,
    pub inode: u64,
    /// Of the first `prefix_len` bytes: numbers of inodes are given again.
    pub prefix_hash: u64,
    pub prefix_len: u32,
    pub offset: u64,
    /// Hash of the beginning of the file that had the name before this one; that of no bytes if none had. 0: not known. When the file is
    /// gone, it tells which of those that are left are newer.
    pub before: u64,
}

impl FilePlace {
    /// Committed for a file that was read to its end and removed: whatever has its name next is read from the beginning.
    pub const NOWHERE: Self =
        Self { device: 0, inode: 0, prefix_hash: 0, prefix_len: 0, offset: 0, before: 0 };

    /// The place of a file's cursor.
    pub fn of(cursor: &Cursor) -> Option<Self> {
        match *cursor {
            Cursor::File { device, inode, prefix_hash, prefix_len, offset, before } => {
                Some(Self { device, inode, prefix_hash, prefix_len, offset, before })
            }
            Cursor::Docker { .. } | Cursor::Mixed { .. } => None,
        }
    }

    /// The cursor of a file that was read up to here.
    pub fn cursor(self) -> Cursor {
        let Self { device, inode, prefix_hash, prefix_len, offset, before } = self;
        Cursor::File { device, inode, prefix_hash, prefix_len, offset, before }
    }

    /// Whether both are in the same file, as far as its inode tells.
    pub fn is_in_file_of(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
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
