//! Blocks of whole lines from a reader.
//!
//! Reads go to an address at a page's start, which the kernel copies to several times faster than to others; the line
//! that a block does not finish is kept in the headroom below the next read.

use std::io::{self, Read};
use std::ops::Range;

/// Bytes asked for at once.
pub(super) const BLOCK_BYTES: usize = 512 * 1024;

/// Lines are cut here before they are even unwrapped; what follows is read and dropped.
const MAX_RAW_LINE: usize = 4 << 20;

const PAGE: usize = 4096;

/// Gives the blocks of one reader. See the module's documentation.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    input: R,
    block_bytes: usize,
    buffer: Vec<u8>,
    /// Where reads go: at the start of a page, with room for the unfinished line below.
    read_at: usize,
    /// The unfinished line.
    carry: Range<usize>,
    /// The unfinished line is longer than it may be; its rest is dropped.
    is_dropping: bool,
    is_done: bool,
    n_bytes: u64,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(input: R, block_bytes: usize) -> Self {
        let mut blocks = Self {
            input,
            block_bytes,
            buffer: Vec::new(),
            read_at: 0,
            carry: 0..0,
            is_dropping: false,
            is_done: false,
            n_bytes: 0,
        };
        blocks.make_room(PAGE);
        blocks
    }

    /// Bytes read so far.
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// The next lines, whole, the last one with its line break unless the input ends without; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        while !self.is_done {
            if self.carry.len() > self.read_at {
                self.make_room(self.carry.len() * 2);
            }
            let start = self.read_at - self.carry.len();
            self.buffer.copy_within(self.carry.clone(), start);
            self.carry = start..self.read_at;
            let n_read = match self.input.read(&mut self.buffer[self.read_at..]) {
                Ok(n_read) => n_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.n_bytes += n_read as u64;
            if n_read == 0 {
                self.is_done = true;
                let last = std::mem::replace(&mut self.carry, 0..0);
                return Ok((!last.is_empty()).then(|| &self.buffer[last]));
            }
            if let Some(block) = self.cut(self.read_at..self.read_at + n_read) {
                return Ok(Some(&self.buffer[block]));
            }
        }
        Ok(None)
    }

    /// The whole lines in the unfinished line and what was read behind it; the rest becomes the unfinished line.
    fn cut(&mut self, read: Range<usize>) -> Option<Range<usize>> {
        let mut start = self.carry.start;
        if self.is_dropping {
            let end = memchr::memchr(b'\n', &self.buffer[read.clone()])?;
            // The kept beginning moves up to the line break.
            start += end;
            self.buffer.copy_within(self.carry.clone(), start);
            self.is_dropping = false;
        }
        match memchr::memrchr(b'\n', &self.buffer[read.clone()]) {
            Some(end) => {
                let end = read.start + end + 1;
                self.carry = end..read.end;
                Some(start..end)
            }
            None => {
                self.is_dropping = read.end - start > MAX_RAW_LINE;
                self.carry = start..if self.is_dropping { start + MAX_RAW_LINE } else { read.end };
                None
            }
        }
    }

    /// Makes at least `headroom` bytes below the place that reads go to, and keeps the unfinished line.
    fn make_room(&mut self, headroom: usize) {
        let carried = self.buffer[self.carry.clone()].to_vec();
        self.buffer = vec![0; headroom + PAGE + self.block_bytes];
        let to_page = self.buffer[headroom..].as_ptr().align_offset(PAGE).min(PAGE);
        self.read_at = headroom + to_page;
        self.buffer.truncate(self.read_at + self.block_bytes);
        self.carry = self.read_at - carried.len()..self.read_at;
        self.buffer[self.carry.clone()].copy_from_slice(&carried);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out at most `step` bytes at a time.
    struct Slow<'t>(&'t [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(buffer.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read_all(text: &[u8], step: usize, block_bytes: usize) -> Vec<Vec<u8>> {
        let mut blocks = Blocks::new(Slow(text, step), block_bytes);
        let mut all = Vec::new();
        while let Some(block) = blocks.next().unwrap() {
            all.push(block.to_vec());
        }
        assert_eq!(blocks.n_bytes(), text.len() as u64);
        all
    }

    #[test]
    fn blocks_are_whole_lines_and_together_the_text() {
        let text = b"one\ntwo\n\nthree is longer\nfour".as_slice();
        for step in 1..40 {
            for block_bytes in [1, 2, 3, 7, 64] {
                let blocks = read_all(text, step, block_bytes);
                assert_eq!(blocks.concat(), text, "step {step}, block {block_bytes}");
                let (last, whole) = blocks.split_last().unwrap();
                assert!(whole.iter().all(|block| block.ends_with(b"\n")), "step {step}, block {block_bytes}");
                assert_eq!(last, b"four");
            }
        }
        assert!(read_all(b"", 8, 64).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut_and_what_follows_is_kept() {
        let text = [b"a\n".as_slice(), &b"x".repeat(3 * MAX_RAW_LINE), b"\nerror: b\nc"].concat();
        for step in [BLOCK_BYTES, 100_000, 7_654_321] {
            let all = read_all(&text, step, BLOCK_BYTES).concat();
            let lines: Vec<_> = all.split(|byte| *byte == b'\n').collect();
            assert_eq!(
                lines.iter().map(|line| line.len() > 100).collect::<Vec<_>>(),
                [false, true, false, false]
            );
            assert!(
                (MAX_RAW_LINE..=MAX_RAW_LINE + BLOCK_BYTES).contains(&lines[1].len()),
                "{}",
                lines[1].len()
            );
            assert_eq!(
                (lines[0], lines[2], lines[3]),
                (b"a".as_slice(), b"error: b".as_slice(), b"c".as_slice())
            );
        }
    }

    #[test]
    fn reads_go_to_the_start_of_a_page() {
        let blocks = Blocks::new(io::empty(), BLOCK_BYTES);
        assert_eq!(blocks.buffer[blocks.read_at..].as_ptr().align_offset(PAGE), 0);
    }
}
