//! What each rule costs, measured on this machine: on lines that come while somebody asks, or on ordinary ones.
//!
//! A rule with literals is looked at only where one of them stands in a line; one without is looked at on every line. So the
//! cost is how often it is looked at, times what a look takes: the same search as in `run`, with this rule alone. Rules that share
//! a literal share a part of it, so together they cost less than the sum. While nobody asks, a block costs one look at a flag.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::search::ORDINARY;
use crate::watch::rules::RuleSet;

/// The sample is gone through again until this time is over: a look takes less than the clock can tell.
const MEASURE_FOR: Duration = Duration::from_millis(300);
const MAX_ROUNDS: u32 = 200;

/// Lines of a sample, those of them that one block gives, and bytes of a line.
const MAX_LINES: usize = 4096;
pub(super) const MAX_OF_BLOCK: usize = 64;
const MAX_LINE_BYTES: usize = 2048;

/// What one rule costs.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleCost {
    pub rule: Arc<str>,
    /// How its lines are searched for, see [`crate::watch::rules::Cost::name`].
    pub search: &'static str,
    /// On which part of the lines it is looked at.
    pub looked_at: f64,
    pub n_hits: u64,
    pub nanos_a_look: f64,
    pub nanos_a_line: f64,
}

/// What one rule took.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    n_looks: u64,
    n_hits: u64,
    time: Duration,
}

/// Ordinary lines, where there are no others.
pub fn ordinary() -> Vec<String> {
    ORDINARY.lines().map(str::to_owned).collect()
}

/// Measures the rules on lines. The dearest come first; those that are never looked at are left out. Takes a second.
pub fn measure(rules: &RuleSet, lines: &[String]) -> Vec<RuleCost> {
    let (taken, n_rounds) = take(rules, lines);
    let n_lines = (lines.len() as u64 * u64::from(n_rounds)).max(1);
    let mut order: Vec<usize> = (0..taken.len()).filter(|idx| taken[*idx].n_looks > 0).collect();
    order.sort_by_key(|idx| std::cmp::Reverse(taken[*idx].time));
    let costs = rules.costs();
    let cost = |idx: usize| {
        let it = taken[idx];
        RuleCost {
            rule: Arc::clone(&rules.rules()[idx].id),
            search: costs[idx].name(),
            looked_at: it.n_looks as f64 / n_lines as f64,
            n_hits: it.n_hits / u64::from(n_rounds),
            nanos_a_look: it.time.as_nanos() as f64 / it.n_looks as f64,
            nanos_a_line: it.time.as_nanos() as f64 / n_lines as f64,
        }
    };
    order.into_iter().map(cost).collect()
}

fn take(rules: &RuleSet, lines: &[String]) -> (Vec<Taken>, u32) {
    let mut taken = vec![Taken::default(); rules.rules().len()];
    let alone: Vec<RuleSet> = rules
        .rules()
        .iter()
        .map(|rule| {
            RuleSet::compile(vec![rule.clone()]).expect("a rule of a set that was compiled can be compiled")
        })
        .collect();
    // The first time an expression is used it is built: that is not what a line costs.
    let looks: Vec<(&str, Vec<(usize, bool)>)> = lines
        .iter()
        .map(|line| {
            let look = |rule: usize| {
                alone[rule].is_hit(line.as_bytes());
                (rule, rules.hits(rule, line))
            };
            (line.as_str(), rules.suspects(line.as_bytes()).into_iter().map(look).collect())
        })
        .collect();
    let began = Instant::now();
    let mut n_rounds = 0;
    while n_rounds < 1 || (n_rounds < MAX_ROUNDS && began.elapsed() < MEASURE_FOR) {
        n_rounds += 1;
        for (line, rules) in &looks {
            for (rule, is_hit) in rules {
                let start = Instant::now();
                black_box(alone[*rule].is_hit(line.as_bytes()));
                let it = &mut taken[*rule];
                it.time += start.elapsed();
                it.n_looks += 1;
                it.n_hits += u64::from(*is_hit);
            }
        }
    }
    (taken, n_rounds)
}

/// Lines that come while somebody asks for them.
#[derive(Debug, Default)]
pub(super) struct LineSample {
    is_wanted: AtomicBool,
    lines: Mutex<Vec<String>>,
}

/// Somebody asks as long as it is held.
#[derive(Debug)]
struct Asking<'s>(&'s LineSample);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.is_wanted.store(false, Ordering::Relaxed);
    }
}

impl LineSample {
    /// Whether somebody asks.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= MAX_LINES {
            self.is_wanted.store(false, Ordering::Relaxed);
            return;
        }
        lines.push(line[..line.floor_char_boundary(MAX_LINE_BYTES.min(line.len()))].to_owned());
    }

    /// The lines of so much time; fewer where they are many. `None` while somebody else asks.
    pub(super) async fn collect(&self, time: Duration) -> Option<Vec<String>> {
        let taken = || std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if self.is_wanted.swap(true, Ordering::Relaxed) {
            return None;
        }
        let asking = Asking(self);
        drop(taken());
        tokio::time::sleep(time).await;
        drop(asking);
        Some(taken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::redact::Clean;

    #[tokio::test(start_paused = true)]
    async fn lines_are_kept_only_while_somebody_asks_and_not_without_end() {
        let sample = LineSample::default();
        assert!(!sample.is_wanted());
        let (lines, other) = tokio::join!(sample.collect(Duration::from_secs(2)), async {
            let other = sample.collect(Duration::from_secs(1)).await;
            (0..MAX_LINES + 100).for_each(|n| sample.push(&n.to_string()));
            other
        });
        assert_eq!((lines.map(|it| it.len()), other), (Some(MAX_LINES), None));
        assert!(!sample.is_wanted() && sample.lines.lock().unwrap().is_empty());
        // Who gave up does not ask any more.
        let _ = tokio::time::timeout(Duration::from_millis(1), sample.collect(Duration::from_secs(2))).await;
        assert!(!sample.is_wanted());
    }

    #[test]
    fn what_is_looked_at_more_often_costs_more() {
        let rules = RuleSet::builtin();
        let lines: Vec<String> =
            (0..50).map(|n| format!("ERROR order {n} failed")).chain(ordinary()).collect();
        let costs = measure(&rules, &lines);
        let best = rules.detect(&Clean::trusted(&lines[0])).expect("it is hit").rule;
        let cost = costs.iter().find(|it| it.rule == best).expect("it is looked at");
        assert!(cost.n_hits >= 50 && cost.looked_at > 0.1 && cost.nanos_a_line > 0.0, "{cost:?}");
        assert!(costs.is_sorted_by(|a, b| a.nanos_a_line >= b.nanos_a_line));
        assert!(costs.len() < rules.rules().len());
    }
}
