//! Keeps the first and the last part of a stream of any length in bounded memory.

use std::collections::VecDeque;

/// The first and the last half of `cap` bytes of what was pushed.
#[derive(Debug)]
pub(super) struct Capture {
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    n_dropped: u64,
}

impl Capture {
    pub(super) const fn new(cap: usize) -> Self {
        Self { half: cap / 2, head: Vec::new(), tail: VecDeque::new(), n_dropped: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (to_head, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(to_head);
        // Of a piece longer than the tail only its end can stay.
        let (skipped, kept) = rest.split_at(rest.len().saturating_sub(self.half));
        let n_overflow = (self.tail.len() + kept.len()).saturating_sub(self.half);
        self.tail.drain(..n_overflow);
        self.tail.extend(kept);
        self.n_dropped += (skipped.len() + n_overflow) as u64;
    }

    /// The bytes kept, with a note where some are missing, and how many are missing.
    pub(super) fn finish(self) -> (Vec<u8>, u64) {
        let mut bytes = self.head;
        if self.n_dropped > 0 {
            bytes.extend_from_slice(format!("\n[... {} bytes left out ...]\n", self.n_dropped).as_bytes());
        }
        bytes.extend(self.tail);
        (bytes, self.n_dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cap: usize, pieces: &[&str], expected: &str, n_dropped: u64) {
        let mut capture = Capture::new(cap);
        for piece in pieces {
            capture.push(piece.as_bytes());
        }
        let (bytes, dropped) = capture.finish();
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), dropped), (expected, n_dropped));
    }

    #[test]
    fn keeps_both_ends() {
        check(8, &[], "", 0);
        check(8, &["abc", "defgh"], "abcdefgh", 0);
        check(8, &["abcdefghi"], "abcd\n[... 1 bytes left out ...]\nfghi", 1);
        check(8, &["ab", "cdef", "g", "hijklmnop"], "abcd\n[... 8 bytes left out ...]\nmnop", 8);
        check(8, &["abcdefgh", "i", "j", "k"], "abcd\n[... 3 bytes left out ...]\nhijk", 3);
        check(0, &["abc"], "\n[... 3 bytes left out ...]\n", 3);
    }
}
