//! The spool: what others send to homeostat is on disk before they are told that it came, and is read from there like a file.
//!
//! A spool is a folder of segments, each named by the place of its first byte among all bytes ever written. Records carry their own length
//! and checksum: after a crash the torn end of the last segment is cut off, which nobody was told had come. Segments go when
//! everything in them is committed.
//!
//! **Invariant:** what was appended comes once, however often homeostat is killed.

mod batch;
mod feed;
mod files;
mod record;
mod sink;

pub use batch::BatchId;
pub use feed::{Settings, Spool, SpoolError, WhileAway, start};
pub use files::{Stop, note_stop};
pub use record::Item;
