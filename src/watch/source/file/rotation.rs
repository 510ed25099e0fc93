//! Where to read on when a name has another file than before: after a rotation, a truncation, or a time away.
//!
//! The file of a place may lie beside its old name (renamed), or a copy of it may (copied, then truncated). What was rotated after it is
//! newer than it and was never read. Only names that a rotation makes are looked at: the file's own with a number or a date.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::debug;

pub(in crate::watch::source) use super::reader::Place;
use super::reader::{PACKED, Reader};
use crate::watch::source::lane::Loss;

/// A short beginning is no proof that a file is a copy of another.
const MIN_COPY_PREFIX: u32 = 16;

/// One this long is, also where the file itself is not there any more.
const LONG_COPY_PREFIX: u32 = 128;

/// What to read, in this order, and what is lost.
#[derive(Debug, Default)]
pub(in crate::watch::source) struct Plan {
    /// The last one has the name now; there is none if nothing has it.
    pub(in crate::watch::source) readers: VecDeque<Reader>,
    pub(in crate::watch::source) loss: Option<Loss>,
}

impl Plan {
    /// Neither the file of the place nor a copy of it is there.
    fn without_it(
        &mut self,
        siblings: &[(PathBuf, SystemTime)],
        place: &Place,
        so_far: ReadSoFar,
    ) -> io::Result<()> {
        let (to, reason) = match so_far {
            ReadSoFar::Partly => ("unknown", "rotated away or truncated before it was read"),
            ReadSoFar::ToEndWhenLastSeen => {
                ("where it was cut", "truncated before what was written last was read")
            }
            ReadSoFar::ToEnd { written_at } => {
                // Removed, or renamed in a way that nobody knows; or rotated so often that it is gone: then there are newer ones.
                let is_newer =
                    |it: &&(PathBuf, SystemTime)| written_at.is_some_and(|written_at| it.1 > written_at);
                for (newer, _) in siblings.iter().filter(is_newer) {
                    self.readers.extend(open_if_there(newer)?);
                }
                if self.readers.is_empty() {
                    return Ok(());
                }
                ("the oldest file that is left", "rotated away before it was read")
            }
        };
        let from = format!("byte {} of inode {}", place.offset, place.inode);
        self.loss = Some(Loss { from, to: to.to_owned(), reason: reason.to_owned() });
        Ok(())
    }
}

/// All files that a name has had and that are still there, oldest first, the one that has it now last.
pub(in crate::watch::source) fn all(path: &Path) -> io::Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for (sibling, _) in siblings(path) {
        readers.extend(open_if_there(&sibling)?);
    }
    readers.extend(open_if_there(path)?);
    Ok(readers)
}

/// What is known of the file of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch::source) enum ReadSoFar {
    /// More of it may be there.
    Partly,
    /// It was read to its end a moment ago, and was cut since: a copy of it may have a little more.
    ToEndWhenLastSeen,
    /// It was read to its end for good, through an open descriptor; this is when it was last written to.
    ToEnd { written_at: Option<SystemTime> },
}

/// Plans how to read on after `place` in the file that had the name `path`.
pub(in crate::watch::source) fn plan(path: &Path, place: &Place, so_far: ReadSoFar) -> io::Result<Plan> {
    let is_drained = matches!(so_far, ReadSoFar::ToEnd { .. });
    let mut current = match Reader::open(path) {
        Ok(reader) => Some(reader),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut plan = Plan::default();
    if *place == Place::NOWHERE {
        plan.readers.extend(current);
        return Ok(plan);
    }
    if let Some(reader) = &mut current
        && !is_drained
        && reader.is_at(place)?
    {
        reader.go_to(place.offset);
        plan.readers.extend(current);
        return Ok(plan);
    }
    let siblings = siblings(path);
    let rotated = find(&siblings, place, current.as_ref())?;
    match rotated {
        Some((sibling_idx, mut reader)) => {
            if !is_drained {
                reader.go_to(place.offset);
                plan.readers.push_back(reader);
            }
            for (newer, _) in &siblings[sibling_idx + 1..] {
                plan.readers.extend(open_if_there(newer)?);
            }
        }
        None => plan.without_it(&siblings, place, so_far)?,
    }
    plan.readers.extend(current);
    Ok(plan)
}

/// The file of the place among the siblings: itself, else a copy of it.
fn find(
    siblings: &[(PathBuf, SystemTime)],
    place: &Place,
    current: Option<&Reader>,
) -> io::Result<Option<(usize, Reader)>> {
    let mut copy = None;
    let mut n_copies = 0;
    let has_inode = |reader: &Reader| reader.place().is_in_file_of(place);
    // A copy is only made of a file that then goes on under its own inode.
    let mut is_truncated = current.is_some_and(has_inode);
    for (sibling_idx, (path, _)) in siblings.iter().enumerate() {
        let Some(reader) = open_if_there(path)? else { continue };
        if reader.is_at(place)? {
            return Ok(Some((sibling_idx, reader)));
        }
        is_truncated |= has_inode(&reader);
        // Compressed, it has another inode and the same content.
        if place.prefix_len >= MIN_COPY_PREFIX && is_packed(path) && reader.has_content_of(place)? {
            return Ok(Some((sibling_idx, reader)));
        }
        // The newest copy: an older one of a file with the same head was copied before.
        if place.prefix_len >= MIN_COPY_PREFIX && reader.has_content_of(place)? {
            n_copies += 1;
            copy = Some((sibling_idx, reader));
        }
    }
    // The inode may be gone, with what the file held after the cut; a beginning this long is proof enough if one file alone has it.
    let is_sure = n_copies == 1 && place.prefix_len >= LONG_COPY_PREFIX;
    Ok(copy.filter(|_| is_truncated || is_sure))
}

fn open_if_there(path: &Path) -> io::Result<Option<Reader>> {
    match Reader::open(path) {
        Ok(reader) => Ok(Some(reader)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // It is being written, or broken for good: then what was in it is lost, and that is told where it is missed.
        Err(error) if is_packed(path) => {
            debug!(path = %path.display(), %error, "a compressed file cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Rotated files of a name, oldest first.
fn siblings(path: &Path) -> Vec<(PathBuf, SystemTime)> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut siblings: Vec<(PathBuf, SystemTime)> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|it| is_rotated_name(name, unpacked_name(it))))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            Some((entry.path(), metadata.modified().ok()?))
        })
        .collect();
    // While a file is being compressed both are there, and only the old one is whole.
    let paths: HashSet<PathBuf> = siblings.iter().map(|(path, _)| path.clone()).collect();
    siblings.retain(|(path, _)| !is_packed(path) || !paths.contains(&path.with_extension("")));
    if siblings.iter().all(|(path, _)| rank(name, path).is_some()) {
        siblings.sort_by_key(|(path, _)| std::cmp::Reverse(rank(name, path)));
    } else {
        siblings.sort_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)));
    }
    siblings
}

/// The number of `app.log.3`, also of `app.log.3.gz`: the higher, the older.
fn rank(name: &str, path: &Path) -> Option<u32> {
    let sibling = unpacked_name(path.file_name()?.to_str()?);
    sibling.strip_prefix(name)?.strip_prefix('.').filter(|it| it.len() < 6)?.parse().ok()
}

fn unpacked_name(name: &str) -> &str {
    name.rsplit_once('.').filter(|(_, ending)| *ending == PACKED).map_or(name, |(name, _)| name)
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == PACKED)
}

/// Whether `sibling` is what a rotation makes of `name`: `app.log.1`, `app.log-20260101`, `app.log.old`, `app-2026-01-01.log`, `app.1.log`.
pub(super) fn is_rotated_name(name: &str, sibling: &str) -> bool {
    let is_mark = |mark: &str| {
        let digits = mark.strip_prefix(['.', '-', '_']).unwrap_or_default();
        matches!(mark, ".old" | ".bak")
            || digits.starts_with(|c: char| c.is_ascii_digit())
                && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | 'T'))
    };
    if sibling.strip_prefix(name).is_some_and(is_mark) {
        return true;
    }
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        let inner = sibling.strip_prefix(stem).and_then(|it| it.strip_suffix(extension));
        inner.and_then(|it| it.strip_suffix('.')).is_some_and(is_mark)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_the_file_s_own_with_a_number_or_a_date() {
        let cases = [
            ("app.log.1", true),
            ("app.log.10", true),
            ("app.log-20260101", true),
            ("app.log.2026-01-01T10:00", true),
            ("app.log.old", true),
            ("app-2026-01-01.log", true),
            ("app.1.log", true),
            ("app.log", false),
            ("app.log.1.gz", false),
            ("app.log.json", false),
            ("app.log.", false),
            ("app-debug.log", false),
            ("other.log.1", false),
            ("app2.log", false),
        ];
        for (sibling, expected) in cases {
            assert_eq!(is_rotated_name("app.log", sibling), expected, "{sibling}");
        }
    }

    /// A folder in which files are written one after the other, each later than the one before.
    struct Folder(tempfile::TempDir, std::cell::Cell<u64>);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap(), std::cell::Cell::new(1_000_000))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.path(name);
            std::fs::write(&path, text).unwrap();
            self.1.set(self.1.get() + 1);
            let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.1.get());
            std::fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        }

        fn rename(&self, from: &str, to: &str) {
            std::fs::rename(self.path(from), self.path(to)).unwrap();
        }

        /// Place after the first `n` bytes of `app.log`.
        fn place(&self, n: u64) -> Place {
            let mut reader = Reader::open(&self.path("app.log")).unwrap();
            reader.go_to(n);
            reader.place()
        }

        /// What is to be read after `place`, file by file, and whether something is lost.
        fn check(&self, place: &Place, so_far: ReadSoFar, expected: &[&str], is_lost: bool) {
            let mut plan = plan(&self.path("app.log"), place, so_far).unwrap();
            let texts: Vec<String> = plan
                .readers
                .iter_mut()
                .map(|reader| {
                    let block = reader.next_block().unwrap().or_else(|| reader.give_rest());
                    block.map_or_else(String::new, |it| String::from_utf8_lossy(&it.text).into_owned())
                })
                .collect();
            assert_eq!(texts, expected);
            assert_eq!(plan.loss.is_some(), is_lost);
        }
    }

    const HEAD: &str = "the head of this very file\n";

    #[test]
    fn the_same_file_is_read_on() {
        let folder = Folder::new();
        folder.write("app.log", HEAD);
        let place = folder.place(27);
        folder.write("app.log", &format!("{HEAD}more\n"));
        folder.check(&place, ReadSoFar::Partly, &["more\n"], false);
    }

    #[test]
    fn a_renamed_file_comes_first_and_what_was_rotated_after_it_next() {
        let folder = Folder::new();
        folder.write("app.log.1", "read long ago, before the place\n");
        folder.write("app.log", &format!("{HEAD}rest\n"));
        let place = folder.place(27);
        folder.rename("app.log.1", "app.log.3");
        folder.rename("app.log", "app.log.2");
        folder.write("app.log.1", "between\n");
        folder.write("app.log", "now\n");
        folder.check(&place, ReadSoFar::Partly, &["rest\n", "between\n", "now\n"], false);
        folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &["between\n", "now\n"], false);
    }

    #[test]
    fn a_compressed_file_is_read_like_the_one_it_was_made_of() {
        use std::io::Write;
        let folder = Folder::new();
        folder.write("app.log", &format!("{HEAD}rest\n"));
        let place = folder.place(27);
        let packed = std::fs::File::create(folder.path("app.log.2.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(format!("{HEAD}rest\n").as_bytes()).unwrap();
        packed.finish().unwrap();
        folder.write("app.log.1", "between\n");
        folder.write("app.log.1.gz", "half of between, not compressed to its end");
        std::fs::remove_file(folder.path("app.log")).unwrap();
        folder.write("app.log", "now\n");
        folder.check(&place, ReadSoFar::Partly, &["rest\n", "between\n", "now\n"], false);
    }

    #[test]
    fn what_was_rotated_away_since_is_a_loss_if_others_came_between() {
        let folder = Folder::new();
        folder.write("app.log", HEAD);
        let place = folder.place(27);
        let written_at = Some(std::fs::metadata(folder.path("app.log")).unwrap().modified().unwrap());
        let so_far = ReadSoFar::ToEnd { written_at };
        folder.rename("app.log", "elsewhere");
        folder.write("app.log.1", "between\n");
        folder.write("app.log", "now\n");
        folder.check(&place, so_far, &["between\n", "now\n"], true);
        std::fs::remove_file(folder.path("app.log.1")).unwrap();
        folder.check(&place, so_far, &["now\n"], false);
    }

    #[test]
    fn a_copy_of_a_truncated_file_has_the_rest() {
        let folder = Folder::new();
        folder.write("app.log", HEAD);
        let place = folder.place(27);
        folder.write("app.log.1", &format!("{HEAD}rest\n"));
        folder.write("app.log", "new\n");
        folder.check(&place, ReadSoFar::Partly, &["rest\n", "new\n"], false);
        folder.check(&place, ReadSoFar::ToEndWhenLastSeen, &["rest\n", "new\n"], false);
        std::fs::remove_file(folder.path("app.log.1")).unwrap();
        folder.check(&place, ReadSoFar::ToEndWhenLastSeen, &["new\n"], true);
        folder.check(&place, ReadSoFar::Partly, &["new\n"], true);
    }

    #[test]
    fn what_is_gone_is_a_loss_unless_it_was_read() {
        let folder = Folder::new();
        folder.write("app.log", HEAD);
        let place = folder.place(20);
        folder.write("keep-the-inode", "x");
        folder.rename("app.log", "elsewhere");
        folder.write("app.log", "new and longer than what was there before\n");
        let new = ["new and longer than what was there before\n"];
        folder.check(&place, ReadSoFar::Partly, &new, true);
        folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &new, false);
        folder.check(&Place::NOWHERE, ReadSoFar::Partly, &new, false);
        std::fs::remove_file(folder.path("app.log")).unwrap();
        folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &[], false);
    }
}
