//! Where GitHub answers, and as whom.

use std::time::Duration;

use crate::base::secret::Secret;

/// Settings of the client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the REST API answers: `https://api.github.com`, or `https://<host>/api/v3` of an Enterprise server.
    pub api_url: String,
    /// Where repositories are read and cloned: a repository below it is on this GitHub.
    pub web_url: String,
    pub auth: Auth,
    /// For each request, connecting included.
    pub timeout: Duration,
}

impl Settings {
    /// github.com, with this authentication.
    pub fn new(auth: Auth) -> Self {
        Self {
            api_url: "https://api.github.com".to_owned(),
            web_url: "https://github.com".to_owned(),
            auth,
            timeout: Duration::from_secs(30),
        }
    }
}

/// As whom to call.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A fine-grained or classic token: contents, issues and pull requests of the repositories, read and write.
    Token(Secret),
    /// A GitHub App with the same permissions. Its events start CI, and its tokens live an hour.
    App {
        app_id: u64,
        /// PEM, as downloaded from GitHub.
        private_key: Secret,
        /// Of one account; looked up per repository where it is not given.
        installation_id: Option<u64>,
    },
}
