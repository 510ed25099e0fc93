//! Lines on their way to somebody who reads them: few, short, and redacted.

use std::collections::VecDeque;

use super::Settings;
use crate::base::id::SampleId;
use crate::model::occurrence::Around;
use crate::watch::ingest::pipeline::{Found, Pipeline};

/// Bytes kept of one line.
const MAX_LINE: usize = 512;
const CUT: &str = "…";

/// Lines that are looked at to find some of one stream among those of another.
pub(in crate::watch::ingest) const MAX_LOOKED_AT: usize = 64;

/// Records that may wait for lines behind them, and blocks that each waits for.
const MAX_WANTS: usize = 32;
const MAX_WAIT: u8 = 64;

/// Stands for a line that is one piece of something encoded, such as a key of which the first line is not at hand.
const ENCODED: &str = "[redacted:encoded]";
const MIN_ENCODED: usize = 24;

/// Lines in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch::ingest) struct Lines {
    lines: Vec<String>,
    n_left: usize,
    bytes_left: usize,
}

impl Lines {
    /// Room for so many lines, within the settings' bytes.
    pub(in crate::watch::ingest) const fn room(n_lines: usize, settings: &Settings) -> Self {
        Self { lines: Vec::new(), n_left: n_lines, bytes_left: settings.max_bytes }
    }

    /// Adds a line while there is room.
    pub(in crate::watch::ingest) fn push(&mut self, line: &str) {
        if self.is_full() {
            return;
        }
        let line = line.trim_end();
        let line = if is_encoded(line) { ENCODED } else { line };
        let kept = &line[..line.floor_char_boundary(MAX_LINE.min(self.bytes_left))];
        let cut = if kept.len() < line.len() { CUT } else { "" };
        self.n_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(kept.len() + 1);
        self.lines.push(format!("{kept}{cut}"));
    }

    pub(in crate::watch::ingest) const fn is_full(&self) -> bool {
        self.n_left == 0 || self.bytes_left == 0
    }

    /// The same from the last to the first, for who looked backwards.
    pub(in crate::watch::ingest) fn reversed(mut self) -> Self {
        self.lines.reverse();
        self
    }

    pub(in crate::watch::ingest) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// The lines around a record, where all lines of its stream are at hand; the record counts its own from the first of them.
pub(in crate::watch::ingest) fn within(pipeline: &Pipeline, lines: &[&str], found: &Found) -> Around {
    let settings = pipeline.around();
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(lines.len());
    let mut before = Lines::room(settings.before, &settings);
    lines[..place(found.first_line)].iter().rev().for_each(|line| before.push(line));
    let mut after = Lines::room(settings.after, &settings);
    lines[place(found.first_line + u64::from(found.n_lines))..].iter().for_each(|line| after.push(line));
    let redact = |lines: &Lines| pipeline.redact(&lines.text());
    Around { id: None, before: redact(&before.reversed()), after: redact(&after) }
}

/// A whole line of base64 or hex.
fn is_encoded(line: &str) -> bool {
    let is_of_it =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
    let line = line.trim_start();
    line.len() >= MIN_ENCODED && line.bytes().all(is_of_it) && line.bytes().any(|byte| byte.is_ascii_digit())
}

/// A record that was told and may get more lines behind it.
#[derive(Debug)]
pub(in crate::watch::ingest) struct Want {
    pub(in crate::watch::ingest) id: SampleId,
    /// Number of its stream, or key of its writer.
    pub(in crate::watch::ingest) of: u64,
    pub(in crate::watch::ingest) after: Lines,
    /// What was told of it so far.
    pub(in crate::watch::ingest) n_told: usize,
    pub(in crate::watch::ingest) n_waited: u8,
}

/// All of them, the oldest first.
#[derive(Debug, Default)]
pub(in crate::watch::ingest) struct Wants(VecDeque<Want>);

impl Wants {
    pub(in crate::watch::ingest) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers a record unless it has all its lines; the oldest one goes without where there are too many.
    pub(in crate::watch::ingest) fn add(&mut self, id: SampleId, of: u64, after: Lines) {
        if after.is_full() {
            return;
        }
        if self.0.len() >= MAX_WANTS {
            self.0.pop_front();
        }
        let n_told = after.lines.len();
        self.0.push_back(Want { id, of, after, n_told, n_waited: 0 });
    }

    /// Hands a line to those that wait for one of its stream.
    pub(in crate::watch::ingest) fn push(&mut self, of: u64, line: &str) {
        self.0.iter_mut().filter(|want| want.of == of).for_each(|want| want.after.push(line));
    }

    /// Whether everyone has what it waits for.
    pub(in crate::watch::ingest) fn are_full(&self) -> bool {
        self.0.iter().all(|want| want.after.is_full())
    }

    /// Takes those that have waited long enough, or all of `over`; tells what they have got since they were told.
    pub(in crate::watch::ingest) fn take_done(
        &mut self,
        pipeline: &Pipeline,
        over: impl Fn(&Want) -> bool,
        told: &mut Vec<Around>,
    ) {
        self.0.retain_mut(|want| {
            want.n_waited += 1;
            let is_done = want.after.is_full() || want.n_waited >= MAX_WAIT || over(want);
            if is_done && want.after.lines.len() > want.n_told {
                let after = pipeline.redact(&want.after.text());
                told.push(Around { id: Some(want.id), after, ..Around::default() });
            }
            !is_done
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_few_short_and_hold_no_keys() {
        let settings = Settings { before: 3, after: 3, max_bytes: 1000, ..Settings::default() };
        let mut lines = Lines::room(3, &settings);
        lines.push("GET /cart 200\r");
        lines.push("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC");
        lines.push(&"é".repeat(600));
        lines.push("one too many");
        assert_eq!(lines.text(), format!("GET /cart 200\n{ENCODED}\n{}…", "é".repeat(256)));

        let mut lines = Lines::room(9, &Settings { max_bytes: 10, ..settings });
        ["12345", "67890", "x"].into_iter().for_each(|line| lines.push(line));
        assert_eq!(lines.text(), "12345\n6789…");
    }

    #[test]
    fn lines_at_hand_are_taken_from_both_sides() {
        let settings = Settings { before: 2, after: 2, ..Settings::default() };
        let pipeline = Pipeline::builtin().with_around(settings);
        let lines = ["INFO a", "INFO b", "INFO c", "ERROR no stock", "INFO d", "ERROR no money"];
        let (mut state, mut found) = (pipeline.stream(), Vec::new());
        lines.iter().for_each(|line| pipeline.push(&mut state, line.as_bytes(), None, &mut found));
        pipeline.flush(&mut state, &mut found);
        let around = |found: &Found| {
            let Around { before, after, .. } = within(&pipeline, &lines, found);
            (before.into_string(), after.into_string())
        };
        let around: Vec<_> = found.iter().map(around).collect();
        let expected = [("INFO b\nINFO c", "INFO d\nERROR no money"), ("ERROR no stock\nINFO d", "")];
        assert_eq!(around, expected.map(|(before, after)| (before.to_owned(), after.to_owned())));
    }

    #[test]
    fn who_waits_is_told_once_and_not_for_ever() {
        let settings = Settings::default();
        let (pipeline, mut wants, mut told) = (Pipeline::builtin(), Wants::default(), Vec::new());
        let ids = [SampleId::new(), SampleId::new()];
        wants.add(ids[0], 0, Lines::room(2, &settings));
        wants.add(ids[1], 1, Lines::room(1, &settings));
        wants.push(0, "one");
        wants.take_done(&pipeline, |_| false, &mut told);
        assert_eq!(told, []);
        wants.push(0, "password=hunter2-x9");
        wants.take_done(&pipeline, |_| false, &mut told);
        let after = crate::base::redact::Clean::trusted("one\npassword=[redacted:password]");
        assert_eq!(told, [Around { id: Some(ids[0]), after, ..Around::default() }]);
        (0..MAX_WAIT).for_each(|_| wants.take_done(&pipeline, |_| false, &mut told));
        assert!(wants.is_empty() && told.len() == 1);
    }
}
