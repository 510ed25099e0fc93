//! `owner/name`, read from the addresses a repository is cloned from.

use std::fmt;

/// A repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryName {
    pub owner: String,
    pub name: String,
}

impl RepositoryName {
    /// Reads `owner/name`.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        (is_name(owner) && is_name(name)).then(|| Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// Reads a clone address on the GitHub at `web_url`: HTTPS, `ssh://git@host/…` or `git@host:…`.
    pub fn from_url(url: &str, web_url: &str) -> Option<Self> {
        let (_, host) = web_url.trim_end_matches('/').split_once("://")?;
        let below_https = || url.strip_prefix(web_url.trim_end_matches('/'))?.strip_prefix('/');
        let below_ssh = || url.strip_prefix("ssh://git@")?.strip_prefix(host)?.strip_prefix('/');
        let below_scp = || url.strip_prefix("git@")?.strip_prefix(host)?.strip_prefix(':');
        let path = below_https().or_else(below_ssh).or_else(below_scp)?;
        let path = path.trim_end_matches('/');
        Self::parse(path.strip_suffix(".git").unwrap_or(path))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// What GitHub allows in the name of an account or a repository; also what is safe in a path of its API.
fn is_name(text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_plain && !text.is_empty() && text.len() <= 100 && text != "." && text != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_its_own_host_only() {
        let web = "https://github.com";
        let cases = [
            ("https://github.com/acme/shop", Some("acme/shop")),
            ("https://github.com/acme/shop.git", Some("acme/shop")),
            ("https://github.com/acme/shop/", Some("acme/shop")),
            ("git@github.com:acme/shop.git", Some("acme/shop")),
            ("ssh://git@github.com/acme/shop.git", Some("acme/shop")),
            ("https://github.com.evil.example/acme/shop", None),
            ("https://github.com/acme", None),
            ("https://github.com/acme/shop/tree/main", None),
            ("https://github.com/../shop", None),
            ("https://gitlab.com/acme/shop", None),
            ("/srv/git/shop.git", None),
        ];
        for (url, expected) in cases {
            let name = RepositoryName::from_url(url, web).map(|name| name.to_string());
            assert_eq!(name.as_deref(), expected, "{url}");
        }
    }
}
