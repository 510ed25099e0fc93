//! `homeostat run`: the daemon in the foreground, until SIGTERM or Ctrl-C.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;
use super::problems;
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
        let result = daemon::run(settings.clone(), shutdown, |_| ()).await;
        result.map_err(|error| match problems::of_daemon(&settings, &error) {
            Some(problem) => problems::told(&problem),
            None => Failure::Failed(error.into()),
        })
    })
}

/// Turns the first SIGTERM, SIGINT or SIGHUP (a closed terminal) into a stop. A second SIGTERM or SIGINT ends the process at
/// once: somebody means it.
pub(super) fn stop_on_signal(shutdown: &Shutdown) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let mut was_asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                // Comes together with others when a terminal goes, so it is never the second word.
                _ = hangup.recv() => {
                    shutdown.request();
                    continue;
                }
            }
            if std::mem::replace(&mut was_asked, true) {
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
