//! homeostat's own log: to standard error, as text for people or as JSON for collectors.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::base::env;

/// Starts logging once per process. The level is `info` unless `HOMEOSTAT_LOG` says otherwise; on a terminal the lines are
/// coloured, elsewhere they are plain (journald and Docker add their own times, but files do not, so times stay).
pub fn start(default_filter: &str) {
    let filter = env::var(env::LOG).unwrap_or_else(|| default_filter.to_owned());
    let filter = EnvFilter::try_new(&filter).unwrap_or_else(|_| EnvFilter::new(default_filter));
    let layer = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start (tests that run several daemons in one process) keeps the first.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
