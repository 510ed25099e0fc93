//! Work that waits for a disk, done where it keeps nobody waiting.

use std::io;

/// Blocks that are read one after another before it is doubted that they are in memory.
const MAX_HOT_BLOCKS: u32 = 16;

/// Whether what is read next was written just now, and is in memory: after the end of a file was seen, and for a few blocks from there.
#[derive(Debug, Default)]
pub(super) struct Heat(u32);

impl Heat {
    pub(super) fn is_hot(&self) -> bool {
        self.0 > 0
    }

    /// One more block was read, or an end was met: that of the newest file, or of one before it.
    pub(super) fn note(&mut self, is_end: bool, is_newest: bool) {
        self.0 = match (is_end, is_newest) {
            (true, true) => MAX_HOT_BLOCKS,
            (true, false) => 0,
            (false, _) => self.0.saturating_sub(1),
        };
    }

    /// Time went by.
    pub(super) fn cool(&mut self) {
        self.0 = 0;
    }
}

/// Does the work on the blocking pool; or here and now, if it `is_hot`: then nothing is waited for.
pub(super) async fn work<T: Send + 'static>(
    is_hot: bool,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if is_hot { work() } else { blocking(work).await }
}

/// Does the work on the blocking pool.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
