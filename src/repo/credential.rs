//! Who homeostat is when it fetches: a token that may read, handed to git for one call and to nobody else.

use crate::base::secret::Secret;

/// A user name and token for fetching over HTTPS.
#[derive(Debug, Clone)]
pub struct Credential {
    /// For example `x-access-token`; many hosts take any.
    pub user: String,
    pub token: Secret,
}

/// Gives the credential for an address, fresh for each fetch: tokens of an app live for an hour.
#[async_trait::async_trait]
pub trait CredentialSource: Send + Sync + std::fmt::Debug {
    /// The credential that may read `url`; `None` to come as nobody.
    async fn credential(
        &self,
        url: &str,
    ) -> Result<Option<Credential>, Box<dyn std::error::Error + Send + Sync>>;
}

/// A token for all addresses that begin with `prefix`.
#[derive(Debug, Clone)]
pub struct FetchToken {
    /// For example `https://github.com/example/`. It is compared with the whole address, so end it with a `/`.
    pub prefix: String,
    pub credential: Credential,
}

/// Tokens from the config. The longest prefix wins.
#[derive(Debug, Clone, Default)]
pub struct FetchTokens(pub Vec<FetchToken>);

#[async_trait::async_trait]
impl CredentialSource for FetchTokens {
    async fn credential(
        &self,
        url: &str,
    ) -> Result<Option<Credential>, Box<dyn std::error::Error + Send + Sync>> {
        let fitting = self.0.iter().filter(|token| url.starts_with(&token.prefix));
        Ok(fitting.max_by_key(|token| token.prefix.len()).map(|token| token.credential.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_prefix_wins() {
        let token = |prefix: &str, user: &str| FetchToken {
            prefix: prefix.to_owned(),
            credential: Credential { user: user.to_owned(), token: Secret::new("t") },
        };
        let tokens = FetchTokens(vec![token("https://host/", "all"), token("https://host/team/", "team")]);
        for (url, expected) in [
            ("https://host/a.git", Some("all")),
            ("https://host/team/a.git", Some("team")),
            ("https://host.example.com/a.git", None),
        ] {
            let credential = tokens.credential(url).await.unwrap();
            assert_eq!(credential.map(|it| it.user).as_deref(), expected, "{url}");
        }
    }
}
