//! Writes a tar that was made in a sandbox anew: below another folder, everything root's, nothing special.
//!
//! What was installed comes from strangers. Unpacked by the engine it must not reach out of its folder: through `..`, through
//! a link that stands where a folder is expected, or as a device or a program with its owner's rights.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use tar::{Builder, Entry, EntryType, Header};

/// Most entries.
const MAX_ENTRIES: usize = 1_000_000;

/// A tar that can be trusted to stay in its folder.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) file: File,
    pub(super) n_bytes: u64,
}

/// Why a tar is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum RepackError {
    #[error("`{0}` does not stay in its folder")]
    Outside(String),
    #[error("it is larger than {0} bytes or {MAX_ENTRIES} files")]
    TooLarge(u64),
    #[error("its archive cannot be copied: {0}")]
    Io(#[from] io::Error),
}

/// Copies `tar` to one whose entries stand below `to`; links that lead to absolute paths below `from` lead there, too.
pub(super) fn repack(tar: File, from: &str, to: &str, max_bytes: u64) -> Result<Packed, RepackError> {
    let to = to.trim_start_matches('/');
    let mut archive = tar::Archive::new(BufReader::with_capacity(256 << 10, tar));
    let mut builder = Builder::new(BufWriter::with_capacity(256 << 10, tempfile::tempfile()?));
    for folder in Path::new(to).ancestors().collect::<Vec<_>>().into_iter().rev() {
        if !folder.as_os_str().is_empty() {
            append(&mut builder, EntryType::Directory, 0o755, 0, folder, None)?;
        }
    }
    let mut copy = Copy { to: PathBuf::from(to), from, links: HashSet::new(), n_bytes: 0, max_bytes };
    for (n_entries, entry) in archive.entries()?.enumerate() {
        if n_entries >= MAX_ENTRIES {
            return Err(RepackError::TooLarge(max_bytes));
        }
        copy.entry(&mut builder, entry?)?;
    }
    let mut file = builder.into_inner()?.into_inner().map_err(|error| error.into_error())?;
    file.flush()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Packed { file, n_bytes: copy.n_bytes })
}

struct Copy<'a> {
    to: PathBuf,
    from: &'a str,
    /// Where something other than a folder or a file stands.
    links: HashSet<PathBuf>,
    n_bytes: u64,
    max_bytes: u64,
}

impl Copy<'_> {
    fn entry<W: Write>(
        &mut self,
        builder: &mut Builder<W>,
        mut entry: Entry<'_, impl io::Read>,
    ) -> Result<(), RepackError> {
        let outside = |path: &Path| RepackError::Outside(path.display().to_string());
        let path = entry.path()?.into_owned();
        let inside = normal(&path).ok_or_else(|| outside(&path))?;
        if inside.as_os_str().is_empty() {
            return Ok(());
        }
        if inside.ancestors().skip(1).any(|folder| self.links.contains(folder)) {
            return Err(outside(&path));
        }
        let target = self.to.join(&inside);
        let header = entry.header();
        let (kind, mtime) = (header.entry_type(), header.mtime().unwrap_or(0));
        let mode = if header.mode().unwrap_or(0) & 0o111 == 0 { 0o644 } else { 0o755 };
        if kind.is_dir() {
            append(builder, kind, 0o755, mtime, &target, None)?;
        } else if kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse() {
            self.n_bytes += entry.size();
            if self.n_bytes > self.max_bytes {
                return Err(RepackError::TooLarge(self.max_bytes));
            }
            let mut header = header_of(EntryType::Regular, mode, mtime);
            header.set_size(entry.size());
            builder.append_data(&mut header, &target, &mut entry)?;
        } else if kind.is_symlink() {
            let link = entry.link_name()?.map(Cow::into_owned).unwrap_or_default();
            let link = match link.strip_prefix(self.from) {
                Ok(rest) => Path::new("/").join(&self.to).join(rest),
                Err(_) => link,
            };
            append(builder, kind, 0o777, mtime, &target, Some(&link))?;
            self.links.insert(inside);
        } else if kind.is_hard_link() {
            let link = entry.link_name()?.map(Cow::into_owned).unwrap_or_default();
            let named = normal(&link).ok_or_else(|| outside(&link))?;
            if named.ancestors().any(|part| self.links.contains(part)) {
                return Err(outside(&link));
            }
            append(builder, kind, mode, mtime, &target, Some(&self.to.join(named)))?;
        }
        // Sockets, devices and queues are nothing that was installed.
        Ok(())
    }
}

/// `./a/b` as `a/b`; `None` for what leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => normal.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}

fn header_of(kind: EntryType, mode: u32, mtime: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    kind: EntryType,
    mode: u32,
    mtime: u64,
    path: &Path,
    link: Option<&Path>,
) -> io::Result<()> {
    let mut header = header_of(kind, mode, mtime);
    match link {
        Some(link) => builder.append_link(&mut header, path, link),
        None => builder.append_data(&mut header, path, io::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One entry of a tar: its kind, path, link and content. Paths are written as they are, however hostile.
    fn tar_of(entries: &[(EntryType, &str, &str, &str)]) -> File {
        let mut builder = Builder::new(tempfile::tempfile().unwrap());
        for (kind, path, link, content) in entries {
            let mut header = header_of(*kind, 0o4755, 7);
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_uid(1000);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_bytes()).unwrap();
        }
        let mut file = builder.into_inner().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn check(entries: &[(EntryType, &str, &str, &str)], expected: Result<&[&str], &str>) {
        let found = repack(tar_of(entries), "/sandbox/out", "/opt/x", 10).map(|packed| {
            let mut archive = tar::Archive::new(packed.file);
            let entries = archive.entries().unwrap().map(|entry| {
                let entry = entry.unwrap();
                let (header, path) = (entry.header(), entry.path().unwrap().display().to_string());
                let link = entry.link_name().unwrap().map(|link| format!(" -> {}", link.display()));
                assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
                format!("{:o} {path}{}", header.mode().unwrap(), link.unwrap_or_default())
            });
            entries.collect::<Vec<_>>()
        });
        let expected = expected
            .map(|it| [&["755 opt", "755 opt/x"], it].concat().iter().map(|it| (*it).to_owned()).collect());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }

    #[test]
    fn what_stays_in_its_folder_is_copied_and_all_else_is_refused() {
        use EntryType::{Block, Directory, Link, Regular, Symlink};
        check(
            &[
                (Directory, "./", "", ""),
                (Directory, "./a", "", ""),
                (Regular, "./a/b", "", "text"),
                (Symlink, "./c", "a/b", ""),
                (Symlink, "./d", "/sandbox/out/a", ""),
                (Link, "./e", "./a/b", ""),
                (Block, "./f", "", ""),
            ],
            Ok(&[
                "755 opt/x/a",
                "755 opt/x/a/b",
                "777 opt/x/c -> a/b",
                "777 opt/x/d -> /opt/x/a",
                "755 opt/x/e -> opt/x/a/b",
            ]),
        );
        let outside = |path: &str| format!("`{path}` does not stay in its folder");
        check(&[(Regular, "../x", "", "")], Err(&outside("../x")));
        check(&[(Regular, "/etc/passwd", "", "")], Err(&outside("/etc/passwd")));
        check(&[(Symlink, "bin", "/bin", ""), (Regular, "bin/sh", "", "x")], Err(&outside("bin/sh")));
        check(&[(Symlink, "bin", "/bin", ""), (Link, "sh", "bin/sh", "")], Err(&outside("bin/sh")));
        check(&[(Link, "x", "../../etc/shadow", "")], Err(&outside("../../etc/shadow")));
        check(
            &[(Regular, "a", "", "123456"), (Regular, "b", "", "123456")],
            Err("it is larger than 10 bytes or 1000000 files"),
        );
    }
}
