//! The last lines of a stream in which nothing is open.
//!
//! A trace may begin before the first line that a rule hits: Node prints place, source and caret first, Java's logger
//! its own line. So the joiner is fed only from the first hit on, and then gets these lines before it. Lines that no
//! rule hits cost it nothing, and a whole block without a hit can be left out: its last lines are all that counts.
//! A log line of its own that begins nothing parts what stands before it from what follows, so that most often only a line or two
//! are read again.
//! What is remembered depends only on the last lines themselves, never on how the stream was cut into blocks.

use std::collections::VecDeque;

use crate::base::clock::Timestamp;
use crate::watch::join::Limits;

/// How many lines before the first hit may belong to its record.
pub(super) const MAX_LINES: usize = 16;

/// Bytes kept of them together.
const MAX_BYTES: usize = 64 * 1024;

/// A line with its number and times.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) text: String,
    pub(super) number: u64,
    pub(super) at: Option<Timestamp>,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    lines: VecDeque<Waiting>,
    n_bytes: usize,
    /// Kept for their memory.
    spare: Vec<String>,
}

impl LookBack {
    /// Remembers a line; forgets what is too old, too far away or parted from it by silence.
    pub(super) fn push(&mut self, text: &str, number: u64, at: Option<Timestamp>, limits: &Limits) {
        if self.lines.back().is_some_and(|last| limits.part(last.at, at)) {
            self.clear();
        }
        while self.lines.len() >= MAX_LINES
            || (self.n_bytes + text.len() > MAX_BYTES && !self.lines.is_empty())
        {
            self.pop();
        }
        // A line that would fill it alone is data, not the beginning of a trace.
        if text.len() > MAX_BYTES {
            return;
        }
        let mut kept = self.spare.pop().unwrap_or_default();
        kept.push_str(text);
        self.n_bytes += text.len();
        self.lines.push_back(Waiting { text: kept, number, at });
    }

    /// Forgets the last line that `parts` the earlier ones from what comes now, and those before it.
    pub(super) fn forget_parted(&mut self, mut parts: impl FnMut(&str) -> bool) {
        let n_parted = self.lines.iter().rposition(|line| parts(&line.text)).map_or(0, |it| it + 1);
        for _ in 0..n_parted {
            self.pop();
        }
    }

    /// The oldest line, taken out.
    pub(super) fn take_first(&mut self) -> Option<Waiting> {
        let line = self.lines.pop_front()?;
        self.n_bytes -= line.text.len();
        Some(line)
    }

    /// Gives the memory of a line back.
    pub(super) fn reuse(&mut self, mut text: String) {
        if self.spare.len() < MAX_LINES && text.capacity() <= MAX_BYTES {
            text.clear();
            self.spare.push(text);
        }
    }

    pub(super) fn clear(&mut self) {
        while self.pop() {}
    }

    /// Number of the oldest line.
    pub(super) fn first_number(&self) -> Option<u64> {
        self.lines.front().map(|line| line.number)
    }

    fn pop(&mut self) -> bool {
        let Some(line) = self.take_first() else { return false };
        self.reuse(line.text);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { timeout: std::time::Duration::from_secs(2), ..Limits::default() }
    }

    fn numbers(look_back: &LookBack) -> Vec<u64> {
        look_back.lines.iter().map(|line| line.number).collect()
    }

    #[test]
    fn keeps_the_last_lines_within_its_bounds() {
        let mut look_back = LookBack::default();
        for number in 0..40 {
            look_back.push("a line", number, None, &limits());
        }
        assert_eq!(numbers(&look_back), (24..40).collect::<Vec<_>>());
        look_back.push(&"x".repeat(MAX_BYTES - 12), 40, None, &limits());
        assert_eq!(numbers(&look_back), [38, 39, 40]);
        look_back.push(&"x".repeat(MAX_BYTES + 1), 41, None, &limits());
        assert_eq!((numbers(&look_back), look_back.n_bytes), (vec![], 0));
    }

    #[test]
    fn forgets_what_a_line_of_its_own_parts() {
        let mut look_back = LookBack::default();
        for (number, text) in ["/a.js:1", "INFO served", "/b.js:2", "throw x"].into_iter().enumerate() {
            look_back.push(text, number as u64, None, &limits());
        }
        look_back.forget_parted(|text| text == "nothing");
        assert_eq!(numbers(&look_back), [0, 1, 2, 3]);
        look_back.forget_parted(|line| crate::watch::join::Seen::of(line).parts(line));
        assert_eq!(numbers(&look_back), [2, 3]);
    }

    #[test]
    fn forgets_what_silence_parts() {
        let mut look_back = LookBack::default();
        let second = |it| Timestamp::from_second(it).unwrap();
        look_back.push("a", 0, Some(second(1)), &limits());
        look_back.push("b", 1, Some(second(3)), &limits());
        look_back.push("c", 2, None, &limits());
        look_back.push("d", 3, Some(second(90)), &limits());
        assert_eq!(numbers(&look_back), [0, 1, 2, 3], "only times of their own part lines");
        look_back.push("e", 4, Some(second(92)), &limits());
        assert_eq!(numbers(&look_back), [0, 1, 2, 3, 4]);
        look_back.push("f", 5, Some(second(95)), &limits());
        assert_eq!(numbers(&look_back), [5]);
    }
}
