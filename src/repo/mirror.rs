//! Bare mirrors, one per repository, shared by every process that works below the same folder.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use tokio::time::{Instant, sleep};
use url::Url;

use super::archive::{self, Archive};
use super::credential::CredentialSource;
use super::error::RepoError;
use super::git::Git;
use super::settings::Settings;
use super::upkeep;
use super::worktree::{self, WorkTree};
use crate::base::chain::Chain;

/// The id of a commit: 40 (or 64) hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not the id of a commit.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the id of a commit")]
pub struct InvalidCommitId(String);

impl FromStr for CommitId {
    type Err = InvalidCommitId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(InvalidCommitId(text.chars().take(80).collect()))
        }
    }
}

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    pub path: String,
    pub kind: EntryKind,
    pub n_bytes: u64,
    /// Id of its content.
    pub blob: String,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Executable,
    /// Its content is the target.
    Symlink,
    /// A commit of another repository; never fetched.
    Submodule,
}

impl EntryKind {
    /// As git writes it.
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
            Self::Submodule => "160000",
        }
    }
}

/// All repositories below one folder.
#[derive(Debug, Clone)]
pub struct Repos {
    git: Arc<Git>,
    credentials: Arc<dyn CredentialSource>,
}

impl Repos {
    /// Makes the folders and removes clones that a process left behind when it was killed.
    pub async fn new(settings: Settings, credentials: Arc<dyn CredentialSource>) -> Result<Self, RepoError> {
        for name in ["mirrors", worktree::FOLDER] {
            let folder = settings.folder.join(name);
            tokio::fs::create_dir_all(&folder).await.map_err(RepoError::io("make", &folder))?;
        }
        let git = Git::new(settings)?;
        worktree::sweep(&git.settings.folder).await;
        Ok(Self { git, credentials })
    }

    /// The repository at `url`, fetched now: branches and tags as they are there, gone ones gone.
    ///
    /// `url` is `https://…`, `http://…` or an absolute path; a name or password in it is refused.
    pub async fn mirror(&self, url: &str) -> Result<Mirror, RepoError> {
        let address = Address::parse(url)?;
        let name = mirror_name(url);
        let folder = self.git.settings.folder.join("mirrors").join(format!("{name}.git"));
        let mirror = Mirror { git: Arc::clone(&self.git), url: url.to_owned(), folder };
        let _lock = mirror.lock().await?;
        if !mirror.folder.join("HEAD").exists() {
            let path = mirror.folder.clone().into_os_string();
            mirror
                .git
                .call("make a mirror")
                .args(["init", "--quiet", "--bare", "--template=", "--"])
                .args([path])
                .output()
                .await?;
        }
        let refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        self.fetch(&mirror, &address, &["--prune", "--no-tags"], &refs).await?;
        // One that cannot be packed is as good as before.
        if let Err(error) = upkeep::tidy(&mirror.git, &mirror.folder).await {
            tracing::warn!(mirror = name, error = %Chain(&error), "failed to pack a mirror");
        }
        Ok(mirror)
    }

    /// A commit of the mirror by its id; one that no branch leads to any more is asked for by itself.
    pub async fn revision(&self, mirror: &Mirror, revision: &str) -> Result<CommitId, RepoError> {
        match mirror.revision(revision).await {
            Err(RepoError::NoSuchRevision { .. }) if revision.parse::<CommitId>().is_ok() => {
                let address = Address::parse(&mirror.url)?;
                let _lock = mirror.lock().await?;
                match self.fetch(mirror, &address, &["--no-tags"], &[revision]).await {
                    Ok(()) | Err(RepoError::NoSuchRepository { .. }) => {}
                    Err(error) if error.is_transient() => tracing::debug!(%error, "no such revision"),
                    Err(error) => return Err(error),
                }
                mirror.revision(revision).await
            }
            answer => answer,
        }
    }

    async fn fetch(
        &self,
        mirror: &Mirror,
        address: &Address,
        options: &[&str],
        refs: &[&str],
    ) -> Result<(), RepoError> {
        let url = &mirror.url;
        let mut call = self.git.call("fetch").within(&mirror.folder).timeout(self.git.settings.fetch_timeout);
        if address.may_carry_credential() {
            let credential = self
                .credentials
                .credential(url)
                .await
                .map_err(|source| RepoError::Credential { url: url.clone(), source })?;
            if let Some(credential) = credential {
                let pair = format!("{}:{}", credential.user, credential.token.expose());
                let value = base64::engine::general_purpose::STANDARD.encode(pair);
                call = call
                    .config(format!("http.{url}.extraHeader"), format!("Authorization: Basic {value}"))
                    // The header must not follow a redirect to somebody else.
                    .config("http.followRedirects".to_owned(), "false".to_owned());
            }
        }
        let reply = call
            .args(["fetch", "--quiet", "--force", "--no-write-fetch-head", "--no-recurse-submodules"])
            .args(options)
            .args(["--", url.as_str()])
            .args(refs)
            .reply()
            .await?;
        if reply.code == 0 { Ok(()) } else { Err(RepoError::of_fetch(url, &reply.stderr)) }
    }
}

/// A fetched repository. Objects in it are only ever added; what no branch leads to is removed after weeks.
#[derive(Debug, Clone)]
pub struct Mirror {
    git: Arc<Git>,
    url: String,
    folder: PathBuf,
}

impl Mirror {
    /// Where it was fetched from.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The head of a branch.
    pub async fn branch(&self, branch: &str) -> Result<CommitId, RepoError> {
        self.commit(&format!("refs/heads/{branch}"))
            .await?
            .ok_or_else(|| RepoError::NoSuchBranch { url: self.url.clone(), branch: branch.to_owned() })
    }

    /// The commit with this id, abbreviated id, tag or branch name.
    pub async fn revision(&self, revision: &str) -> Result<CommitId, RepoError> {
        self.commit(revision)
            .await?
            .ok_or_else(|| RepoError::NoSuchRevision { url: self.url.clone(), revision: revision.to_owned() })
    }

    async fn commit(&self, name: &str) -> Result<Option<CommitId>, RepoError> {
        if name.is_empty() || name.len() > 250 || name.contains(|c: char| c.is_control()) {
            return Ok(None);
        }
        let reply = self
            .git
            .call("look up a commit")
            .within(&self.folder)
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .args([format!("{name}^{{commit}}")])
            .reply()
            .await?;
        let text = String::from_utf8_lossy(&reply.stdout);
        Ok(if reply.code == 0 { text.trim().parse().ok() } else { None })
    }

    /// Every file of a commit, sorted by path.
    pub async fn files(&self, commit: &CommitId) -> Result<Vec<TreeEntry>, RepoError> {
        archive::entries(&self.git, &self.folder, commit.as_str()).await
    }

    /// The content of a file; `None` if the commit has no such file or it is larger than `max_bytes`.
    pub async fn read(
        &self,
        commit: &CommitId,
        path: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, RepoError> {
        let entries = self.files(commit).await?;
        match entries.iter().find(|entry| entry.path == path && entry.n_bytes <= max_bytes) {
            Some(entry) => self.content(entry).await.map(Some),
            None => Ok(None),
        }
    }

    /// The content of an entry of [`Self::files`]: of a symlink its target, of a submodule nothing.
    pub async fn content(&self, entry: &TreeEntry) -> Result<Vec<u8>, RepoError> {
        match entry.kind {
            EntryKind::File | EntryKind::Executable | EntryKind::Symlink => {
                let call = self.git.call("read a file").within(&self.folder);
                call.args(["cat-file", "blob", &entry.blob]).output().await
            }
            EntryKind::Submodule => Ok(Vec::new()),
        }
    }

    /// All files of a commit as a tar, for a sandbox: no attribute hides or changes any of them.
    pub async fn archive(&self, commit: &CommitId) -> Result<Archive, RepoError> {
        archive::build(&self.git, &self.folder, commit.as_str()).await
    }

    /// A fresh clone with `commit` checked out, removed when it is dropped.
    pub async fn checkout(&self, commit: &CommitId) -> Result<WorkTree, RepoError> {
        // A clone links to the mirror's packs, which must not be packed anew meanwhile.
        let _lock = self.lock().await?;
        WorkTree::make(Arc::clone(&self.git), &self.folder, commit).await
    }

    /// Waits for the right to change the mirror, which holds until the value is dropped, in every process.
    async fn lock(&self) -> Result<File, RepoError> {
        let path = self.folder.with_extension("lock");
        let file = File::create(&path).map_err(RepoError::io("make", &path))?;
        let limit = self.git.settings.lock_timeout;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) if start.elapsed() < limit => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(RepoError::Locked { url: self.url.clone(), limit });
                }
                Err(std::fs::TryLockError::Error(source)) => {
                    return Err(RepoError::Io { action: "lock", path, source });
                }
            }
        }
    }
}

/// An address that has been looked at.
#[derive(Debug)]
enum Address {
    Web(Url),
    Path,
}

impl Address {
    fn parse(url: &str) -> Result<Self, RepoError> {
        let bad = |reason| RepoError::BadUrl { url: url.chars().take(200).collect(), reason };
        if url.contains(|c: char| c.is_control()) {
            return Err(bad("it contains control characters"));
        }
        if Path::new(url).is_absolute() {
            return Ok(Self::Path);
        }
        let Ok(parsed) = Url::parse(url) else {
            return Err(bad("expected `https://…` or an absolute path"));
        };
        if !matches!(parsed.scheme(), "https" | "http") {
            return Err(bad("expected `https://…` or an absolute path"));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let url = format!("{}://…@{}", parsed.scheme(), parsed.host_str().unwrap_or_default());
            return Err(RepoError::BadUrl {
                url,
                reason: "a credential in an address ends up in logs: set it in the config",
            });
        }
        Ok(Self::Web(parsed))
    }

    /// A token is sent over TLS, or to this machine itself, and nowhere else.
    fn may_carry_credential(&self) -> bool {
        match self {
            Self::Web(url) if url.scheme() == "https" => true,
            Self::Web(url) => match url.host() {
                Some(url::Host::Ipv4(address)) => address.is_loopback(),
                Some(url::Host::Ipv6(address)) => address.is_loopback(),
                Some(url::Host::Domain(name)) => name == "localhost",
                None => false,
            },
            Self::Path => false,
        }
    }
}

/// `<readable>-<hash>`: the same for the same address, never the same for two.
fn mirror_name(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let readable: String = last
        .trim_end_matches(".git")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .take(40)
        .collect();
    format!("{readable}-{}", &blake3::hash(url.as_bytes()).to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_at_before_it_is_used() {
        for good in ["https://host/a.git", "http://127.0.0.1:80/a", "/srv/git/a.git"] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a.git",
            "../a",
            "ssh://git@host/a",
            "git@host:a.git",
            "ext::sh -c id",
            "file:///srv/a",
            "https://user:hunter2@host/a",
            "https://host/a\nb",
            "--upload-pack=x",
        ] {
            let error = Address::parse(bad).expect_err(bad);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_token_is_not_sent_in_the_clear() {
        for (url, expected) in [
            ("https://host/a", true),
            ("http://127.0.0.1:8080/a", true),
            ("http://localhost/a", true),
            ("http://host/a", false),
            ("/srv/a", false),
        ] {
            assert_eq!(Address::parse(url).unwrap().may_carry_credential(), expected, "{url}");
        }
    }

    #[test]
    fn two_addresses_never_share_a_mirror() {
        let names = [
            mirror_name("https://a/x.git"),
            mirror_name("https://b/x.git"),
            mirror_name("https://a/x"),
            mirror_name("/srv/../.."),
        ];
        assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| !name.contains(['/', '.'])), "{names:?}");
        assert!(names[0].starts_with("x-"), "{}", names[0]);
    }
}
