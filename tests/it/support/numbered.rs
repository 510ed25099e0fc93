//! Numbered errors that are told apart by their fingerprints: each number is a word, so each makes an issue of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use homeostat::base::clock::Timestamp;
use homeostat::store::Store;
use homeostat::store::types::IssueFilter;

use super::wait::{PATIENCE, eventually};

/// More than any story has.
pub(crate) const ALL: u32 = 1_000_000;

/// Of digits. No word of them is hexadecimal, or a word of any language that a rule knows.
const SYLLABLES: [&str; 10] = ["ba", "ke", "li", "mo", "nu", "pa", "ro", "su", "ti", "vo"];

/// A number as a word.
pub(crate) fn word(number: u32) -> String {
    number.to_string().bytes().map(|digit| SYLLABLES[usize::from(digit - b'0')]).collect()
}

/// The number in the title of an issue.
pub(crate) fn number_in(title: &str) -> Option<u32> {
    let (_, rest) = title.split_once("order ")?;
    let word: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
    let digits = word.as_bytes().chunks(2).map(|it| {
        let digit = SYLLABLES.iter().position(|syllable| syllable.as_bytes() == it)?;
        char::from_digit(u32::try_from(digit).ok()?, 10)
    });
    digits.collect::<Option<String>>()?.parse().ok()
}

/// The lines of a numbered record: an error of one line, or a trace behind a line that belongs to nothing.
pub(crate) fn lines(number: u32, is_trace: bool) -> String {
    let word = word(number);
    if is_trace {
        format!(
            "2026-11-21 10:00:00 INFO all is well\nTraceback (most recent call last):\n  \
             File \"/app/{word}.py\", line 3, in {word}\n    g()\nValueError: order {word} is no number\n"
        )
    } else {
        format!("2026-11-21 10:00:00 ERROR payment of order {word} failed\n")
    }
}

/// What became of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: u64,
    /// When it was logged, as its source says.
    pub(crate) at: Timestamp,
}

/// What was counted of each number.
pub(crate) async fn counted(store: &Arc<dyn Store>) -> BTreeMap<u32, Counted> {
    let filter = IssueFilter { with_counted: true, limit: ALL, ..IssueFilter::default() };
    // The first question after the database was away is answered with an error.
    let issues = eventually("the store", PATIENCE, async || store.issues(&filter).await.ok()).await;
    let mut counted = BTreeMap::new();
    for issue in issues {
        // Half a record, of a file that was cut while it was written: its number is lost.
        let Some(number) = number_in(&issue.title) else { continue };
        let of_number = counted.entry(number).or_insert(Counted { count: 0, at: issue.first_seen });
        of_number.count += issue.count;
    }
    counted
}

/// What happened, for a person who looks for the cause of a failure.
#[derive(Debug)]
pub(crate) struct Trail {
    began: Instant,
    seed: u64,
    steps: Vec<String>,
}

impl Trail {
    pub(crate) fn new(seed: u64) -> Self {
        Self { began: Instant::now(), seed, steps: Vec::new() }
    }

    pub(crate) fn note(&mut self, step: impl std::fmt::Display) {
        self.steps.push(format!("{:>8.3} {step}", self.began.elapsed().as_secs_f64()));
    }
}

impl Drop for Trail {
    #[expect(clippy::print_stderr, reason = "the runner shows it for a test that fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let first = self.steps.len().saturating_sub(400);
            eprintln!(
                "seed {}, the last things that happened:\n{}",
                self.seed,
                self.steps[first..].join("\n")
            );
        }
    }
}

/// What a stored gap says, of one stream: everything between these two numbers may be missing, themselves not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    pub(crate) after: u32,
    pub(crate) before: u32,
}

/// Compares what was counted with what was written: numbers from 1 to `n_written`, of which only those in `lost` may be missing.
///
/// # Panics
/// With all that is wrong.
pub(crate) fn check(counted: &BTreeMap<u32, u64>, n_written: u32, lost: &BTreeSet<u32>, gaps: &[Between]) {
    let mut wrong = String::new();
    for (number, count) in counted {
        if *count != 1 || *number > n_written {
            let _ = writeln!(wrong, "{number} was counted {count} times");
        }
    }
    for number in (1..=n_written).filter(|number| !counted.contains_key(number)) {
        let is_told = gaps.iter().any(|gap| gap.after < number && number < gap.before);
        if !lost.contains(&number) || !is_told {
            let why = if lost.contains(&number) { "no gap tells of it" } else { "it was there to be read" };
            let _ = writeln!(wrong, "{number} is missing: {why}");
        }
    }
    assert!(wrong.is_empty(), "of {n_written}, with the gaps {gaps:?}:\n{wrong}");
}
