//! Build everything, name every task, stop in order.
//!
//! The order of the stop: sources, then the pipeline drained and committed; running jobs finished or released; pages and
//! webhooks; the database last. Each step has a deadline.

mod build;
mod config_state;
mod fetch;
mod heal;
mod live;
mod logging;
mod reload;
mod run;
mod systemd;
mod tasks;

pub use build::{fingerprinter, pipeline};
pub use config_state::ConfigState;
pub use fetch::FetchCredentials;
pub use heal::fix_parts;
pub use logging::start as start_logging;
pub use reload::{Reload, ReloadTrigger};
pub use run::{Listening, run};
pub use tasks::TaskEnded;

/// Why the daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("failed to use the store")]
    Store(#[source] crate::store::StoreError),
    #[error("failed to listen on {address}")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("failed to build the {part}")]
    Part {
        part: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("failed to make the state folder `{folder}`")]
    Folder {
        folder: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Task(#[from] TaskEnded),
}
