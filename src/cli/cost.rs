//! `homeostat check --cost`: what each rule costs on ordinary lines, measured on this machine.
//!
//! A rule with literals is looked at only where one of them stands in a line; one without is looked at on every line. So the
//! cost is how often it is looked at, times what a look takes: the same search as in `run`, with this rule alone. Rules that share
//! a literal share a part of it, so together they cost less than the sum.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::print;
use crate::base::search::ORDINARY;
use crate::watch::rules::RuleSet;

/// The sample is gone through again until this time is over: a look takes less than the clock can tell.
const MEASURE_FOR: Duration = Duration::from_millis(300);
const MAX_ROUNDS: u32 = 200;

/// What one rule took.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    n_looks: u64,
    n_hits: u64,
    time: Duration,
}

/// Measures the rules on the lines of `file`, or on ordinary ones.
///
/// # Errors
/// The file cannot be read.
pub(super) fn show(rules: &RuleSet, file: Option<&Path>, as_json: bool) -> std::io::Result<()> {
    let text = match file {
        Some(file) => String::from_utf8_lossy(&std::fs::read(file)?).into_owned(),
        None => ORDINARY.to_owned(),
    };
    let lines: Vec<&str> = text.lines().collect();
    let (taken, n_rounds) = measure(rules, &lines);
    let n_lines = (lines.len() as u64 * u64::from(n_rounds)).max(1);
    let mut order: Vec<usize> = (0..taken.len()).filter(|idx| taken[*idx].n_looks > 0).collect();
    order.sort_by_key(|idx| std::cmp::Reverse(taken[*idx].time));
    let costs = rules.costs();
    for idx in &order {
        let (rule, it) = (&rules.rules()[*idx], taken[*idx]);
        let per_line = it.time.as_nanos() as f64 / n_lines as f64;
        let per_look = it.time.as_nanos() as f64 / it.n_looks as f64;
        let looks = it.n_looks as f64 / n_lines as f64;
        if as_json {
            print::json(&json!({
                "rule": &*rule.id,
                "search": costs[*idx].name(),
                "looked_at": looks,
                "hits": it.n_hits / u64::from(n_rounds),
                "nanoseconds_a_look": per_look,
                "nanoseconds_a_line": per_line,
            }));
        } else {
            print::line(format!(
                "{:28} {:11} looked at {:8.4} % of the lines, {per_look:7.0} ns a look, {per_line:8.3} ns a line, {} hits",
                rule.id,
                costs[*idx].name(),
                looks * 100.0,
                it.n_hits / u64::from(n_rounds),
            ));
        }
    }
    if !as_json {
        let n_quiet = rules.rules().len() - order.len();
        print::line(format!(
            "{} lines; the other {n_quiet} rules were never looked at and cost nothing",
            lines.len()
        ));
    }
    Ok(())
}

fn measure(rules: &RuleSet, lines: &[&str]) -> (Vec<Taken>, u32) {
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
            (*line, rules.suspects(line.as_bytes()).into_iter().map(look).collect())
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
