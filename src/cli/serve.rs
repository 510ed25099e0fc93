//! `homeostat run`: the daemon in the foreground, until SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;
use super::run::runtime;
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::daemon;

/// Runs the daemon until a signal.
pub(super) fn serve(settings: Settings) -> Result<(), Failure> {
    daemon::start_logging("homeostat=info,warn");
    runtime()?.block_on(async {
        let shutdown = Shutdown::new();
        stop_on_signal(&shutdown)?;
        let result = daemon::run(settings, shutdown, |_| ()).await;
        result.map_err(|error| {
            if error.is_away() { Failure::Away(error.into()) } else { Failure::Failed(error.into()) }
        })
    })
}

/// Turns the first SIGTERM, SIGINT or SIGHUP of a closed terminal into a stop. A second one ends the process at once:
/// somebody means it.
pub(super) fn stop_on_signal(shutdown: &Shutdown) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        for n_signals in 1.. {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if n_signals > 1 {
                end_at_once();
            }
            shutdown.request();
        }
    });
    Ok(())
}

#[expect(clippy::exit, reason = "the person asked twice")]
fn end_at_once() -> ! {
    std::process::exit(130);
}
