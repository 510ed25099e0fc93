//! Memory for blocks, used again and again.
//!
//! Reads go to a page's start, which the kernel copies to several times faster than to other addresses; the line that the last block did
//! not finish stands directly below it. Fresh memory of this size would be zeroed by the kernel for every block.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::watch::source::lane::MAX_BLOCK_BYTES;

const PAGE: usize = 4096;

/// Room for an unfinished line. A longer one gets a buffer of its own.
const HEADROOM: usize = 64 << 10;

/// Buffers that are kept while nobody needs them.
const MAX_SPARE: usize = 8;

/// Text shorter than this is copied, so that a line that waits does not keep a whole buffer.
const SMALL: usize = 32 << 10;

static SPARE: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

/// One buffer: an unfinished line can be put below where is read to.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    read_at: usize,
}

/// Gives a buffer back when the last of its text is dropped.
#[derive(Debug)]
struct Lent {
    buffer: Option<Buffer>,
    text: Range<usize>,
}

impl Buffer {
    /// A buffer that begins with this text.
    pub(super) fn with(beginning: &[u8]) -> Self {
        let spare = if beginning.len() <= HEADROOM {
            SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop()
        } else {
            None
        };
        let mut buffer = spare.unwrap_or_else(|| Self::new(beginning.len().max(HEADROOM)));
        let start = buffer.read_at - beginning.len();
        buffer.bytes[start..buffer.read_at].copy_from_slice(beginning);
        buffer
    }

    fn new(headroom: usize) -> Self {
        let mut bytes = vec![0; headroom + PAGE + MAX_BLOCK_BYTES];
        let read_at = headroom + bytes[headroom..].as_ptr().align_offset(PAGE).min(PAGE);
        bytes.truncate(read_at + MAX_BLOCK_BYTES);
        Self { bytes, read_at }
    }

    /// Where to read to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.read_at..]
    }

    /// What was read.
    pub(super) fn read(&self, n_read: usize) -> &[u8] {
        &self.bytes[self.read_at..self.read_at + n_read]
    }

    /// The text from so many bytes before what was read to so many bytes behind its start.
    pub(super) fn into_text(self, n_before: usize, n_read: usize) -> Bytes {
        let text = self.read_at - n_before..self.read_at + n_read;
        if text.len() < SMALL {
            let copy = Bytes::copy_from_slice(&self.bytes[text]);
            self.give_back();
            return copy;
        }
        Bytes::from_owner(Lent { buffer: Some(self), text })
    }

    /// Keeps the buffer for the next one who needs one.
    pub(super) fn give_back(self) {
        let is_ordinary = self.bytes.len() <= HEADROOM + PAGE + MAX_BLOCK_BYTES;
        let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
        if is_ordinary && spare.len() < MAX_SPARE {
            spare.push(self);
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.bytes[self.text.clone()])
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            buffer.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_before_what_is_read_at_the_start_of_a_page() {
        for beginning in [vec![], b"begun ".to_vec(), vec![b'x'; HEADROOM], vec![b'x'; 3 * HEADROOM]] {
            for len in [4, MAX_BLOCK_BYTES] {
                let mut buffer = Buffer::with(&beginning);
                assert_eq!(buffer.room().as_ptr().align_offset(PAGE), 0);
                assert_eq!(buffer.room().len(), MAX_BLOCK_BYTES);
                buffer.room()[..len].fill(b'y');
                let text = buffer.into_text(beginning.len(), len);
                assert_eq!(text, [beginning.clone(), vec![b'y'; len]].concat());
            }
        }
    }
}
