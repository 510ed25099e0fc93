//! What a record is: redacted, detected, and the identity it is counted under.
//!
//! Most lines of a storm of errors are the same, so what redactor, rules and fingerprinter say of a line is remembered. Each of these
//! says of a record what its lines say together, so the answers are those of the whole text; where they may not be (something to
//! redact, an envelope, blanks at the end), the whole text is asked. A property test holds that.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use regex_automata::util::pool::{Pool, PoolGuard};

use super::known::Known;
use super::pipeline::Found;
use super::recurring::{Asked, Fixed, KnownLine, Outcome};
use crate::base::clock::Timestamp;
use crate::base::redact::{Clean, Redactor};
use crate::model::detection::Detection;
use crate::watch::fingerprint::{Grouped, Identities, Identity, LineId, UserRules};
use crate::watch::join::{Ending, Line, Seen};
use crate::watch::rules::RuleSet;

/// Judges records by these rules. Shared by the streams of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Judge {
    pub(super) rules: Arc<RuleSet>,
    pub(super) redactor: Redactor,
    /// What people decided about errors of the service.
    pub(super) user_rules: UserRules,
    /// One for each thread that judges.
    memos: Arc<Pool<Memo>>,
}

/// A memo that this thread has for itself until it gives it back.
pub(super) type MemoGuard<'p> = PoolGuard<'p, Memo, fn() -> Memo>;

/// What is remembered between records.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: Known,
    /// Kept for its memory.
    ids: Vec<LineId>,
}

/// What was found out about a record that a rule hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) text: Clean,
    pub(super) detection: Detection,
    pub(super) identity: Identity,
    /// People want to hear nothing of it.
    pub(super) is_ignored: bool,
}

impl Judge {
    pub(super) fn new(rules: Arc<RuleSet>, redactor: Redactor) -> Self {
        Self { rules, redactor, user_rules: UserRules::none(), memos: Arc::new(Pool::new(Memo::default)) }
    }

    /// The same by other rules.
    pub(super) fn with_rules(&self, rules: Arc<RuleSet>) -> Self {
        Self { user_rules: self.user_rules.clone(), ..Self::new(rules, self.redactor.clone()) }
    }

    /// The same by what people decided.
    pub(super) fn with_user_rules(&self, user_rules: UserRules) -> Self {
        Self { user_rules, ..Self::new(Arc::clone(&self.rules), self.redactor.clone()) }
    }

    /// What is remembered, for whoever asks of several lines.
    pub(super) fn memo(&self) -> MemoGuard<'_> {
        self.memos.get()
    }

    /// What the joiner sees in a line.
    pub(super) fn seen(&self, memo: &mut Memo, line: &str) -> Seen {
        memo.known.seen(line)
    }

    /// Whether a line that no rule hits parts what stands before it from what follows.
    pub(super) fn parts(&self, memo: &mut Memo, line: &str) -> bool {
        self.seen(memo, line).parts(line)
    }

    /// Whether a rule hits a line within a record.
    pub(super) fn is_hit(&self, memo: &mut Memo, line: &str) -> bool {
        memo.known.rank(line, &self.rules).is_some()
    }

    /// Redacts, detects and identifies a record; `None` if no rule hits it.
    pub(super) fn judge(&self, memo: &mut Memo, text: String) -> Option<Judged> {
        memo.known.tidy();
        let Some(rank) = self.ask_lines(memo, &text) else {
            let text = self.redactor.redact(&text);
            let detection = self.rules.detect(&text)?;
            let grouped = memo.known.identities.of_text(&text, &self.user_rules);
            return Some(Judged::new(text, detection, grouped));
        };
        let rank = match rank? {
            rank if memo.ids.len() > 1 || self.rules.counts_alone(rank) => rank,
            _ => self.rules.rank(text.as_bytes(), true)?,
        };
        let needs_text = self.user_rules.look_at_messages()
            || memo.known.needs_text(text.split('\n').next().unwrap_or_default());
        let text = self.redactor.vouch(text);
        let identities = &mut memo.known.identities;
        let grouped = if needs_text {
            identities.of_text(&text, &self.user_rules)
        } else {
            identities.of_lines(&memo.ids, &self.user_rules)
        };
        Some(Judged::new(text, self.rules.detection(rank).clone(), grouped))
    }

    /// A line for a joiner, by itself.
    pub(super) fn line<'l>(&self, memo: &mut Memo, text: &'l str, at: Option<Timestamp>) -> Line<'l> {
        let (seen, rank) = memo.known.look(text, &self.rules);
        Line { text, seen, is_candidate: rank.is_some(), at }
    }

    /// The line of a record that came lately which this one is, behind that one; `text` is what is written.
    pub(super) fn recurs<'t>(
        &self,
        memo: &mut Memo,
        is_escaped: bool,
        from: Option<usize>,
        written: &[u8],
        text: impl Fn() -> Option<Cow<'t, str>>,
    ) -> Option<usize> {
        let answers = |asked: &Asked, text: &str| {
            asked.rank.is_none_or(|rank| self.rules.rank(text.as_bytes(), false) == rank)
                && (!asked.is_clean || self.redactor.is_surely_clean(text))
                && (!asked.is_sound || Identities::has_sound_numbers(text))
        };
        let recurring = &mut memo.known.recurring;
        recurring[usize::from(is_escaped)].next(from, written, |asked| {
            *asked == Asked::default() || text().is_some_and(|text| answers(asked, &text))
        })
    }

    /// What became of a record that ended with this line.
    pub(super) fn outcome<'m>(&self, memo: &'m Memo, is_escaped: bool, line: usize) -> Option<&'m Outcome> {
        memo.known.recurring[usize::from(is_escaped)].outcome(line)
    }

    /// Remembers a record by its lines as they are written, where that is enough to know it again.
    pub(super) fn learn<'l>(
        &self,
        is_escaped: bool,
        written: impl Iterator<Item = &'l [u8]> + Clone,
        found: &Found,
        ending: Ending,
        n_candidates: u32,
    ) {
        if found.is_ignored || self.user_rules.look_at_messages() {
            return;
        }
        let memo = &mut *self.memo();
        let text = found.text.as_str();
        let recurring = &mut memo.known.recurring[usize::from(is_escaped)];
        if found.n_lines == 1 && !written.clone().next().is_some_and(|it| recurring.came_alone(it)) {
            return;
        }
        // What kept it from being known again may have been what stood between its lines.
        if recurring.knows_as_written(written.clone()) {
            return;
        }
        let Some(Some(rank)) = self.ask_lines(memo, text) else { return };
        let is_known = ending.is_of_shape()
            && (memo.ids.len() > 1 || self.rules.counts_alone(rank))
            && *self.rules.detection(rank) == found.detection;
        let is_wrapped = memo.known.needs_text(text.split('\n').next().unwrap_or_default());
        if !is_known || is_wrapped && (memo.ids.len() > 1 || !memo.known.identities.is_alike(&found.text)) {
            return;
        }
        let mut lines = Vec::with_capacity(memo.ids.len());
        for (line, written) in text.split('\n').zip(written) {
            let mut likeness = memo.known.likeness(line, &self.rules);
            let class = (!is_wrapped).then(|| memo.known.class(line, &self.rules));
            if is_wrapped {
                // Its number is not that of the text within.
                likeness.fixed = Fixed::Nothing;
                likeness.asked.is_sound = text.starts_with('{');
            }
            if let Fixed::But(values) = &mut likeness.fixed
                && is_escaped
            {
                let Some(escaped) = escaped(written, values) else { return };
                *values = escaped;
            }
            lines.push(KnownLine { written, likeness, class });
        }
        let outcome = Outcome { ending, rank, identity: found.identity, n_candidates };
        memo.known.recurring[usize::from(is_escaped)].learn(lines.into_iter(), outcome);
    }

    /// A text that is one record whatever the rules say of it: redacted and identified.
    pub(super) fn identify(&self, text: &str) -> (Clean, Identity) {
        let text = self.redactor.redact(text);
        let mut memo = self.memo();
        memo.known.tidy();
        let grouped = memo.known.identities.of_text(&text, &self.user_rules);
        (text, grouped.identity)
    }

    /// The best rank that a rule has in any line, and in the memo the numbers of the lines. `None` where only the whole text tells.
    fn ask_lines(&self, memo: &mut Memo, text: &str) -> Option<Option<usize>> {
        if text.ends_with(|it: char| it.is_whitespace()) || !self.redactor.works_by_line() {
            return None;
        }
        memo.ids.clear();
        let mut best = None::<usize>;
        for line in text.split('\n') {
            let (rank, id) = memo.known.judged(line, &self.rules, &self.redactor)?;
            memo.ids.push(id);
            best = best.into_iter().chain(rank).min();
        }
        Some(best)
    }
}

impl Judged {
    fn new(text: Clean, detection: Detection, grouped: Grouped) -> Self {
        let Grouped { identity, verdict } = grouped;
        let severity = verdict.severity.unwrap_or(detection.severity);
        let detection = Detection { severity, ..detection };
        Self { text, detection, identity, is_ignored: verdict.is_ignored }
    }
}

/// Places in a text where they stand in the text with its escapes, each of one sign.
fn escaped(written: &[u8], places: &[Range<usize>]) -> Option<Vec<Range<usize>>> {
    let mut starts = Vec::with_capacity(written.len());
    let mut at = 0;
    while at < written.len() {
        starts.push(at);
        at += if written[at] == b'\\' { 2 } else { 1 };
    }
    starts.push(at);
    places.iter().map(|it| Some(*starts.get(it.start)?..*starts.get(it.end)?)).collect()
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
