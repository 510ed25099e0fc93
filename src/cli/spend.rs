//! `homeostat spend`: what models have cost, by day, month, service, issue, attempt or model, to be held against an invoice.
//!
//! A call counts for the moment it was reserved at. What was cut off before its usage was seen counts at its reservation, which is
//! the most that the provider can ask for it; `--unsettled` lists these calls.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::args::{SpendArgs, SpendByArg};
use super::context::Context;
use super::exit::Failure;
use super::print;
use crate::base::clock::Timestamp;
use crate::store::types::{OpenSpend, SpendBy, SpendRow, SpendSpan, SpendTotals, Usage};

/// Most calls that `--unsettled` lists.
const MAX_LISTED: u32 = 10_000;

/// Prints what was spent.
pub(super) async fn spend(context: &Context, args: SpendArgs) -> Result<(), Failure> {
    let span = span(args.since, args.until);
    if args.unsettled {
        let open = context.store.open_spend(span, MAX_LISTED).await.map_err(anyhow::Error::new)?;
        show_open(&open, args.output.json);
        return Ok(());
    }
    let by = match args.by {
        SpendByArg::Day => SpendBy::Day,
        SpendByArg::Month => SpendBy::Month,
        SpendByArg::Service => SpendBy::Service,
        SpendByArg::Issue => SpendBy::Issue,
        SpendByArg::Attempt => SpendBy::Attempt,
        SpendByArg::Model => SpendBy::Model,
    };
    let rows = context.store.spend_by(by, span).await.map_err(anyhow::Error::new)?;
    if args.output.json {
        rows.iter().for_each(|row| print::json(&row_json(row)));
    } else {
        table(&rows).iter().for_each(print::line);
    }
    Ok(())
}

/// From the beginning of the first day to the end of the last, UTC.
fn span(since: Option<Date>, until: Option<Date>) -> SpendSpan {
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    SpendSpan {
        since: since.and_then(midnight).unwrap_or(Timestamp::MIN),
        until: until.and_then(|date| date.tomorrow().ok()).and_then(midnight).unwrap_or(Timestamp::MAX),
    }
}

fn row_json(row: &SpendRow) -> serde_json::Value {
    let SpendRow { key, totals, usage } = row;
    json!({
        "key": key,
        "calls": totals.n_calls,
        "input_tokens": usage.input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
        "settled_usd": totals.settled.usd(),
        "unsettled_usd": totals.unsettled.usd(),
        "reserved_usd": totals.reserved.usd(),
        "total_usd": totals.total().usd(),
    })
}

/// A head, a line for each row, and their sum if there are several.
fn table(rows: &[SpendRow]) -> Vec<String> {
    let mut all =
        SpendRow { key: "total".to_owned(), totals: SpendTotals::default(), usage: Usage::default() };
    for row in rows {
        all.totals.settled += row.totals.settled;
        all.totals.unsettled += row.totals.unsettled;
        all.totals.reserved += row.totals.reserved;
        all.totals.n_calls += row.totals.n_calls;
        all.usage.input_tokens += row.usage.input_tokens;
        all.usage.cache_write_tokens += row.usage.cache_write_tokens;
        all.usage.cache_read_tokens += row.usage.cache_read_tokens;
        all.usage.output_tokens += row.usage.output_tokens;
    }
    let width = rows.iter().map(|row| row.key.chars().count()).max().unwrap_or(0).max(all.key.len());
    let line = |cells: [&str; 9]| {
        let [key, calls, input, written, read, output, settled, unsettled, total] = cells;
        let line = format!(
            "{key:width$} {calls:>7} {input:>12} {written:>12} {read:>12} {output:>11} {settled:>12} {unsettled:>12} {total:>12}"
        );
        line.trim_end().to_owned()
    };
    let cells = |row: &SpendRow| {
        let SpendRow { key, totals, usage } = row;
        line([
            key,
            &totals.n_calls.to_string(),
            &usage.input_tokens.to_string(),
            &usage.cache_write_tokens.to_string(),
            &usage.cache_read_tokens.to_string(),
            &usage.output_tokens.to_string(),
            &totals.settled.to_string(),
            &(totals.unsettled + totals.reserved).to_string(),
            &totals.total().to_string(),
        ])
    };
    let head =
        line(["", "calls", "input", "cache write", "cache read", "output", "settled", "unsettled", "total"]);
    let mut lines = vec![head];
    lines.extend(rows.iter().map(cells));
    if rows.len() != 1 {
        lines.push(cells(&all));
    }
    lines
}

fn show_open(open: &[OpenSpend], as_json: bool) {
    if open.is_empty() && !as_json {
        print::note("every call is settled");
    }
    for call in open {
        let state = if call.is_cut_off { "cut off" } else { "under way" };
        if as_json {
            print::json(&json!({
                "id": call.id.to_string(),
                "at": call.at.to_string(),
                "state": state,
                "service": call.service,
                "issue": call.issue.to_string(),
                "attempt": call.attempt.to_string(),
                "model": call.model,
                "amount_usd": call.amount.usd(),
            }));
        } else {
            print::line(format!(
                "{}  {:>10}  {state:9}  {}  {}  attempt {}",
                call.at.strftime("%F %T"),
                call.amount,
                call.model,
                call.service,
                call.attempt
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::money::NanoUsd;

    fn row(key: &str, settled: f64, unsettled: f64) -> SpendRow {
        SpendRow {
            key: key.to_owned(),
            totals: SpendTotals {
                settled: NanoUsd::from_usd(settled),
                unsettled: NanoUsd::from_usd(unsettled),
                reserved: NanoUsd::ZERO,
                n_calls: 3,
            },
            usage: Usage {
                input_tokens: 10,
                cache_write_tokens: 2_000,
                cache_read_tokens: 30_000,
                output_tokens: 4,
            },
        }
    }

    #[test]
    fn the_table_sums_up() {
        let lines = table(&[row("2026-11-21", 0.25, 0.0), row("2026-11-22", 1.0, 0.5)]);
        let expected = "
             calls        input  cache write   cache read      output      settled    unsettled        total
2026-11-21       3           10         2000        30000           4      $0.2500      $0.0000      $0.2500
2026-11-22       3           10         2000        30000           4      $1.0000      $0.5000      $1.5000
total            6           20         4000        60000           8      $1.2500      $0.5000      $1.7500";
        assert_eq!(lines.join("\n"), expected.trim_start_matches('\n'));
        assert_eq!(table(&[row("shop", 0.25, 0.0)]).len(), 2);
        assert_eq!(table(&[]).len(), 2);
    }

    #[test]
    fn a_span_has_its_last_day_whole() {
        let day = |text: &str| Some(text.parse::<Date>().unwrap());
        let SpendSpan { since, until } = span(day("2026-11-01"), day("2026-11-30"));
        assert_eq!(
            (since.to_string(), until.to_string()),
            ("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into())
        );
        assert_eq!(span(None, None), SpendSpan::ALL);
    }
}
