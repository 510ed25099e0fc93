//! The joiner of one stream.

use super::Limits;
use crate::base::clock::Timestamp;
use crate::model::record::Record;
use crate::model::trace::Runtime;

/// Joins the lines of one stream. See the module's documentation.
#[derive(Debug)]
pub struct Joiner {
    limits: Limits,
    n_pushed: u64,
}

impl Joiner {
    /// A joiner that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits, n_pushed: 0 }
    }

    /// Takes the next line, without its line break. `is_candidate`: the scanner says a rule may match it. `at`: when
    /// it was logged, where the source knows. `now`: the clock, used for lines without times. Finished records are
    /// appended to `out`.
    pub fn push(
        &mut self,
        line: &str,
        is_candidate: bool,
        at: Option<Timestamp>,
        now: Timestamp,
        out: &mut Vec<Record>,
    ) {
        let _ = (self.limits, now);
        let first_line = self.n_pushed;
        self.n_pushed += 1;
        if is_candidate {
            out.push(Record {
                text: line.to_owned(),
                first_line,
                n_lines: 1,
                at,
                runtime: Runtime::Message,
                is_cut: false,
            });
        }
    }

    /// Ends what is open: end of input, death of the container.
    pub fn flush(&mut self, out: &mut Vec<Record>) {
        let _ = out;
    }

    /// Ends what has been silent for longer than the time-out.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Record>) {
        let _ = (now, out);
    }

    /// Number (counted from 0 by pushes on this joiner) of the first line that must be read again after a crash,
    /// because it belongs to an open or possibly opening record; `None` when nothing is open.
    pub fn held_since(&self) -> Option<u64> {
        None
    }

    /// When [`Joiner::tick`] should be called next; `None` when nothing is open.
    pub fn deadline(&self) -> Option<Timestamp> {
        None
    }
}
