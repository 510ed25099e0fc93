//! A strict scripted GitHub: issues, comments, labels and pull requests over real bare repositories, which it serves
//! as git over HTTP on the same address.
//!
//! It refuses what the real one refuses, with its words and shapes (GitHub's published OpenAPI description), and fails
//! on demand: before a request's work, after it, or by never answering. Every request, git's too, has a number.

mod answer;
mod api;
pub(crate) mod app;
mod gate;
mod shape;
mod state;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use homeostat::base::clock::SystemClock;
use homeostat::base::secret::Secret;
use homeostat::github::{Auth, Client, Settings};
use tokio::task::JoinHandle;

pub(crate) use gate::{Fault, HANGING, Seen};
pub(crate) use state::{State, Token};

use super::git::Repository;

/// The token of [`GitHub::start`]: may do everything.
pub(crate) const TOKEN: &str = "ghp_scripted0123456789scripted0123456789";

/// A running server; stopped together with the value.
#[derive(Debug)]
pub(crate) struct GitHub {
    /// `http://127.0.0.1:<port>`: the address of its repositories; the API answers below `/api/v3`.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl GitHub {
    /// Serves the repository (made with the name `owner/name`).
    pub(crate) async fn start(repository: &Repository, name: &str) -> Self {
        Self::start_at(repository.root(), name, &repository.bare()).await
    }

    async fn start_at(root: &Path, name: &str, bare: &Path) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let state = Arc::new(Mutex::new(State::new(&url, root, name, bare)));
        let router = Router::new().fallback(gate::enter).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the scripted GitHub runs");
        });
        Self { url, state, task }
    }

    /// Everything it knows, to look at or to change.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Lets the request with this number (from 1, counted over everything) go wrong.
    pub(crate) fn fail(&self, number: usize, fault: Fault) {
        self.state().faults.insert(number, fault);
    }

    /// Every request so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Where to clone and push.
    pub(crate) fn repository_url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.url)
    }

    /// Settings of the real client for this server.
    pub(crate) fn settings(&self, token: &str) -> Settings {
        Settings {
            api_url: format!("{}/api/v3", self.url),
            web_url: self.url.clone(),
            timeout: Duration::from_secs(20),
            ..Settings::new(Auth::Token(Secret::new(token)))
        }
    }

    /// The real client with the token that may do everything.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings(TOKEN), SystemClock::shared()).expect("the settings are right")
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}
