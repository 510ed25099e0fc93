//! `homeostat demo`: the whole loop on this machine, in minutes.
//!
//! A small service runs in a container and hits its bug; the daemon, in this process and with the shipped settings, watches
//! it, detects, fixes in a sandbox, proves and proposes. With `ANTHROPIC_API_KEY` the model is Anthropic's; without one a
//! scripted model server on loopback plays a recorded fix through the same client, sandbox and validation. Everything
//! lives in a folder that is removed at the end, and no container is left behind.

mod ground;
mod outcome;
mod service;
mod story;

use std::time::Duration;

use tokio::time::Instant;

use self::ground::Ground;
use self::service::ServiceContainer;
use self::story::Story;
use super::args::DemoArgs;
use super::exit::Failure;
use super::print;
use super::run::runtime;
use super::serve::{OnHangup, on_signal};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::shutdown::Shutdown;
use crate::daemon;
use crate::model::issue::IssueState;
use crate::store;

/// How long the rebuilt service is watched after the merge: several times through its feed.
const WATCH_AFTER_MERGE: Duration = Duration::from_secs(12);

/// Prints to where people look: standard error when standard output is for JSON.
fn say(args: &DemoArgs, text: &str) {
    if args.json { print::note(text) } else { print::tell(text) }
}

/// Runs the demo until the loop has closed (headless) or until Ctrl-C.
pub(super) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    daemon::start_logging("homeostat=error,warn");
    runtime()?.block_on(async {
        let shutdown = Shutdown::new();
        on_signal(&shutdown, OnHangup::Stop)?;
        let ground = Ground::prepare(args, &shutdown).await?;
        let daemon_stop = Shutdown::new();
        let (up_tx, up_rx) = tokio::sync::oneshot::channel();
        let daemon = daemon::run(ground.settings.clone(), None, daemon_stop.clone(), move |listening| {
            // Nobody waits any more: the demo was stopped meanwhile.
            let _ = up_tx.send(listening);
        });
        let daemon = tokio::spawn(daemon);
        let result = match up_rx.await {
            Ok(_) => show(args, &ground, &shutdown).await,
            // The daemon ended before it was up; its own error says why.
            Err(_) => Ok(()),
        };
        daemon_stop.request();
        let ended = daemon.await.map_err(anyhow::Error::new)?;
        ground.clean_up().await;
        ended.map_err(anyhow::Error::new)?;
        result
    })
}

/// Runs the service, tells the story as it unfolds, and prints what came of it.
async fn show(args: &DemoArgs, ground: &Ground, shutdown: &Shutdown) -> Result<(), Failure> {
    let started = Instant::now();
    let store = store::open(&ground.settings.store).await.map_err(anyhow::Error::new)?;
    let service = ServiceContainer::start(ground).await?;
    say(
        args,
        &format!(
            "the service `{}` runs in the container {} and follows its feed",
            ground::SERVICE,
            service.name()
        ),
    );
    let mut story = Story::new(&*store, args, started);
    let result = tokio::select! {
        () = shutdown.requested() => None,
        result = story.until_proposed() => Some(result),
    };
    let result = match result {
        None => Err(anyhow::anyhow!("stopped before the loop had closed").into()),
        Some(Err(failure)) => Err(failure),
        Some(Ok(closed)) => {
            let page = format!("{}issues/{}", ground.settings.http.public_url, closed.issue());
            if args.headless {
                say(args, &format!("the loop has closed in {:.0} s", started.elapsed().as_secs_f64()));
                if args.json {
                    print::tell(closed.json(started.elapsed()).to_string());
                }
                Ok(())
            } else {
                say(
                    args,
                    &format!(
                        "\nread the proof and accept the fix: {page}\n(Ctrl-C ends the demo and removes everything)"
                    ),
                );
                after_proposal(args, ground, &mut story, service, shutdown).await
            }
        }
    };
    store.close().await;
    result
}

/// Waits for the merge, then runs the merged service and looks whether the error stays away.
async fn after_proposal(
    args: &DemoArgs,
    ground: &Ground,
    story: &mut Story<'_>,
    service: ServiceContainer,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    tokio::select! {
        () = shutdown.requested() => return Ok(()),
        merged = story.until(|issue| issue.state == IssueState::Landed) => merged?,
    };
    say(args, "merged; the service is built again from the base branch");
    service.remove().await;
    // The last lines of the old container may still be on their way into the store: what counts is when they were logged.
    let rebuilt_at = SystemClock.now();
    let rebuilt = ServiceContainer::start(ground).await?;
    if !shutdown.sleep(WATCH_AFTER_MERGE).await {
        return Ok(());
    }
    let n_handled = rebuilt.n_log_lines().await?;
    match story.issue().await? {
        Some(issue) if issue.last_seen >= rebuilt_at => {
            say(args, &format!("the error came back: last seen at {}", issue.last_seen));
        }
        Some(_) | None => {
            say(args, &format!("the rebuilt service has logged {n_handled} lines and no longer fails"));
        }
    }
    say(args, "the dashboard stays up until Ctrl-C");
    shutdown.requested().await;
    Ok(())
}
