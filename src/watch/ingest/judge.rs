//! What a record is: redacted, detected, and the identity it is counted under.
//!
//! Most lines of a storm of errors are the same, so what redactor, rules and fingerprinter say of a line is remembered. Each of these
//! says of a record what its lines say together, so the answers are those of the whole text; where they may not be (something to
//! redact, an envelope, blanks at the end), the whole text is asked. A property test holds that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;

use crate::base::redact::{Clean, Redactor};
use crate::model::detection::Detection;
use crate::watch::fingerprint::{Identities, Identity, LineId};
use crate::watch::rules::RuleSet;

/// Lines remembered, and their bytes. Beyond it all are forgotten: those that repeat are back at once.
const MAX_LINES: usize = 4096;
const MAX_BYTES: usize = 1 << 20;

/// Longer lines are not remembered.
const MAX_LINE_BYTES: usize = 1024;

/// Judges records by these rules. Shared by the streams of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) rules: Arc<RuleSet>,
    pub(super) redactor: Redactor,
    /// As many as were ever needed at once: a judgement takes one and gives it back.
    memos: Arc<Mutex<Vec<Memo>>>,
}

/// What was found out about a record that a rule hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) text: Clean,
    pub(super) detection: Detection,
    pub(super) identity: Identity,
}

#[derive(Debug, Default)]
struct Memo {
    lines: HashMap<Box<str>, Line, RandomState>,
    n_bytes: usize,
    identities: Identities,
    /// Kept for its memory.
    ids: Vec<LineId>,
}

/// What is known of a line.
#[derive(Debug, Clone, Copy)]
struct Line {
    id: LineId,
    /// The best rule that hits it within a record.
    rank: Option<usize>,
    is_clean: bool,
}

impl Judge {
    pub(super) fn new(rules: Arc<RuleSet>, redactor: Redactor) -> Self {
        Self { rules, redactor, memos: Arc::default() }
    }

    /// The same by other rules.
    pub(super) fn with_rules(&self, rules: Arc<RuleSet>) -> Self {
        Self::new(rules, self.redactor.clone())
    }

    /// Redacts, detects and identifies a record; `None` if no rule hits it.
    pub(super) fn judge(&self, text: String) -> Option<Judged> {
        self.with_memo(|memo| match self.ask_lines(memo, &text) {
            Some(rank) => {
                let rank = match rank? {
                    rank if memo.ids.len() > 1 || self.rules.counts_alone(rank) => rank,
                    _ => self.rules.rank(text.as_bytes(), true)?,
                };
                let needs_text = Identities::needs_text(text.split('\n').next().unwrap_or_default());
                let text = self.redactor.vouch(text);
                let identity = if needs_text {
                    memo.identities.of_text(&text)
                } else {
                    memo.identities.of_lines(&memo.ids)
                };
                Some(Judged { text, detection: self.rules.detection(rank).clone(), identity })
            }
            None => {
                let text = self.redactor.redact(&text);
                let detection = self.rules.detect(&text)?;
                let identity = memo.identities.of_text(&text);
                Some(Judged { text, detection, identity })
            }
        })
    }

    /// A text that is one record whatever the rules say of it: redacted and identified.
    pub(super) fn identify(&self, text: &str) -> (Clean, Identity) {
        let text = self.redactor.redact(text);
        let identity = self.with_memo(|memo| memo.identities.of_text(&text));
        (text, identity)
    }

    fn with_memo<T>(&self, work: impl FnOnce(&mut Memo) -> T) -> T {
        // What a panic elsewhere left is whole: memos are taken out while they change.
        let memos = || self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memo = memos().pop().unwrap_or_default();
        if memo.lines.len() > MAX_LINES || memo.n_bytes > MAX_BYTES || memo.identities.is_full() {
            memo = Memo::default();
        }
        let done = work(&mut memo);
        memos().push(memo);
        done
    }

    /// The best rank that a rule has in any line, and in the memo the numbers of the lines. `None` where only the whole text tells.
    fn ask_lines(&self, memo: &mut Memo, text: &str) -> Option<Option<usize>> {
        if text.ends_with(|it: char| it.is_whitespace()) || !self.redactor.works_by_line() {
            return None;
        }
        memo.ids.clear();
        let mut best = None::<usize>;
        for line in text.split('\n') {
            let Line { id, rank, is_clean } = self.line(memo, line);
            if !is_clean {
                return None;
            }
            memo.ids.push(id);
            best = best.into_iter().chain(rank).min();
        }
        Some(best)
    }

    fn line(&self, memo: &mut Memo, line: &str) -> Line {
        if let Some(known) = memo.lines.get(line) {
            return *known;
        }
        let (id, is_as_logged) = memo.identities.line(line);
        let made = Line {
            id,
            rank: self.rules.rank(line.as_bytes(), false),
            is_clean: self.redactor.is_surely_clean(line),
        };
        // Lines with times and numbers in them hardly come again.
        if is_as_logged && line.len() <= MAX_LINE_BYTES {
            memo.n_bytes += line.len();
            memo.lines.insert(line.into(), made);
        }
        made
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
