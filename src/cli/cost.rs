//! `homeostat check --cost`: what each rule costs, on the lines of a file or on ordinary ones.

use std::path::Path;

use serde_json::json;

use super::print;
use crate::watch::ingest::rule_cost::{measure, ordinary};
use crate::watch::rules::RuleSet;

/// Measures the rules on the lines of `file`, or on ordinary ones.
///
/// # Errors
/// The file cannot be read.
pub(super) fn show(rules: &RuleSet, file: Option<&Path>, as_json: bool) -> std::io::Result<()> {
    let lines = match file {
        Some(file) => String::from_utf8_lossy(&std::fs::read(file)?).lines().map(str::to_owned).collect(),
        None => ordinary(),
    };
    let costs = measure(rules, &lines);
    for it in &costs {
        if as_json {
            print::json(&json!({
                "rule": &*it.rule,
                "search": it.search,
                "looked_at": it.looked_at,
                "hits": it.n_hits,
                "nanoseconds_a_look": it.nanos_a_look,
                "nanoseconds_a_line": it.nanos_a_line,
            }));
        } else {
            print::line(format!(
                "{:28} {:11} looked at {:8.4} % of the lines, {:7.0} ns a look, {:8.3} ns a line, {} hits",
                it.rule,
                it.search,
                it.looked_at * 100.0,
                it.nanos_a_look,
                it.nanos_a_line,
                it.n_hits,
            ));
        }
    }
    if !as_json {
        let n_quiet = rules.rules().len() - costs.len();
        print::line(format!(
            "{} lines; the other {n_quiet} rules were never looked at and cost nothing",
            lines.len()
        ));
    }
    Ok(())
}
