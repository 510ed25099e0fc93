//! Waiting for something outside this process to happen: poll with a deadline, never sleep and hope.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long enough for a loaded machine, short enough to be told of a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `probe` again and again until it gives a value.
///
/// # Panics
/// When `within` has passed: names `what` was waited for.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(start.elapsed() < within, "waited {within:?} in vain for: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
