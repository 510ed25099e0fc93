//! Everything the daemon is built from.

use std::path::PathBuf;

use super::document::Section;
use super::sections::agent::{self, AgentSettings, SandboxSettings};
use super::sections::heal::{self, Place};
use super::sections::{github, serve};
use crate::heal::worker;
use crate::repo::FetchTokens;
use crate::{github as github_client, http, store};

/// Checked settings of every part.
#[derive(Debug, Clone)]
pub struct Settings {
    pub state_folder: PathBuf,
    pub store: store::Settings,
    pub http: http::Settings,
    /// `None` if healing is off.
    pub worker: Option<worker::Settings>,
    pub tracker: Place,
    pub forge: Place,
    pub github: Option<github_client::Settings>,
    pub fetch_tokens: FetchTokens,
    pub agent: AgentSettings,
    pub sandbox: SandboxSettings,
}

impl Settings {
    /// Reads all sections; problems stay with the document.
    pub(super) fn read(root: &Section<'_>) -> Self {
        let state_folder = serve::state(root);
        let github = github::github(root);
        Self {
            store: serve::database(root, &state_folder),
            http: serve::http(root),
            worker: heal::worker(root),
            tracker: heal::place(root, "tracker", github.is_some()),
            forge: heal::place(root, "forge", github.is_some()),
            github,
            fetch_tokens: github::fetch_tokens(root),
            agent: agent::agent(root),
            sandbox: agent::sandbox(root),
            state_folder,
        }
    }
}
