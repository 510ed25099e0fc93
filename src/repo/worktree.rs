//! A fresh clone for one purpose: files in, patch out, commits; removed when it is dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{self, Archive};
use super::error::{RepoError, in_short};
use super::git::{Call, Git};
use super::mirror::{CommitId, TreeEntry};
use super::unpack::{self, Limits, Special, Taken};
use crate::base::clock::Timestamp;

/// Folder of the clones, below the settings' folder.
pub(super) const FOLDER: &str = "clones";

/// Overrules every `.gitattributes` of the repository: files go in and out as they are, and a change of text is shown as text.
const ATTRIBUTES: &str = "* !text !crlf !eol !ident !filter !working-tree-encoding !diff !merge !whitespace !export-ignore !export-subst\n";

/// What test runners leave behind, never part of a patch unless the repository tracks it.
const LEFTOVERS: &str = "__pycache__/\n*.pyc\n.pytest_cache/\n.mypy_cache/\n.ruff_cache/\n.coverage\nnode_modules/\n\
    .gradle/\n*.class\n.DS_Store\n";

/// Who made a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    pub name: String,
    pub email: String,
}

/// A tree stored in a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeId(pub(super) String);

/// One step from a tree to another, see [`WorkTree::compose`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The file as it is in the other tree, which may be: not there.
    Take(String),
    /// The file with this content and the other tree's mode.
    Write(String, Vec<u8>),
}

/// A clone with one commit checked out: no remote, no hooks, no attributes, no submodules, no symlinks.
#[derive(Debug)]
pub struct WorkTree {
    git: Arc<Git>,
    base: CommitId,
    /// `<clones>/<random>`, holding `tree` and the lock.
    home: PathBuf,
    tree: PathBuf,
    /// Held while this process lives, so that a later one knows which clones are orphans.
    _alive: File,
}

impl WorkTree {
    pub(super) async fn make(git: Arc<Git>, mirror: &Path, commit: &CommitId) -> Result<Self, RepoError> {
        let home = git.settings.folder.join(FOLDER).join(uuid::Uuid::now_v7().simple().to_string());
        let tree = home.join("tree");
        // The lock stands beside the folder and is held before the folder is there.
        let lock = home.with_extension("lock");
        let alive = claim(&lock)?;
        let this = Self { git, base: commit.clone(), home, tree, _alive: alive };
        std::fs::create_dir(&this.home).map_err(RepoError::io("make", &this.home))?;
        this.git
            .call("make a clone")
            .args(["clone", "--quiet", "--local", "--no-checkout", "--no-tags", "--template=", "--"])
            .args([mirror, &this.tree])
            .output()
            .await?;
        let info = this.tree.join(".git/info");
        std::fs::create_dir_all(&info).map_err(RepoError::io("make", &info))?;
        for (name, text) in [("attributes", ATTRIBUTES), ("exclude", LEFTOVERS)] {
            let path = info.join(name);
            std::fs::write(&path, text).map_err(RepoError::io("write", &path))?;
        }
        this.call("forget the mirror").args(["remote", "remove", "origin"]).output().await?;
        // Counts files and bytes against the limits before any is written.
        archive::entries(&this.git, &this.tree, commit.as_str()).await?;
        this.call("check out a commit")
            .args(["checkout", "--quiet", "--detach", "--force", commit.as_str()])
            .output()
            .await?;
        Ok(this)
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        self.git.call(action).within(&self.tree)
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.tree
    }

    /// The commit it was made from.
    pub const fn base(&self) -> &CommitId {
        &self.base
    }

    /// Applies a patch to files and index.
    pub async fn apply(&self, patch: &str) -> Result<(), RepoError> {
        let arguments = ["apply", "--index", "--whitespace=nowarn", "-"];
        let reply = self.call("apply a patch").args(arguments).stdin(patch).reply().await?;
        if reply.code == 0 {
            return Ok(());
        }
        Err(RepoError::DoesNotApply { message: in_short(&reply.stderr) })
    }

    /// Puts what a container gave in the place of all files. Refused entries stay as they are in the base commit.
    pub async fn replace_with(
        &self,
        tar: impl Read + Send + 'static,
        limits: Limits,
    ) -> Result<Taken, RepoError> {
        let (special, unnamed) = self.special().await?;
        let folder = self.tree.clone();
        let submodules = special.submodules.clone();
        let taken = tokio::task::spawn_blocking(move || {
            empty(&folder)?;
            let taken = unpack::take_in(tar, &folder, &special, &limits)?;
            // An empty folder is a submodule that was not fetched; a missing one would be a removed submodule.
            for path in submodules {
                let path = folder.join(path);
                std::fs::create_dir_all(&path).map_err(RepoError::io("make", &path))?;
            }
            Ok::<_, RepoError>(taken)
        })
        .await
        .unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        let mut restored = unnamed;
        for path in &taken.refused_paths {
            restored.extend_from_slice(path.as_bytes());
            restored.push(0);
        }
        if !restored.is_empty() {
            // Quiet, since a refused path need not be one of the base commit's.
            let arguments = ["checkout-index", "--force", "--quiet", "-z", "--stdin"];
            self.call("restore refused files").args(arguments).stdin(restored).reply().await?;
        }
        Ok(taken)
    }

    /// Symlinks and submodules of the index, and its paths that no container gets (each ended by a zero byte): not UTF-8, or with control characters.
    async fn special(&self) -> Result<(Special, Vec<u8>), RepoError> {
        let output = self.call("list the files").args(["ls-files", "--stage", "-z"]).output().await?;
        let (mut special, mut unnamed) = (Special::default(), Vec::new());
        for line in output.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { continue };
            let (head, path) = (&line[..tab], &line[tab + 1..]);
            let Some(path) = std::str::from_utf8(path).ok().filter(|path| unpack::can_return(path)) else {
                unnamed.extend_from_slice(path);
                unnamed.push(0);
                continue;
            };
            match head.get(..6) {
                Some(b"120000") => drop(special.symlinks.insert(path.to_owned())),
                Some(b"160000") => drop(special.submodules.insert(path.to_owned())),
                _ => {}
            }
        }
        Ok((special, unnamed))
    }

    /// Everything that differs from the base commit, new files too (not those the repository ignores), as a patch.
    pub async fn diff(&self) -> Result<String, RepoError> {
        let tree = self.stage().await?;
        self.diff_trees(&self.base_tree(), &tree).await
    }

    /// The base commit's tree.
    pub fn base_tree(&self) -> TreeId {
        Self::tree_of(&self.base)
    }

    /// The tree of any commit that the mirror has.
    pub fn tree_of(commit: &CommitId) -> TreeId {
        TreeId(format!("{commit}^{{tree}}"))
    }

    /// Stores the files as they are now.
    pub async fn stage(&self) -> Result<TreeId, RepoError> {
        self.call("stage the changes").args(["add", "--all", "--", "."]).output().await?;
        Ok(TreeId(self.call("store the changes").args(["write-tree"]).text().await?))
    }

    /// The patch from one tree to another, with `a/` and `b/`, whole ids, no renames, binary files whole. A file whose change is not
    /// UTF-8, Latin-1 perhaps, counts as a binary one.
    pub async fn diff_trees(&self, from: &TreeId, to: &TreeId) -> Result<String, RepoError> {
        if let Ok(text) = String::from_utf8(self.raw_diff(from, to, None).await?) {
            return Ok(text);
        }
        let call = self.call("compare two trees");
        let listed = call
            .args(["diff-tree", "-r", "-z", "--name-only", "--no-renames", &from.0, &to.0])
            .output()
            .await?;
        let mut whole = String::new();
        for path in listed.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let path = std::str::from_utf8(path).map_err(|_| RepoError::NotText)?;
            let diff = match String::from_utf8(self.raw_diff(from, to, Some(path)).await?) {
                Ok(text) => text,
                Err(_) => self.binary_diff(from, to, path).await?,
            };
            whole.push_str(&diff);
        }
        Ok(whole)
    }

    async fn raw_diff(&self, from: &TreeId, to: &TreeId, path: Option<&str>) -> Result<Vec<u8>, RepoError> {
        let call = self
            .call("compare two trees")
            .args(["diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-color"])
            .args(["--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "-U3"])
            .args([&from.0, &to.0]);
        match path {
            Some(path) => call.args(["--", path]).output().await,
            None => call.output().await,
        }
    }

    /// One file's change as a binary one. Only the attributes beside the clone can say so, and only for as long as it takes.
    async fn binary_diff(&self, from: &TreeId, to: &TreeId, path: &str) -> Result<String, RepoError> {
        let file = self.tree.join(".git/info/attributes");
        let write = |text: String| std::fs::write(&file, text).map_err(RepoError::io("write", &file));
        write(format!("{ATTRIBUTES}* -diff\n"))?;
        let diff = self.raw_diff(from, to, Some(path)).await;
        write(ATTRIBUTES.to_owned())?;
        String::from_utf8(diff?).map_err(|_| RepoError::NotText)
    }

    /// The tree that is `from` with some steps towards `to` taken.
    pub async fn compose(&self, from: &TreeId, to: &TreeId, steps: Vec<Step>) -> Result<TreeId, RepoError> {
        let there: BTreeMap<String, TreeEntry> =
            self.files(to).await?.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        let mut lines = Vec::new();
        for step in steps {
            let (path, content) = match step {
                Step::Take(path) => (path, None),
                Step::Write(path, content) => (path, Some(content)),
            };
            let Some(entry) = there.get(&path) else {
                lines.push(format!("0 {}\t{path}\0", "0".repeat(40)));
                continue;
            };
            let blob = match content {
                None => entry.blob.clone(),
                Some(content) => {
                    let call = self.call("store a file").stdin(content);
                    call.args(["hash-object", "-w", "--no-filters", "--stdin"]).text().await?
                }
            };
            lines.push(format!("{} {blob}\t{path}\0", entry.kind.mode()));
        }
        let index = Index::new(self);
        index.call("read a tree").args(["read-tree", &from.0]).output().await?;
        let arguments = ["update-index", "-z", "--index-info"];
        index.call("change a tree").args(arguments).stdin(lines.concat()).output().await?;
        Ok(TreeId(index.call("store a tree").args(["write-tree"]).text().await?))
    }

    /// The tree that is `from` with a patch applied, or taken back.
    pub async fn patched(&self, from: &TreeId, patch: &str, reverse: Reverse) -> Result<TreeId, RepoError> {
        let index = Index::new(self);
        index.call("read a tree").args(["read-tree", &from.0]).output().await?;
        if !patch.is_empty() {
            let call = index.call("apply a patch").args(["apply", "--cached", "--whitespace=nowarn"]);
            let call = match reverse {
                Reverse::No => call,
                Reverse::Yes => call.args(["--reverse"]),
            };
            let reply = call.args(["-"]).stdin(patch).reply().await?;
            if reply.code != 0 {
                return Err(RepoError::DoesNotApply { message: in_short(&reply.stderr) });
            }
        }
        Ok(TreeId(index.call("store a tree").args(["write-tree"]).text().await?))
    }

    /// Every file of a tree.
    pub async fn files(&self, tree: &TreeId) -> Result<Vec<TreeEntry>, RepoError> {
        archive::entries(&self.git, &self.tree, &tree.0).await
    }

    /// Whether any text file of a tree holds this text, which is one line.
    pub async fn holds(&self, tree: &TreeId, text: &str) -> Result<bool, RepoError> {
        // The text comes from a stranger: not as an argument, which every user of the machine can read.
        let arguments = ["grep", "--quiet", "--fixed-strings", "--no-textconv", "-I", "-f", "-", &tree.0];
        let reply = self.call("search a tree").args(arguments).stdin(text).reply().await?;
        match reply.code {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(RepoError::Refused { action: "search a tree", message: in_short(&reply.stderr) }),
        }
    }

    /// The content of a file in a tree; `None` if it has none of that name.
    pub async fn read(&self, tree: &TreeId, path: &str) -> Result<Option<Vec<u8>>, RepoError> {
        let entries = self.files(tree).await?;
        let Some(entry) = entries.iter().find(|entry| entry.path == path) else { return Ok(None) };
        let call = self.call("read a file");
        call.args(["cat-file", "blob", &entry.blob]).output().await.map(Some)
    }

    /// A tree as a tar, for a sandbox.
    pub async fn archive(&self, tree: &TreeId) -> Result<Archive, RepoError> {
        archive::build(&self.git, &self.tree, &tree.0).await
    }

    /// Commits what is staged on top of what is checked out. The same tree, author, time and message give the same id.
    pub async fn commit(&self, author: &Author, message: &str, at: Timestamp) -> Result<CommitId, RepoError> {
        let date = format!("@{} +0000", at.as_second());
        let mut call = self.call("commit").args(["commit", "--quiet", "--no-verify", "--cleanup=verbatim"]);
        for role in ["AUTHOR", "COMMITTER"] {
            call = call
                .env(&format!("GIT_{role}_NAME"), &author.name)
                .env(&format!("GIT_{role}_EMAIL"), &author.email)
                .env(&format!("GIT_{role}_DATE"), &date);
        }
        call.args(["--file=-"]).stdin(message).output().await?;
        let id = self.call("read the new commit").args(["rev-parse", "HEAD"]).text().await?;
        id.parse().map_err(|_| RepoError::Refused { action: "read the new commit", message: id })
    }
}

/// Whether a patch is applied or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reverse {
    No,
    Yes,
}

impl Drop for WorkTree {
    fn drop(&mut self) {
        let (home, lock) = (self.home.clone(), self.home.with_extension("lock"));
        let remove = move || {
            // What cannot be removed now is removed by the next start.
            let _ = std::fs::remove_dir_all(home);
            let _ = std::fs::remove_file(lock);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// An index beside the clone's own.
struct Index<'a> {
    work_tree: &'a WorkTree,
    path: PathBuf,
}

impl<'a> Index<'a> {
    fn new(work_tree: &'a WorkTree) -> Self {
        let name = format!("index-{}", uuid::Uuid::now_v7().simple());
        Self { work_tree, path: work_tree.home.join(name) }
    }

    fn call(&self, action: &'static str) -> Call<'_> {
        self.work_tree.call(action).env("GIT_INDEX_FILE", &self.path.to_string_lossy())
    }
}

impl Drop for Index<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes and locks a file; again, if a process that starts just now took the still unlocked file for an orphan.
fn claim(lock: &Path) -> Result<File, RepoError> {
    loop {
        let file = File::create(lock).map_err(RepoError::io("make", lock))?;
        file.lock().map_err(RepoError::io("lock", lock))?;
        if lock.exists() {
            return Ok(file);
        }
    }
}

/// Removes everything but the `.git` of the top.
fn empty(folder: &Path) -> Result<(), RepoError> {
    for entry in std::fs::read_dir(folder).map_err(RepoError::io("read", folder))? {
        let entry = entry.map_err(RepoError::io("read", folder))?;
        if entry.file_name() == ".git" {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().map_err(RepoError::io("look at", &path))?.is_dir();
        let removed = if is_folder { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(RepoError::io("remove", &path))?;
    }
    Ok(())
}

/// Removes clones whose process is gone.
pub(super) async fn sweep(folder: &Path) {
    let clones = folder.join(FOLDER);
    let swept = tokio::task::spawn_blocking(move || {
        let mut n_removed = 0_u32;
        for entry in std::fs::read_dir(clones)?.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|it| it != "lock") {
                continue;
            }
            if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = std::fs::remove_dir_all(path.with_extension(""));
                let _ = std::fs::remove_file(&path);
                n_removed += 1;
            }
        }
        Ok::<_, std::io::Error>(n_removed)
    })
    .await;
    match swept {
        Ok(Ok(0)) => {}
        Ok(Ok(n_removed)) => tracing::info!(n_removed, "removed clones that a killed process left behind"),
        Ok(Err(error)) => tracing::warn!(%error, "failed to look for clones that were left behind"),
        Err(error) => tracing::warn!(%error, "the search for clones that were left behind broke off"),
    }
}
