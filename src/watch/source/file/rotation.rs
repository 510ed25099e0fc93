//! Where to read on when a name has another file than before: after a rotation, a truncation, or a time away.
//!
//! The file of a place may lie beside its old name (renamed), or a copy of it may (copied, then truncated). What was rotated after it is
//! newer than it and was never read. Only names that a rotation makes are looked at: the file's own with a number or a date.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::debug;

use super::folder;
pub(in crate::watch::source) use super::reader::Place;
use super::reader::{PACKED, Reader, hash};
use crate::watch::source::lane::Loss;

/// A short beginning is no proof that a file is a copy of another.
const MIN_COPY_PREFIX: u32 = 16;

/// One this long is, also where the file itself is not there any more.
const LONG_COPY_PREFIX: u32 = 128;

/// Why what follows a copy may be lost.
const BETWEEN_COPY_AND_CUT: &str = "copied and cut: what was written between the two is lost";

/// Plans that are made anew because files were renamed meanwhile.
const MAX_PLANS: usize = 5;

/// What to read, in this order, and what is lost.
#[derive(Debug, Default)]
pub(in crate::watch::source) struct Plan {
    /// The last one has the name now; there is none if nothing has it.
    pub(in crate::watch::source) readers: VecDeque<Reader>,
    pub(in crate::watch::source) loss: Option<Loss>,
    lost: Option<Lost>,
}

/// A loss whose end is not known yet.
#[derive(Debug)]
struct Lost {
    from: Place,
    reason: &'static str,
    /// It lies behind a copy, and behind each copy made after it.
    is_behind_copy: bool,
}

impl Plan {
    /// Neither the file of the place nor a copy of it is there: those are read that came after it. Gives which file came before the first.
    fn without_it(
        &mut self,
        siblings: &[Sibling],
        place: &Place,
        current: Option<&Reader>,
        so_far: ReadSoFar,
    ) -> io::Result<u64> {
        let has_inode = |it: &Reader| it.place().is_in_file_of(place);
        // What is packed is another file, even if it was given an inode that was free again.
        let of_its_inode = siblings.iter().position(|it| it.inode == place.inode && !is_packed(&it.path));
        let after_before = after_the_one_before(siblings, place)?;
        // So is the one that has its inode now, where the file before the one of the place is gone: then everything as old is.
        let of_its_inode = of_its_inode.filter(|_| after_before.is_some() || place.before == 0);
        let is_cut = current.is_some_and(has_inode) || of_its_inode.is_some();
        let newer: Vec<&Sibling> = match (after_before, of_its_inode) {
            (Some(newer), _) => newer.iter().collect(),
            // It was cut before it was renamed, or is another file with the same inode: what it has is new, and so is what came after.
            (None, Some(sibling_idx)) => siblings[sibling_idx..].iter().collect(),
            (None, None) => {
                // Where the one before is gone too, all that are left are newer: rotators remove the oldest. Unless people did, which the
                // time tells; and but for a file that was only cut, of which copies would have been found.
                let is_newer = |it: &&Sibling| match so_far {
                    ReadSoFar::ToEnd { written_at } => written_at.is_some_and(|at| it.modified > at),
                    ReadSoFar::Partly => place.before != 0 && !is_cut,
                    ReadSoFar::ToEndWhenLastSeen { .. } => false,
                };
                siblings.iter().filter(is_newer).collect()
            }
        };
        let mut before = place.before;
        let mut is_first = true;
        for sibling in newer {
            let Some(reader) = sibling.open()? else { continue };
            // A copy that has less than the beginning by which it would be known, and so nothing that was not read.
            let is_itself = sibling.inode == place.inode;
            if is_cut && is_first && !is_itself && reader.len()? < u64::from(place.prefix_len) {
                if reader.place().prefix_len > 0 {
                    (before, is_first) = (reader.place().prefix_hash, false);
                }
                continue;
            }
            is_first = false;
            self.readers.push_back(reader);
        }
        let reason = match so_far {
            ReadSoFar::Partly => "rotated away or truncated before it was read",
            ReadSoFar::ToEndWhenLastSeen { .. } => "truncated before what was written last was read",
            // Removed, or renamed in a way that nobody knows; or rotated so often that it is gone: then there are newer ones.
            ReadSoFar::ToEnd { .. } if self.readers.is_empty() => return Ok(before),
            ReadSoFar::ToEnd { .. } => "rotated away before it was read",
        };
        self.lost = Some(Lost { from: *place, reason, is_behind_copy: false });
        Ok(before)
    }

    /// Notes what came before the first file. Those after it are told when it was read to its end.
    fn set_before(&mut self, before: u64) {
        if let Some(first) = self.readers.front_mut() {
            first.set_before(before);
        }
    }

    /// Puts the loss in words, as far as where reading goes on behind it.
    fn with_loss(mut self, has_current: bool) -> Self {
        let Some(Lost { from, reason, is_behind_copy }) = self.lost.take() else { return self };
        let next = match is_behind_copy {
            true => self.readers.back().filter(|_| has_current),
            false => self.readers.front(),
        };
        let next = next.map(Reader::place);
        let to = next.map_or_else(|| "whatever comes next".to_owned(), |next| in_words(&next));
        self.loss = Some(Loss { from: in_words(&from), to, reason: reason.to_owned(), of_stream: None });
        self
    }
}

fn in_words(place: &Place) -> String {
    format!("byte {} of inode {}", place.offset, place.inode)
}

/// The files that came after the one that had the name before that of a place; `None` where it is gone too, or not known.
fn after_the_one_before<'s>(siblings: &'s [Sibling], place: &Place) -> io::Result<Option<&'s [Sibling]>> {
    for (sibling_idx, sibling) in siblings.iter().enumerate().rev() {
        let Some(Place { prefix_hash, prefix_len, .. }) = sibling.open()?.map(|it| it.place()) else {
            continue;
        };
        if prefix_len > 0 && prefix_hash == place.before {
            return Ok(Some(&siblings[sibling_idx + 1..]));
        }
    }
    Ok(None)
}

/// Copies of a file of which nothing was given yet: it was cut after each of them was made. `None` where that did not happen.
///
/// A file is known again by its beginning, which says nothing where it was read when it was empty. But the file before it is known, and
/// what has come since between the two can only be copies of this one.
///
/// # Errors
/// A file cannot be read.
pub(super) fn copied_unread(path: &Path, reader: &Reader) -> io::Result<Option<Plan>> {
    let place = reader.place();
    let siblings = siblings(path);
    let newer = match after_the_one_before(&siblings, &place)? {
        Some(newer) => newer,
        None if place.before == hash(b"") => &siblings[..],
        None => return Ok(None),
    };
    let mut plan = Plan::default();
    for sibling in newer.iter().take_while(|it| it.inode != place.inode) {
        let Some(mut copy) = sibling.open()?.filter(|it| it.place().prefix_len > 0) else { continue };
        copy.set_copy();
        plan.readers.push_back(copy);
    }
    // The last one may be in the making, or what it was made of is not cut yet.
    if let Some(last) = plan.readers.back()
        && reader.begins_as(&last.place())?
        && last.len()? <= reader.len()?
    {
        plan.readers.pop_back();
    }
    let Some(oldest) = plan.readers.front() else { return Ok(None) };
    let from = Place { offset: oldest.len()?, ..oldest.place() };
    plan.set_before(place.before);
    let to = Place { offset: 0, ..place };
    plan.loss = Some(Loss {
        from: in_words(&from),
        to: in_words(&to),
        reason: BETWEEN_COPY_AND_CUT.to_owned(),
        of_stream: None,
    });
    Ok(Some(plan))
}

/// Hash of the beginning of the newest file that had the name before, of no bytes if none had: what [`Place::before`] is at first.
pub(super) fn before(path: &Path) -> io::Result<u64> {
    for sibling in siblings(path).iter().rev() {
        if let Some(reader) = sibling.open()?
            && reader.place().prefix_len > 0
        {
            return Ok(reader.place().prefix_hash);
        }
    }
    Ok(hash(b""))
}

/// All files that a name has had and that are still there, oldest first, the one that has it now last.
pub(in crate::watch::source) fn all(path: &Path) -> io::Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for sibling in siblings(path) {
        readers.extend(sibling.open()?);
    }
    readers.extend(open_if_there(path)?);
    Ok(readers)
}

/// What is known of the file of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch::source) enum ReadSoFar {
    /// More of it may be there.
    Partly,
    /// It was read to its end a moment ago, and was cut since: a copy of it may have a little more. Where the writer was quiet for long
    /// before, it is not held to have written just between the copy and the cut.
    ToEndWhenLastSeen { is_quiet: bool },
    /// It was read to its end for good, through an open descriptor; this is when it was last written to.
    ToEnd { written_at: Option<SystemTime> },
}

/// Plans how to read on after `place` in the file that had the name `path`.
///
/// # Errors
/// A file cannot be read, or files are being renamed just now: then the next plan finds them.
pub(in crate::watch::source) fn plan(path: &Path, place: &Place, so_far: ReadSoFar) -> io::Result<Plan> {
    let names = || {
        let inode = std::fs::metadata(path).map_or(0, |it| it.ino());
        (inode, siblings(path).into_iter().map(|it| (it.path, it.inode)).collect::<Vec<_>>())
    };
    for _ in 0..MAX_PLANS {
        let before = names();
        let plan = plan_once(path, place, so_far)?;
        if names() == before {
            return Ok(plan);
        }
    }
    Err(io::Error::other("files are being renamed all the time"))
}

fn plan_once(path: &Path, place: &Place, so_far: ReadSoFar) -> io::Result<Plan> {
    let is_drained = matches!(so_far, ReadSoFar::ToEnd { .. });
    // Asked first: what comes beside it from now on is newer than it.
    let before_it = if *place == Place::NOWHERE { before(path)? } else { 0 };
    let mut current = match Reader::open(path) {
        Ok(reader) => Some(reader),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mut plan = Plan::default();
    if *place == Place::NOWHERE {
        plan.readers.extend(current);
        plan.set_before(before_it);
        return Ok(plan);
    }
    if let Some(reader) = &mut current
        && !is_drained
        && reader.is_at(place)?
    {
        reader.go_to(place.offset);
        reader.set_before(place.before);
        plan.readers.extend(current);
        return Ok(plan);
    }
    let has_current = current.is_some();
    let siblings = siblings(path);
    let rotated = find(&siblings, place, current.as_ref())?;
    let before = match rotated {
        Some((sibling_idx, mut reader)) => {
            let is_copy = is_copy(&reader, &siblings[sibling_idx], place, current.as_ref());
            let Place { prefix_len, prefix_hash, .. } = reader.place();
            let before = if is_drained && prefix_len > 0 { prefix_hash } else { place.before };
            if is_copy {
                reader.set_copy();
            }
            plan.lost = if is_copy { lost_behind_copy(&reader, place, so_far)? } else { None };
            if !is_drained {
                reader.go_to(place.offset.min(reader.len()?));
                plan.readers.push_back(reader);
            }
            for newer in &siblings[sibling_idx + 1..] {
                plan.readers.extend(newer.open()?);
            }
            before
        }
        None => plan.without_it(&siblings, place, current.as_ref(), so_far)?,
    };
    plan.readers.extend(current);
    plan.set_before(before);
    Ok(plan.with_loss(has_current))
}

/// Whether a file that has what the place's file had is a copy, made before that was cut. What is packed may also have been renamed before;
/// then the inode can have been given to the file that has the name now, but not before.
fn is_copy(found: &Reader, sibling: &Sibling, place: &Place, current: Option<&Reader>) -> bool {
    let has_inode = |it: &&Reader| it.place().is_in_file_of(place);
    if !is_packed(&sibling.path) {
        return !has_inode(&found);
    }
    let created = current.filter(has_inode).and_then(|it| it.metadata().ok()?.created().ok());
    created.is_some_and(|created| created < sibling.modified)
}

/// What was written after a copy was made, and was not read before the cut, is nowhere.
fn lost_behind_copy(copy: &Reader, place: &Place, so_far: ReadSoFar) -> io::Result<Option<Lost>> {
    let end = copy.len()?;
    let is_whole = match so_far {
        ReadSoFar::Partly => false,
        ReadSoFar::ToEndWhenLastSeen { is_quiet } => is_quiet && end <= place.offset,
        ReadSoFar::ToEnd { .. } => true,
    };
    let from = if end < place.offset { *place } else { Place { offset: end, ..copy.place() } };
    Ok((!is_whole).then_some(Lost { from, reason: BETWEEN_COPY_AND_CUT, is_behind_copy: true }))
}

/// The file of the place among the siblings: itself, else a copy of it.
fn find(
    siblings: &[Sibling],
    place: &Place,
    current: Option<&Reader>,
) -> io::Result<Option<(usize, Reader)>> {
    let (mut copy, mut short_copy) = (None, None);
    let mut n_copies = 0;
    let has_inode = |reader: &Reader| reader.place().is_in_file_of(place);
    // A copy is only made of a file that then goes on under its own inode.
    let mut is_truncated = current.is_some_and(has_inode);
    for (sibling_idx, sibling) in siblings.iter().enumerate() {
        let Some(reader) = sibling.open()? else { continue };
        if reader.is_at(place)? {
            return Ok(Some((sibling_idx, reader)));
        }
        is_truncated |= has_inode(&reader);
        // Compressed, it has another inode and the same content.
        if place.prefix_len >= MIN_COPY_PREFIX && is_packed(&sibling.path) && reader.has_content_of(place)? {
            return Ok(Some((sibling_idx, reader)));
        }
        // The newest copy: an older one of a file with the same head was copied before.
        if place.prefix_len >= MIN_COPY_PREFIX && reader.has_content_of(place)? {
            n_copies += 1;
            copy = Some((sibling_idx, reader));
        } else if place.prefix_len >= MIN_COPY_PREFIX && reader.begins_as(place)? {
            // Made before the last of it was read.
            short_copy = Some((sibling_idx, reader));
        }
    }
    // The inode may be gone, with what the file held after the cut; a beginning this long is proof enough if one file alone has it.
    let is_sure = n_copies == 1 && place.prefix_len >= LONG_COPY_PREFIX;
    Ok(copy.filter(|_| is_truncated || is_sure).or(short_copy.filter(|_| is_truncated)))
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

/// A rotated file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sibling {
    path: PathBuf,
    modified: SystemTime,
    inode: u64,
}

impl Sibling {
    fn open(&self) -> io::Result<Option<Reader>> {
        open_if_there(&self.path)
    }
}

/// Files that a rotation made of the one of this name, with the times of their last writes, oldest first.
pub fn rotated(path: &Path) -> Vec<(PathBuf, SystemTime)> {
    siblings(path).into_iter().map(|it| (it.path, it.modified)).collect()
}

/// Rotated files of a name, oldest first.
fn siblings(path: &Path) -> Vec<Sibling> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // Every rotated name begins with this.
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let names = folder::names(folder, stem).into_iter();
    let mut siblings: Vec<Sibling> = names
        .filter(|sibling| is_rotated_name(name, unpacked_name(sibling)))
        .filter_map(|sibling| {
            let path = folder.join(sibling);
            let metadata = std::fs::symlink_metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
            Some(Sibling { path, modified: metadata.modified().ok()?, inode: metadata.ino() })
        })
        .collect();
    // While a file is being compressed both are there, and only the old one is whole.
    let paths: HashSet<PathBuf> = siblings.iter().map(|it| it.path.clone()).collect();
    siblings.retain(|it| !is_packed(&it.path) || !paths.contains(&it.path.with_extension("")));
    if siblings.iter().all(|it| rank(name, &it.path).is_some()) {
        siblings.sort_by_key(|it| std::cmp::Reverse(rank(name, &it.path)));
    } else {
        siblings.sort_by(|a, b| a.modified.cmp(&b.modified).then_with(|| b.path.cmp(&a.path)));
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
mod tests;
