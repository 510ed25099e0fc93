//! The files of a tree as a tar, read through git's plumbing.
//!
//! Not `git archive`: its attributes leave files out (`export-ignore`) and rewrite others (`export-subst`), and the attributes are
//! those of the repository.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::RepoError;
use super::git::Git;
use super::mirror::{EntryKind, TreeEntry};
use super::unpack::can_return;

/// A tar in a file that has no name and is gone with the value.
#[derive(Debug)]
pub struct Archive {
    file: File,
    /// How many entries it holds; folders are not counted.
    pub n_files: u64,
    /// Paths of submodules, which are left out.
    pub submodules: Vec<String>,
}

impl Archive {
    /// The tar as a file, at its beginning.
    pub fn into_file(self) -> File {
        self.file
    }

    /// The tar as bytes.
    pub fn bytes(mut self) -> Result<Vec<u8>, RepoError> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(RepoError::io("read", "the archive"))?;
        Ok(bytes)
    }
}

/// All entries of a tree, within the limits of the settings.
pub(super) async fn entries(git: &Git, folder: &Path, tree: &str) -> Result<Vec<TreeEntry>, RepoError> {
    let call = git.call("list the files of a commit").within(folder);
    let output = call.args(["ls-tree", "-r", "-z", "-l", "--full-tree", tree]).output().await?;
    let entries: Vec<TreeEntry> = output.split(|byte| *byte == 0).filter_map(entry).collect();
    let (max_files, max_bytes) = (git.settings.max_files, git.settings.max_bytes);
    if entries.len() as u64 > max_files {
        return Err(RepoError::TooLarge { limit: max_files, unit: "files" });
    }
    if entries.iter().map(|entry| entry.n_bytes).sum::<u64>() > max_bytes {
        return Err(RepoError::TooLarge { limit: max_bytes, unit: "bytes" });
    }
    Ok(entries)
}

/// `<mode> SP <type> SP <object> SP+ <size> TAB <path>`; a path that is not UTF-8, or has control characters, is left out, as no patch
/// could name it.
fn entry(line: &[u8]) -> Option<TreeEntry> {
    let line = std::str::from_utf8(line).ok()?;
    let (head, path) = line.split_once('\t')?;
    if !can_return(path) {
        return None;
    }
    let mut words = head.split_ascii_whitespace();
    let kind = match words.next()? {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    };
    let blob = words.nth(1)?.to_owned();
    let n_bytes = words.next()?.parse().unwrap_or(0);
    Some(TreeEntry { path: path.to_owned(), kind, n_bytes, blob })
}

/// Builds the tar of a tree.
pub(super) async fn build(git: &Git, folder: &Path, tree: &str) -> Result<Archive, RepoError> {
    let entries = entries(git, folder, tree).await?;
    let (files, submodules): (Vec<TreeEntry>, Vec<TreeEntry>) =
        entries.into_iter().partition(|entry| entry.kind != EntryKind::Submodule);
    let temporary = || {
        tempfile::tempfile_in(&git.settings.folder)
            .map_err(RepoError::io("make a temporary file in", &git.settings.folder))
    };
    let contents = temporary()?;
    let ids: String = files.iter().map(|entry| format!("{}\n", entry.blob)).collect();
    git.call("read the files of a commit")
        .within(folder)
        .args(["cat-file", "--batch", "--buffer"])
        .stdin(ids)
        .into_file(contents.try_clone().map_err(RepoError::io("share", "a temporary file"))?)
        .await?;
    let (tar, n_files) = (temporary()?, files.len() as u64);
    let written = tokio::task::spawn_blocking(move || write_tar(&files, contents, tar)).await;
    let file = match written {
        Ok(Ok(file)) => file,
        Ok(Err(source)) => {
            return Err(RepoError::Io { action: "write", path: "the archive".into(), source });
        }
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    Ok(Archive { file, n_files, submodules: submodules.into_iter().map(|entry| entry.path).collect() })
}

/// Goes through the output of `cat-file --batch` (`<id> SP <type> SP <size> LF <content> LF`) and the entries side by side.
fn write_tar(entries: &[TreeEntry], mut contents: File, tar: File) -> std::io::Result<File> {
    contents.seek(SeekFrom::Start(0))?;
    let mut contents = BufReader::new(contents);
    let mut builder = tar::Builder::new(BufWriter::new(tar));
    let mut head = String::new();
    for entry in entries {
        head.clear();
        contents.read_line(&mut head)?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or_else(|| std::io::Error::other(format!("git has no blob {}", entry.blob)))?;
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        match entry.kind {
            EntryKind::Symlink => {
                let mut target = vec![0; usize::try_from(size).unwrap_or(0)];
                contents.read_exact(&mut target)?;
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                builder.append_link(&mut header, &entry.path, String::from_utf8_lossy(&target).as_ref())?;
            }
            EntryKind::File | EntryKind::Executable | EntryKind::Submodule => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(if entry.kind == EntryKind::Executable { 0o755 } else { 0o644 });
                header.set_size(size);
                builder.append_data(&mut header, &entry.path, (&mut contents).take(size))?;
            }
        }
        contents.read_exact(&mut [0])?;
    }
    let mut writer = builder.into_inner()?;
    writer.flush()?;
    let mut file = writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}
