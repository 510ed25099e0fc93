//! As whom repositories are fetched: with a token from the config, else with one that the GitHub App gives for reading.
//!
//! Stands here because `repo` knows no forge and `github` no repositories on disk. The token that pushes never comes this way.

use crate::github::Client;
use crate::repo::{Credential, CredentialSource, FetchTokens};

/// Tokens of the config first, then the app's.
#[derive(Debug, Clone)]
pub struct FetchCredentials {
    pub tokens: FetchTokens,
    pub github: Option<Client>,
}

#[async_trait::async_trait]
impl CredentialSource for FetchCredentials {
    async fn credential(
        &self,
        url: &str,
    ) -> Result<Option<Credential>, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(credential) = self.tokens.credential(url).await? {
            return Ok(Some(credential));
        }
        let Some((client, name)) = self.github.as_ref().and_then(|it| Some((it, it.repository(url)?))) else {
            return Ok(None);
        };
        match client.read_token(&name).await {
            Ok(token) => Ok(token.map(|token| Credential { user: "x-access-token".to_owned(), token })),
            // The app is not installed there: what is public can be fetched all the same.
            Err(error) if matches!(error.refused_with(), Some(404 | 422)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
