//! Takes in a tree that comes from a container, as a tar, by rules that no entry can talk its way around.
//!
//! Nothing is ever followed: no symlink is made, no path leaves the folder, no file is written twice. What is refused is named, so
//! that a report can say so; only a breach of the size limits ends the whole.

use std::collections::BTreeSet;
use std::fs::{OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::RepoError;

/// What may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most entries.
    pub max_files: u64,
    /// Most bytes, all files together.
    pub max_bytes: u64,
    /// Most bytes of one file; a larger one is refused alone.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_files: 100_000, max_bytes: 1 << 30, max_file_bytes: 64 << 20 }
    }
}

/// One entry that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As in the tar, cut to 200 characters, control characters replaced.
    pub path: String,
    pub reason: &'static str,
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    pub n_files: u64,
    pub n_bytes: u64,
    /// The first [`MAX_REFUSALS`].
    pub refused: Vec<Refusal>,
    /// Whole paths of the refused entries that have a sound one.
    pub(super) refused_paths: Vec<String>,
}

/// Refusals that are named; more are only left out.
pub const MAX_REFUSALS: usize = 50;

/// What the base tree holds besides plain files.
#[derive(Debug, Clone, Default)]
pub(super) struct Special {
    pub(super) symlinks: BTreeSet<String>,
    pub(super) submodules: BTreeSet<String>,
}

/// Writes the entries of `tar` into `folder`, which must hold nothing but a `.git`.
pub(super) fn take_in(
    tar: impl Read,
    folder: &Path,
    special: &Special,
    limits: &Limits,
) -> Result<Taken, RepoError> {
    // Headers and padding come on top of the files; a stream far over the limit is not read to its end.
    let ceiling = limits.max_bytes.saturating_add(limits.max_files.saturating_mul(2048));
    let mut archive = tar::Archive::new(tar.take(ceiling));
    let broken = RepoError::io("read the files from a container into", folder);
    let entries = archive.entries().map_err(broken)?;
    let mut taken = Taken::default();
    let mut seen = BTreeSet::new();
    for entry in entries {
        let mut entry = entry.map_err(RepoError::io("read the files from a container into", folder))?;
        let kind = entry.header().entry_type();
        let raw = entry.path_bytes().into_owned();
        let path = match sound_path(&raw) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(reason) => {
                refuse(&mut taken, &String::from_utf8_lossy(&raw), None, reason);
                continue;
            }
        };
        if kind == tar::EntryType::Directory {
            continue;
        }
        taken.n_files += 1;
        if taken.n_files > limits.max_files {
            return Err(RepoError::TooLarge { limit: limits.max_files, unit: "files" });
        }
        if let Some(reason) = objection(kind, &path, entry.size(), special, limits)
            .or_else(|| (!seen.insert(path.clone())).then_some("the path is there twice"))
        {
            refuse(&mut taken, &path.clone(), Some(path), reason);
            continue;
        }
        taken.n_bytes += entry.size();
        if taken.n_bytes > limits.max_bytes {
            return Err(RepoError::TooLarge { limit: limits.max_bytes, unit: "bytes" });
        }
        let is_executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
        let written = match entry.link_name_bytes() {
            // A symlink that was there before: its target is its content.
            Some(target) if kind.is_symlink() => write(folder, &path, &mut target.as_ref(), false),
            _ => write(folder, &path, &mut entry, is_executable),
        };
        match written {
            Ok(()) => {}
            // A file where a folder must be, a name too long for this file system: that entry's fault, not the host's.
            Err(error) if is_fault_of_entry(&error) => {
                refuse(&mut taken, &path.clone(), Some(path), "it cannot be written under this name");
            }
            Err(error) => return Err(RepoError::io("write into", folder)(error)),
        }
    }
    Ok(taken)
}

/// Why an entry with a sound path is left out.
fn objection(
    kind: tar::EntryType,
    path: &str,
    size: u64,
    special: &Special,
    limits: &Limits,
) -> Option<&'static str> {
    let is_inside = |folder: &String| {
        path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if special.submodules.iter().any(is_inside) {
        return Some("it lies in a submodule");
    }
    match (kind.is_symlink(), special.symlinks.contains(path)) {
        (true, true) => return None,
        (true, false) => return Some("it is a new symlink"),
        (false, true) => return Some("it replaces a symlink"),
        (false, false) => {}
    }
    if !matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
        return Some("it is not a plain file");
    }
    (size > limits.max_file_bytes).then_some("it is too large")
}

/// Whether a file of a repository can go into a container and come back: its path is one that [`take_in`] accepts.
pub(super) fn can_return(path: &str) -> bool {
    matches!(sound_path(path.as_bytes()), Ok(Some(sound)) if sound == path)
}

/// The path inside the folder; `Ok(None)` for what belongs to git or is the folder itself.
fn sound_path(raw: &[u8]) -> Result<Option<String>, &'static str> {
    let path = std::str::from_utf8(raw).map_err(|_| "its path is not UTF-8")?;
    if path.starts_with('/') {
        return Err("its path is absolute");
    }
    if path.len() > 1000 {
        return Err("its path is too long");
    }
    if path.contains(|c: char| c.is_control()) {
        return Err("its path has control characters");
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("its path leads out of the folder"),
            part if part.eq_ignore_ascii_case(".git") => return Ok(None),
            part => parts.push(part),
        }
    }
    Ok(if parts.is_empty() { None } else { Some(parts.join("/")) })
}

fn refuse(taken: &mut Taken, shown: &str, path: Option<String>, reason: &'static str) {
    if taken.refused.len() < MAX_REFUSALS {
        let shown = shown.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        taken.refused.push(Refusal { path: shown, reason });
    }
    taken.refused_paths.extend(path);
}

fn write(folder: &Path, path: &str, content: &mut dyn Read, is_executable: bool) -> std::io::Result<()> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    std::io::copy(content, &mut file)?;
    file.flush()?;
    file.set_permissions(Permissions::from_mode(if is_executable { 0o755 } else { 0o644 }))
}

fn is_fault_of_entry(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotADirectory | Kind::IsADirectory | Kind::AlreadyExists | Kind::InvalidFilename
    )
}

#[cfg(test)]
mod tests;
