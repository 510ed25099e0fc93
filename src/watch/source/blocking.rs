//! Work that waits for a disk, done where it keeps nobody waiting.

use std::io;

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
