//! What systemd is told: ready, alive, stopping. Nothing where the daemon was not started by it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::base::chain::Chain;
use crate::base::shutdown::Shutdown;

/// Says that everything is up (Type=notify).
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says what the start waits for, and that it takes some time more than this.
pub(super) fn waiting(status: &str, wait: Duration) {
    let more = wait.saturating_add(Duration::from_secs(30));
    let micros = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::Status(status), NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Says that the config is read again; [`ready`] ends it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(error = %Chain(&error), "the system's clock cannot be read"),
    }
}

/// Says that the daemon is on its way out.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Says "alive" twice per watchdog period until the stop. It runs on the same runtime as the work: a runtime that is
/// stuck stops saying so, and systemd restarts the daemon.
pub(super) async fn watchdog(shutdown: Shutdown) {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return shutdown.requested().await;
    };
    let every = (period / 2).max(Duration::from_millis(100));
    while shutdown.sleep(every).await {
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(error = %Chain(&error), "systemd could not be told the daemon's state");
    }
}
