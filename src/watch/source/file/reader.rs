//! One file, open: which one it is, and its lines in blocks from a place on.
//!
//! A file is known by device and inode, which may be given again to another file, and by a hash of its first bytes, which copies
//! share. It is read by position, so that a name that changes its file does not matter while this one is read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use bytes::Bytes;

use crate::model::cursor::Cursor;
use crate::watch::source::lane::{Block, MAX_BLOCK_BYTES, Places};

/// First bytes that tell files apart.
const PREFIX_BYTES: usize = 256;

/// A line longer than this is given in pieces.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A place in a file that may have another name by now, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) prefix_hash: u64,
    pub(super) prefix_len: u32,
    pub(super) offset: u64,
}

impl Place {
    /// Committed for a file that was read to its end and removed: whatever has its name next is read from the beginning.
    pub(super) const NOWHERE: Self = Self { device: 0, inode: 0, prefix_hash: 0, prefix_len: 0, offset: 0 };

    pub(super) fn of(cursor: &Cursor) -> Option<Self> {
        match *cursor {
            Cursor::File { device, inode, prefix_hash, prefix_len, offset } => {
                Some(Self { device, inode, prefix_hash, prefix_len, offset })
            }
            Cursor::Docker { .. } | Cursor::Mixed { .. } => None,
        }
    }

    pub(super) fn cursor(self) -> Cursor {
        let Self { device, inode, prefix_hash, prefix_len, offset } = self;
        Cursor::File { device, inode, prefix_hash, prefix_len, offset }
    }
}

/// Reads one file.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    /// Where `unread` begins.
    place: Place,
    /// Read from the file and not given yet: no whole line.
    unread: Vec<u8>,
}

impl Reader {
    /// Opens a file at its beginning. Anything but a regular file is refused: reading a pipe could block for ever.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut reader = Self {
            file,
            place: Place { device: metadata.dev(), inode: metadata.ino(), ..Place::NOWHERE },
            unread: Vec::new(),
        };
        reader.learn_prefix()?;
        Ok(reader)
    }

    /// Goes to a place; what was read beyond it is read again.
    pub(super) fn go_to(&mut self, offset: u64) {
        self.place.offset = offset;
        self.unread.clear();
    }

    /// Everything before it was given.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// How far the file was read, given or not.
    pub(super) fn n_read(&self) -> u64 {
        self.place.offset + self.unread.len() as u64
    }

    /// Whether a line has begun that has no end yet.
    pub(super) fn is_within_line(&self) -> bool {
        !self.unread.is_empty()
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Whether the file is the one of this place, as far as it was read then.
    pub(super) fn is_at(&self, place: &Place) -> io::Result<bool> {
        let is_same_inode = (self.place.device, self.place.inode) == (place.device, place.inode);
        Ok(is_same_inode && self.has_content_of(place)?)
    }

    /// Whether the file begins as the one of this place did, and reaches as far.
    pub(super) fn has_content_of(&self, place: &Place) -> io::Result<bool> {
        if self.metadata()?.len() < place.offset {
            return Ok(false);
        }
        let prefix = self.prefix(place.prefix_len as usize)?;
        Ok(prefix.len() == place.prefix_len as usize && hash(&prefix) == place.prefix_hash)
    }

    /// Whether the file still is what it was when this reader last looked: not cut, not written anew.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        let read_to = Place { offset: self.n_read(), ..self.place };
        self.has_content_of(&read_to)
    }

    /// The next whole lines, at most [`MAX_BLOCK_BYTES`] or one line; `None` when there are none yet, or when the file was cut or
    /// written anew: see [`Reader::is_unchanged`].
    pub(super) fn next_block(&mut self) -> io::Result<Option<Block>> {
        loop {
            let n_before = self.unread.len();
            self.unread.resize(n_before + MAX_BLOCK_BYTES, 0);
            let from = self.place.offset + n_before as u64;
            let read = self.file.read_at(&mut self.unread[n_before..], from);
            self.unread.truncate(n_before + *read.as_ref().unwrap_or(&0));
            let n_read = read?;
            if n_read == 0 {
                return Ok(None);
            }
            // Asked after reading: what was read from a file that had changed by then may be the middle of anything.
            if !self.is_unchanged()? {
                self.unread.truncate(n_before);
                return Ok(None);
            }
            self.learn_prefix()?;
            if let Some(newline) = memchr::memrchr(b'\n', &self.unread[n_before..]) {
                return Ok(Some(self.give(n_before + newline + 1)));
            }
            if self.unread.len() >= MAX_LINE_BYTES {
                return Ok(Some(self.give(MAX_LINE_BYTES)));
            }
        }
    }

    /// The line that has no end: when nothing more is written to the file.
    pub(super) fn give_rest(&mut self) -> Option<Block> {
        (!self.unread.is_empty()).then(|| self.give(self.unread.len()))
    }

    fn give(&mut self, len: usize) -> Block {
        let rest = self.unread.split_off(len);
        let text = Bytes::from(std::mem::replace(&mut self.unread, rest));
        let Place { device, inode, prefix_hash, prefix_len, offset } = self.place;
        self.place.offset += len as u64;
        Block { text, places: Places::File { device, inode, prefix_hash, prefix_len, offset } }
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
        let mut prefix = vec![0; len.min(PREFIX_BYTES)];
        let mut n_read = 0;
        while n_read < prefix.len() {
            match self.file.read_at(&mut prefix[n_read..], n_read as u64)? {
                0 => break,
                n => n_read += n,
            }
        }
        prefix.truncate(n_read);
        Ok(prefix)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let hash = blake3::hash(bytes);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

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
