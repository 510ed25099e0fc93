//! `homeostat run`: the daemon in the foreground, until SIGTERM or Ctrl-C. SIGHUP: the config is read again.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Failure;
use super::problems;
use super::run::runtime;
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::daemon::{self, Reload, ReloadTrigger};

/// Runs the daemon until a signal; `file` is read again when it changes.
pub(super) fn serve(file: Option<PathBuf>, settings: Settings) -> Result<(), Failure> {
    daemon::start_logging("homeostat=info,warn");
    runtime()?.block_on(async {
        let shutdown = Shutdown::new();
        let (trigger, reload) = Reload::new(file);
        // A terminal that is closed says so with the same signal; nobody is left to read what a daemon there would say.
        let on_hangup =
            if std::io::stderr().is_terminal() { OnHangup::Stop } else { OnHangup::Reload(trigger) };
        on_signal(&shutdown, on_hangup)?;
        let result = daemon::run(settings.clone(), Some(reload), shutdown, |_| ()).await;
        result.map_err(|error| match problems::of_daemon(&settings, &error) {
            Some(problem) => problems::told(&problem),
            None => Failure::Failed(error.into()),
        })
    })
}

/// What SIGHUP means.
#[derive(Debug)]
pub(super) enum OnHangup {
    Stop,
    Reload(ReloadTrigger),
}

/// Turns the first SIGTERM or SIGINT into a stop, and SIGHUP into what it means. A second SIGTERM or SIGINT ends the process at
/// once: somebody means it.
pub(super) fn on_signal(shutdown: &Shutdown, on_hangup: OnHangup) -> Result<(), Failure> {
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
                    match &on_hangup {
                        OnHangup::Stop => shutdown.request(),
                        OnHangup::Reload(trigger) => trigger.request(),
                    }
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
