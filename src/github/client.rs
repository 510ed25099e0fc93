//! Requests below `/repos/<owner>/<name>`, one try each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use octocrab::models::{AppId, InstallationId};
use octocrab::{Octocrab, Page};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::repository::RepositoryName;
use super::settings::{Auth, Settings};
use crate::base::clock::SharedClock;
use crate::base::secret::Secret;

/// Pages followed at most; a hundred entries each.
const MAX_PAGES: u32 = 50;

/// GitHub, as one account or app.
#[derive(Debug, Clone)]
pub struct Client {
    api: Arc<Octocrab>,
    settings: Settings,
    clock: SharedClock,
    /// Clients of an app's installations, shared and not cloned: each holds the token it was given until that expires.
    installations: Arc<Mutex<HashMap<RepositoryName, Arc<Octocrab>>>>,
}

/// What git sends to be let in: the value of one `Authorization` header.
#[derive(Debug, Clone)]
pub struct GitCredential {
    /// Goes with every request below this address, and no other.
    pub url: String,
    /// `Authorization: Basic …`
    pub header: Secret,
}

impl Client {
    /// Builds the client; asks nobody yet. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Settings`] for a token, key or address that cannot be right.
    pub fn new(settings: Settings, clock: SharedClock) -> Result<Self, Error> {
        let wrong = |problem: String| Error::Settings { problem };
        // A redirect would turn the POST that creates something into a GET: a moved repository is told to a person.
        let http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| wrong(format!("no HTTP client: {error}")))?;
        let builder = Octocrab::builder()
            .base_uri(settings.api_url.as_str())
            .map_err(|_| wrong(format!("`{}` is not an address", settings.api_url)))?;
        let builder = match &settings.auth {
            Auth::Token(token) if !is_header_text(token.expose()) => {
                return Err(wrong("the token is empty or holds blanks or line breaks".to_owned()));
            }
            Auth::Token(token) => builder.personal_token(token.expose().to_owned()),
            Auth::App { app_id, private_key, .. } => builder
                .app_from_rsa_pem(AppId(*app_id), private_key.expose())
                .map_err(|_| wrong("the app's private key is not an RSA key in PEM form".to_owned()))?,
        };
        let api = builder.build_with_reqwest(http).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { api: Arc::new(api), settings, clock, installations: Arc::default() })
    }

    /// The repository with this clone address, if it is on this GitHub.
    pub fn repository(&self, url: &str) -> Option<RepositoryName> {
        RepositoryName::from_url(url, &self.settings.web_url)
    }

    /// The HTTPS address to push to.
    pub fn push_url(&self, repository: &RepositoryName) -> String {
        format!("{}/{repository}.git", self.settings.web_url.trim_end_matches('/'))
    }

    /// Reads one thing at `path` below the repository.
    pub async fn get<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        path: &str,
        action: &'static str,
    ) -> Result<T, Error> {
        let api = self.api_of(repository, action).await?;
        let route = format!("/repos/{repository}{path}");
        api.get(route, None::<&()>).await.map_err(|error| self.error(action, repository, error))
    }

    /// Reads a list at `path` (with its query) below the repository: every page, or until `is_enough`.
    pub async fn list<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        path: &str,
        action: &'static str,
        is_enough: impl Fn(&[T]) -> bool + Send,
    ) -> Result<Vec<T>, Error> {
        let api = self.api_of(repository, action).await?;
        let bare = path.split('?').next().unwrap_or(path).to_owned();
        let mut route = format!("/repos/{repository}{path}");
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let page: Page<T> =
                api.get(route, None::<&()>).await.map_err(|error| self.error(action, repository, error))?;
            all.extend(page.items);
            // Only the query of the link is followed: its host would decide where the token goes.
            let Some(query) = page.next.as_ref().and_then(|next| next.query()) else { return Ok(all) };
            if is_enough(&all) {
                return Ok(all);
            }
            route = format!("/repos/{repository}{bare}?{query}");
        }
        tracing::warn!(repository = %repository, action, "a list has more pages than are read");
        Ok(all)
    }

    /// Creates something at `path` below the repository. Not repeated: a failure may have been a success.
    pub async fn post<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        path: &str,
        body: &(impl Serialize + Sync),
        action: &'static str,
    ) -> Result<T, Error> {
        let api = self.api_of(repository, action).await?;
        let route = format!("/repos/{repository}{path}");
        api.post(route, Some(body)).await.map_err(|error| self.error(action, repository, error))
    }

    /// Changes something at `path` below the repository.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        repository: &RepositoryName,
        path: &str,
        body: &(impl Serialize + Sync),
        action: &'static str,
    ) -> Result<T, Error> {
        let api = self.api_of(repository, action).await?;
        let route = format!("/repos/{repository}{path}");
        api.patch(route, Some(body)).await.map_err(|error| self.error(action, repository, error))
    }

    /// What git needs to push to the repository.
    pub async fn git_credential(&self, repository: &RepositoryName) -> Result<GitCredential, Error> {
        let action = "get a token for git";
        let token = match &self.settings.auth {
            Auth::Token(token) => token.clone(),
            Auth::App { .. } => {
                let api = self.api_of(repository, action).await?;
                let token =
                    api.installation_token().await.map_err(|error| self.error(action, repository, error))?;
                Secret::new(token.expose_secret())
            }
        };
        let login = format!("x-access-token:{}", token.expose());
        let encoded = base64::engine::general_purpose::STANDARD.encode(login);
        Ok(GitCredential {
            url: format!("{}/", self.settings.web_url.trim_end_matches('/')),
            header: Secret::new(format!("Authorization: Basic {encoded}")),
        })
    }

    /// A token that may read this repository's contents and nothing else, for git; it lives an hour. `None` where there is no app: a
    /// person's token may write, and is not used for what needs no more than reading.
    pub async fn read_token(&self, repository: &RepositoryName) -> Result<Option<Secret>, Error> {
        let Auth::App { installation_id, .. } = &self.settings.auth else { return Ok(None) };
        let action = "get a token for reading";
        let id = self.installation_of(repository, *installation_id, action).await?;
        let route = format!("/app/installations/{id}/access_tokens");
        let body =
            ApiNewToken { repositories: [&repository.name], permissions: ApiRead { contents: "read" } };
        let given: ApiToken =
            self.api.post(route, Some(&body)).await.map_err(|error| self.error(action, repository, error))?;
        Ok(Some(Secret::new(given.token)))
    }

    /// The installation of the app that sees the repository.
    async fn installation_of(
        &self,
        repository: &RepositoryName,
        known: Option<u64>,
        action: &'static str,
    ) -> Result<u64, Error> {
        if let Some(id) = known {
            return Ok(id);
        }
        let route = format!("/repos/{repository}/installation");
        let found: Result<ApiInstallation, _> = self.api.get(route, None::<&()>).await;
        found.map(|found| found.id).map_err(|error| self.error(action, repository, error))
    }

    /// The client to call for this repository: the token's, or that of the app's installation there.
    async fn api_of(
        &self,
        repository: &RepositoryName,
        action: &'static str,
    ) -> Result<Arc<Octocrab>, Error> {
        let Auth::App { installation_id, .. } = &self.settings.auth else {
            return Ok(Arc::clone(&self.api));
        };
        if let Some(api) = self.lock_installations().get(repository) {
            return Ok(Arc::clone(api));
        }
        let fail = |error| self.error(action, repository, error);
        let id = self.installation_of(repository, *installation_id, action).await?;
        let api = Arc::new(self.api.installation(InstallationId(id)).map_err(fail)?);
        self.lock_installations().insert(repository.clone(), Arc::clone(&api));
        Ok(api)
    }

    fn lock_installations(&self) -> std::sync::MutexGuard<'_, HashMap<RepositoryName, Arc<Octocrab>>> {
        self.installations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, action: &'static str, repository: &RepositoryName, error: octocrab::Error) -> Error {
        Error::from_octocrab(action, &repository.to_string(), error, self.clock.now())
    }
}

#[derive(Debug, Deserialize)]
struct ApiInstallation {
    id: u64,
}

#[derive(Debug, Serialize)]
struct ApiNewToken<'a> {
    /// Without their owner.
    repositories: [&'a str; 1],
    permissions: ApiRead,
}

#[derive(Debug, Serialize)]
struct ApiRead {
    contents: &'static str,
}

/// No `Debug`: it is a secret.
#[derive(Deserialize)]
struct ApiToken {
    token: String,
}

/// What may stand in a header: octocrab panics at anything else.
fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
