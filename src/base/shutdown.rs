//! The order to stop, as a value that is handed down.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Told to every task; each wait selects over its work and [`Shutdown::requested`].
///
/// A child is stopped with its parent, never the other way round.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that is asked for with this one, and can be asked for alone.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks everybody who holds this (or a child of it) to stop.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether a stop has been asked for.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until a stop is asked for.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Sleeps for `duration`; `false` if a stop was asked for before it was over.
    pub async fn sleep(&self, duration: Duration) -> bool {
        tokio::select! {
            () = self.0.cancelled() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_child_stops_with_its_parent_only() {
        let parent = Shutdown::new();
        let child = parent.child();
        let other = parent.child();
        child.request();
        assert!(child.is_requested() && !parent.is_requested());
        assert!(other.sleep(Duration::from_secs(5)).await);
        parent.request();
        assert!(!other.sleep(Duration::from_secs(5)).await);
    }
}
