//! One file, open: which one it is, and its lines in blocks from a place on.
//!
//! A file is known by device and inode, which may be given again to another file, and by a hash of its first bytes, which copies
//! share. It is read by position, so that a name that changes its file does not matter while this one is read. A file that a rotation
//! compressed is read like the one it was made of; it is unpacked when something of it is needed.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::buffer::Buffer;
use crate::base::clock::Timestamp;
use crate::base::metrics;
use crate::watch::source::lane::{Block, Places};

/// First bytes that tell files apart.
const PREFIX_BYTES: usize = 256;

/// A line longer than this is given in pieces.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Room that is kept for unfinished lines.
const KEPT_BYTES: usize = 4 << 10;

/// Ending of the names of compressed files that can be read.
pub(super) const PACKED: &str = "gz";

pub(in crate::watch::source) use crate::model::cursor::FilePlace as Place;

/// Reads one file.
#[derive(Debug)]
pub(in crate::watch::source) struct Reader {
    body: Body,
    /// Where `unread` begins.
    place: Place,
    /// Read from the file and not given yet: no whole line.
    unread: Vec<u8>,
    last_read: LastRead,
    /// Nobody writes to it.
    is_copy: bool,
}

/// What reading last gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastRead {
    /// Nothing, or nothing that can be given.
    Nothing,
    /// Less than was asked for: that was all there is.
    Rest,
    /// All that was asked for.
    Full,
}

#[derive(Debug)]
enum Body {
    Plain(File),
    /// Compressed; its text in a file without a name, once it was needed.
    Packed {
        file: File,
        text: OnceLock<File>,
    },
}

impl Body {
    fn text(&self) -> io::Result<&File> {
        let (file, text) = match self {
            Self::Plain(file) => return Ok(file),
            Self::Packed { file, text } => (file, text),
        };
        if let Some(text) = text.get() {
            return Ok(text);
        }
        let mut unpacked = tempfile::tempfile()?;
        io::copy(&mut MultiGzDecoder::new(BufReader::new(FromStart { file, offset: 0 })), &mut unpacked)?;
        Ok(text.get_or_init(|| unpacked))
    }

    /// The first bytes, as many as there are.
    fn beginning(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut beginning = Vec::with_capacity(len);
        match self {
            Self::Plain(file) => {
                FromStart { file, offset: 0 }.take(len as u64).read_to_end(&mut beginning)?
            }
            Self::Packed { file, .. } => {
                let packed = BufReader::new(FromStart { file, offset: 0 });
                MultiGzDecoder::new(packed).take(len as u64).read_to_end(&mut beginning)?
            }
        };
        Ok(beginning)
    }
}

/// Reads a file by position, whatever its own position is.
struct FromStart<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.file.read_at(buffer, self.offset)?;
        self.offset += n_read as u64;
        Ok(n_read)
    }
}

impl Reader {
    /// Opens a file at its beginning. Anything but a regular file is refused: reading a pipe could block for ever.
    pub(in crate::watch::source) fn open(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let is_packed = path.extension().is_some_and(|it| it == PACKED);
        let body = if is_packed { Body::Packed { file, text: OnceLock::new() } } else { Body::Plain(file) };
        let mut reader = Self {
            body,
            place: Place { device: metadata.dev(), inode: metadata.ino(), ..Place::NOWHERE },
            unread: Vec::new(),
            last_read: LastRead::Nothing,
            is_copy: false,
        };
        reader.learn_prefix()?;
        Ok(reader)
    }

    /// Goes to a place; what was read beyond it is read again.
    pub(in crate::watch::source) fn go_to(&mut self, offset: u64) {
        self.place.offset = offset;
        self.unread.clear();
        self.last_read = LastRead::Nothing;
    }

    /// Goes to the beginning of a file that was cut: what it was known by is gone.
    pub(super) fn begin_anew(&mut self) -> io::Result<()> {
        self.go_to(0);
        self.place.prefix_len = 0;
        self.learn_prefix()
    }

    /// Notes that it was made of the file that is written to.
    pub(super) fn set_copy(&mut self) {
        self.is_copy = true;
    }

    /// Whether it was written to so shortly before `now` that its writer may not have gone on to the next file.
    pub(super) fn may_grow(&self, now: Timestamp, within: Duration) -> bool {
        if self.is_copy || matches!(self.body, Body::Packed { .. }) {
            return false;
        }
        let modified = self.metadata().and_then(|it| it.modified()).ok();
        let age = modified.and_then(|it| Timestamp::try_from(it).ok()).map(|it| now.duration_since(it));
        age.and_then(|age| Duration::try_from(age).ok()).is_some_and(|age| age < within)
    }

    /// Notes which file had the name before this one: the one of this hash.
    pub(super) fn set_before(&mut self, before: u64) {
        self.place.before = before;
    }

    /// The same of a file that was read to its end.
    pub(super) fn come_after(&mut self, last: &Place) {
        self.place.before = if last.prefix_len > 0 { last.prefix_hash } else { last.before };
    }

    /// Everything before it was given.
    pub(in crate::watch::source) fn place(&self) -> Place {
        self.place
    }

    /// How far the file was read, given or not.
    pub(in crate::watch::source) fn n_read(&self) -> u64 {
        self.place.offset + self.unread.len() as u64
    }

    /// Whether the last read gave all that was asked for, so that there is most likely more.
    pub(in crate::watch::source) fn has_more(&self) -> bool {
        self.last_read == LastRead::Full
    }

    /// Whether the last read gave something, and that was all there was. Somebody who writes without a break is not read after any
    /// closer: each further read would find the few bytes written since.
    pub(in crate::watch::source) fn is_caught_up(&self) -> bool {
        self.last_read == LastRead::Rest
    }

    /// Whether a line has begun that has no end yet.
    pub(in crate::watch::source) fn is_within_line(&self) -> bool {
        !self.unread.is_empty()
    }

    pub(in crate::watch::source) fn metadata(&self) -> io::Result<Metadata> {
        match &self.body {
            Body::Plain(file) | Body::Packed { file, .. } => file.metadata(),
        }
    }

    /// Whether the system tells of everything that is written to the file: no other machine can.
    pub(in crate::watch::source) fn is_local(&self) -> bool {
        let (Body::Plain(file) | Body::Packed { file, .. }) = &self.body;
        rustix::fs::fstatfs(file).is_ok_and(|it| is_local(&it))
    }

    /// Bytes of its text.
    pub(in crate::watch::source) fn len(&self) -> io::Result<u64> {
        Ok(self.body.text()?.metadata()?.len())
    }

    /// Bytes that are there and were not read yet, as far as that can be told now.
    pub(in crate::watch::source) fn n_left(&self) -> u64 {
        self.len().map_or(0, |len| len.saturating_sub(self.n_read()))
    }

    /// Reads at a position, without going there.
    pub(in crate::watch::source) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.body.text()?.read_at(buffer, offset)
    }

    /// Whether the file is the one of this place, as far as it was read then.
    pub(in crate::watch::source) fn is_at(&self, place: &Place) -> io::Result<bool> {
        let is_same_inode = (self.place.device, self.place.inode) == (place.device, place.inode);
        Ok(is_same_inode && self.has_content_of(place)?)
    }

    /// Whether the file begins as the one of this place did, and reaches as far.
    pub(in crate::watch::source) fn has_content_of(&self, place: &Place) -> io::Result<bool> {
        if matches!(self.body, Body::Plain(_)) && self.len()? < place.offset {
            return Ok(false);
        }
        Ok(self.begins_as(place)? && self.len()? >= place.offset)
    }

    /// Whether the file begins as the one of this place did.
    pub(super) fn begins_as(&self, place: &Place) -> io::Result<bool> {
        let prefix = self.prefix(place.prefix_len as usize)?;
        Ok(prefix.len() == place.prefix_len as usize && hash(&prefix) == place.prefix_hash)
    }

    /// Whether the file still is what it was when this reader last looked: not cut, not written anew.
    pub(in crate::watch::source) fn is_unchanged(&self) -> io::Result<bool> {
        let read_to = Place { offset: self.n_read(), ..self.place };
        self.has_content_of(&read_to)
    }

    /// The next whole lines, at most [`MAX_BLOCK_BYTES`](crate::watch::source::lane::MAX_BLOCK_BYTES) or one line; `None` when there are
    /// none yet, or when the file was cut or written anew: see [`Reader::is_unchanged`].
    pub(in crate::watch::source) fn next_block(&mut self) -> io::Result<Option<Block>> {
        self.last_read = LastRead::Nothing;
        loop {
            let mut buffer = Buffer::with(&self.unread);
            let n_read = self.body.text()?.read_at(buffer.room(), self.n_read())?;
            let is_full = n_read == buffer.room().len();
            // Asked after reading: what was read from a file that had changed by then may be the middle of anything.
            if n_read == 0 || !self.is_unchanged()? {
                buffer.give_back();
                return Ok(None);
            }
            self.learn_prefix()?;
            let n_before = self.unread.len();
            let read = buffer.read(n_read);
            let n_holes = if n_before == 0 { holes(read) } else { 0 };
            if n_holes > 0 {
                // Nobody wrote them: a writer went on at its old place in a file that was cut, or a machine went down.
                metrics::odd_message("file", "nul");
                self.place.offset += n_holes as u64;
                buffer.give_back();
                continue;
            }
            match memchr::memrchr(b'\n', read) {
                Some(newline) => {
                    self.unread.clear();
                    self.unread.extend_from_slice(&read[newline + 1..]);
                    self.unread.shrink_to(KEPT_BYTES);
                    self.last_read = if is_full { LastRead::Full } else { LastRead::Rest };
                    return Ok(Some(self.give(buffer.into_text(n_before, newline + 1))));
                }
                None => {
                    self.unread.extend_from_slice(read);
                    buffer.give_back();
                }
            }
            if self.unread.len() >= MAX_LINE_BYTES {
                let rest = self.unread.split_off(MAX_LINE_BYTES);
                let piece = std::mem::replace(&mut self.unread, rest);
                self.last_read = if is_full { LastRead::Full } else { LastRead::Rest };
                return Ok(Some(self.give(piece.into())));
            }
        }
    }

    /// The line that has no end: when nothing more is written to the file.
    pub(in crate::watch::source) fn give_rest(&mut self) -> Option<Block> {
        let rest = std::mem::take(&mut self.unread);
        (!rest.is_empty()).then(|| self.give(rest.into()))
    }

    fn give(&mut self, text: Bytes) -> Block {
        let Place { device, inode, prefix_hash, prefix_len, offset, before } = self.place;
        self.place.offset += text.len() as u64;
        Block { text, places: Places::File { device, inode, prefix_hash, prefix_len, offset, before } }
    }

    /// The more of the beginning is there, the better it tells the file from others.
    fn learn_prefix(&mut self) -> io::Result<()> {
        if (self.place.prefix_len as usize) < PREFIX_BYTES {
            let prefix = self.prefix(PREFIX_BYTES)?;
            self.place.prefix_hash = hash(&prefix);
            self.place.prefix_len = u32::try_from(prefix.len()).unwrap_or(0);
        }
        Ok(())
    }

    fn prefix(&self, len: usize) -> io::Result<Vec<u8>> {
        self.body.beginning(len.min(PREFIX_BYTES))
    }
}

/// Whether the system tells of every name that comes and goes in a folder.
pub(super) fn is_local_folder(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|it| is_local(&it))
}

fn is_local(file_system: &rustix::fs::StatFs) -> bool {
    /// Linux' numbers of network file systems: NFS, SMB in its ages, 9P, Ceph, FUSE. Source: `man 2 statfs`.
    const REMOTE: [u64; 7] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x6573_5546];
    let kind = u64::from_ne_bytes(file_system.f_type.to_ne_bytes()) & 0xffff_ffff;
    !REMOTE.contains(&kind)
}

/// NUL bytes at the start of what was read.
fn holes(read: &[u8]) -> usize {
    read.iter().take_while(|byte| **byte == 0).count()
}

/// The first bytes of a hash.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::source::lane::MAX_BLOCK_BYTES;

    /// (offset, text)
    type Blocks = Vec<(u64, Vec<u8>)>;

    /// All blocks of a file, and the line that has no end.
    fn blocks(text: &[u8]) -> (Blocks, Option<Vec<u8>>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut reader = Reader::open(file.path()).unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            let Places::File { offset, .. } = block.places else { panic!("{block:?}") };
            blocks.push((offset, block.text.to_vec()));
        }
        (blocks, reader.give_rest().map(|block| block.text.to_vec()))
    }

    #[test]
    fn blocks_are_whole_lines_without_a_hole() {
        assert_eq!(blocks(b""), (vec![], None));
        assert_eq!(blocks(b"a\nb\nrest"), (vec![(0, b"a\nb\n".to_vec())], Some(b"rest".to_vec())));
        let text: Vec<u8> = (0..100_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let (blocks, rest) = blocks(&text);
        assert!(blocks.len() > 3 && rest.is_none());
        let mut offset = 0;
        for (at, block) in &blocks {
            assert_eq!(*at, offset);
            assert_eq!(block.last(), Some(&b'\n'));
            offset += block.len() as u64;
        }
        assert_eq!(blocks.into_iter().flat_map(|(_, block)| block).collect::<Vec<u8>>(), text);
    }

    #[test]
    fn an_endless_line_comes_in_pieces() {
        let text = [vec![b'x'; MAX_LINE_BYTES * 2 + 10], b"\nnext\n".to_vec()].concat();
        let (blocks, rest) = blocks(&text);
        assert_eq!(rest, None);
        assert_eq!(blocks[0].1.len(), MAX_LINE_BYTES);
        assert!(blocks.iter().all(|(_, block)| block.len() <= MAX_LINE_BYTES + MAX_BLOCK_BYTES));
        assert_eq!(blocks.into_iter().flat_map(|(_, block)| block).collect::<Vec<u8>>(), text);
    }

    #[test]
    fn a_file_is_known_again_by_its_beginning_and_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, "first\n").unwrap();
        let mut reader = Reader::open(&path).unwrap();
        reader.next_block().unwrap().unwrap();
        let place = reader.place();
        assert_eq!((place.offset, place.prefix_len), (6, 6));
        let is_at = || Reader::open(&path).unwrap().is_at(&place).unwrap();

        std::fs::write(&path, "first\nsecond\n").unwrap();
        assert!(is_at() && reader.is_unchanged().unwrap(), "it has grown");
        std::fs::write(&path, "other\nsecond\n").unwrap();
        assert!(!is_at() && !reader.is_unchanged().unwrap(), "it was written anew");
        assert_eq!(reader.next_block().unwrap(), None, "its middle is no line");
        std::fs::write(&path, "firs").unwrap();
        assert!(!is_at() && !reader.is_unchanged().unwrap(), "it was cut");

        let copy = folder.path().join("a.log.1");
        std::fs::write(&copy, "first\nsecond\n").unwrap();
        let copy = Reader::open(&copy).unwrap();
        assert!(copy.has_content_of(&place).unwrap() && !copy.is_at(&place).unwrap());
    }

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Reader::open(folder.path()).is_err());
        assert!(Reader::open(std::path::Path::new("/dev/null")).is_err());
    }
}
