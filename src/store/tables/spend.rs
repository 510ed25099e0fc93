//! Money: reserved before a call, settled after it.

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, JobId, ReservationId};
use crate::model::money::NanoUsd;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{
    NewReservation, OpenSpend, Reserved, SpendBy, SpendLimits, SpendRow, SpendSpan, SpendTotals, Usage,
};
use crate::store::value::{Row, Value, args, wrong};

/// Totals per state over the rows that fit a condition. The cast is for PostgreSQL, whose sums of integers are not integers.
macro_rules! totals {
    ($name:literal, $condition:literal) => {
        Sql::both(concat!(
            "-- ",
            $name,
            "\nselect state, cast(sum(amount) as bigint) as amount, count(*) as n_calls from spend where ",
            $condition,
            " group by state"
        ))
    };
}

/// Totals per group and state of what was reserved in a span of time.
macro_rules! sums {
    ($name:literal, $sqlite:literal, $postgres:literal) => {
        Sql { sqlite: sums!(@ $name, $sqlite), postgres: sums!(@ $name, $postgres) }
    };
    (@ $name:literal, $key:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect ",
            $key,
            " as spend_key, state, cast(sum(amount) as bigint) as amount, count(*) as n_calls,
  cast(sum(input_tokens) as bigint) as input_tokens, cast(sum(cache_write_tokens) as bigint) as cache_write_tokens,
  cast(sum(cache_read_tokens) as bigint) as cache_read_tokens, cast(sum(output_tokens) as bigint) as output_tokens
from spend where at >= $1 and at < $2 group by 1, 2 order by 1, 2"
        )
    };
}

statements! {
    // Whoever reserves holds this row: two that look at the same total at the same time could both go by its limit.
    LOCK = for_update!("-- lock_spend\nselect value from meta where key = 'spend_lock'");
    KNOWN = Sql::both("-- reservation\nselect state from spend where id = $1");
    OF_ATTEMPT = totals!("spend_of_attempt", "attempt_id = $1");
    OF_ISSUE = totals!("spend_of_issue", "issue_id = $1");
    OF_SERVICE = totals!("spend_of_service", "service = $1 and at >= $2");
    SINCE = totals!("spend_since", "at >= $1");
    BY_DAY = sums!("spend_by_day", "date(at / 1000000, 'unixepoch')", "to_char(to_timestamp(at / 1000000) at time zone 'utc', 'yyyy-mm-dd')");
    BY_MONTH = sums!(
        "spend_by_month",
        "substr(date(at / 1000000, 'unixepoch'), 1, 7)",
        "to_char(to_timestamp(at / 1000000) at time zone 'utc', 'yyyy-mm')"
    );
    BY_SERVICE = sums!("spend_by_service", "service", "service");
    BY_MODEL = sums!("spend_by_model", "model", "model");
    BY_ISSUE = sums!("spend_by_issue", "lower(hex(issue_id))", "replace(issue_id::text, '-', '')");
    BY_ATTEMPT = sums!("spend_by_attempt", "lower(hex(attempt_id))", "replace(attempt_id::text, '-', '')");
    OPEN = Sql::both(
        "-- open_spend
select id, attempt_id, issue_id, service, model, amount, at, state from spend
where at >= $1 and at < $2 and state <> 'settled' order by at desc, id desc limit $3"
    );
    // A job that is over makes no call any more; what it left open was cut off.
    CUT_OFF_OF_JOB = Sql::both(
        "-- cut_off_of_job
update spend set state = 'unsettled', settled_at = $3
where state = 'reserved' and attempt_id in (select id from attempts where issue_id = $1 and job_id = $2)"
    );
    RESERVE = Sql::both(
        "-- reserve
insert into spend (id, attempt_id, issue_id, service, model, state, reserved, amount, input_tokens, cache_write_tokens,
  cache_read_tokens, output_tokens, at)
values ($1, $2, $3, $4, $5, 'reserved', $6, $6, 0, 0, 0, 0, $7)"
    );
    SETTLE = Sql::both(
        "-- settle
update spend set state = 'settled', amount = $2, input_tokens = $3, cache_write_tokens = $4, cache_read_tokens = $5,
  output_tokens = $6, settled_at = $7
where id = $1 and state = 'reserved'"
    );
    SETTLE_CUT_OFF = Sql::both(
        "-- settle_cut_off
update spend set state = 'unsettled', settled_at = $2 where attempt_id = $1 and state = 'reserved'"
    );
}

async fn totals(session: &mut Session, sql: &Sql, values: Vec<Value>) -> Result<SpendTotals, Fault> {
    let mut totals = SpendTotals::default();
    for row in session.all(sql, values).await? {
        add(&mut totals, &row)?;
    }
    Ok(totals)
}

/// Adds a row of one state.
fn add(totals: &mut SpendTotals, row: &Row) -> Result<(), Fault> {
    let amount = row.money("amount")?;
    match row.text("state")?.as_str() {
        "settled" => totals.settled += amount,
        "reserved" => totals.reserved += amount,
        "unsettled" => totals.unsettled += amount,
        other => return Err(wrong("state", other)),
    }
    totals.n_calls += row.count::<u64>("n_calls")?;
    Ok(())
}

/// Midnight UTC before `at`.
fn day_of(at: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400;
    Timestamp::from_second(at.as_second().div_euclid(DAY) * DAY).unwrap_or(Timestamp::MIN)
}

/// Midnight UTC before the first of the month of `at`.
fn month_of(at: Timestamp) -> Timestamp {
    let first = at.to_zoned(jiff::tz::TimeZone::UTC).date().first_of_month();
    first.to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp::MIN, |zoned| zoned.timestamp())
}

pub(in crate::store) async fn reserve(
    session: &mut Session,
    new: &NewReservation,
    limits: &SpendLimits,
) -> Result<Reserved, Fault> {
    session.one(&LOCK, args![]).await?;
    if session.first(&KNOWN, args![new.id]).await?.is_some() {
        return Ok(Reserved::Granted);
    }
    let (day, month) = (day_of(new.at), month_of(new.at));
    let spent = [
        SpendTotals::default(),
        totals(session, &OF_ATTEMPT, args![new.attempt]).await?,
        totals(session, &OF_ISSUE, args![new.issue]).await?,
        totals(session, &OF_SERVICE, args![&new.service, day]).await?,
        totals(session, &SINCE, args![day]).await?,
        totals(session, &SINCE, args![month]).await?,
    ];
    for ((limit, limit_amount), totals) in limits.named().into_iter().zip(spent) {
        let spent = totals.total();
        if spent + new.amount > limit_amount {
            return Ok(Reserved::Refused { limit, limit_amount, spent });
        }
    }
    let values = args![new.id, new.attempt, new.issue, &new.service, &new.model, new.amount, new.at];
    session.run(&RESERVE, values).await?;
    Ok(Reserved::Granted)
}

pub(in crate::store) async fn settle(
    session: &mut Session,
    id: ReservationId,
    usage: &Usage,
    cost: NanoUsd,
    now: Timestamp,
) -> Result<(), Fault> {
    let values = args![
        id,
        cost,
        usage.input_tokens,
        usage.cache_write_tokens,
        usage.cache_read_tokens,
        usage.output_tokens,
        now
    ];
    if session.run(&SETTLE, values).await? == 0 {
        session.first(&KNOWN, args![id]).await?.ok_or_else(|| Fault::not_found("reservation", id))?;
    }
    Ok(())
}

pub(in crate::store) async fn settle_cut_off(
    session: &mut Session,
    attempt: AttemptId,
    now: Timestamp,
) -> Result<u64, Fault> {
    session.run(&SETTLE_CUT_OFF, args![attempt, now]).await
}

pub(in crate::store) async fn of_attempt(
    session: &mut Session,
    attempt: AttemptId,
) -> Result<SpendTotals, Fault> {
    totals(session, &OF_ATTEMPT, args![attempt]).await
}

pub(in crate::store) async fn since(session: &mut Session, since: Timestamp) -> Result<SpendTotals, Fault> {
    totals(session, &SINCE, args![since]).await
}

/// Lets what the attempts of a job that is over left open count in full.
pub(super) async fn cut_off_of_job(
    session: &mut Session,
    issue: IssueId,
    job: JobId,
    now: Timestamp,
) -> Result<(), Fault> {
    session.run(&CUT_OFF_OF_JOB, args![issue, job, now]).await?;
    Ok(())
}

/// Sums by day, service, …, in the order of their keys.
pub(in crate::store) async fn by(
    session: &mut Session,
    by: SpendBy,
    span: SpendSpan,
) -> Result<Vec<SpendRow>, Fault> {
    let (sql, is_id) = match by {
        SpendBy::Day => (&BY_DAY, false),
        SpendBy::Month => (&BY_MONTH, false),
        SpendBy::Service => (&BY_SERVICE, false),
        SpendBy::Model => (&BY_MODEL, false),
        SpendBy::Issue => (&BY_ISSUE, true),
        SpendBy::Attempt => (&BY_ATTEMPT, true),
    };
    let mut rows: Vec<SpendRow> = Vec::new();
    for row in session.all(sql, args![span.since, span.until]).await? {
        let mut key = row.text("spend_key")?;
        if is_id {
            key = uuid::Uuid::parse_str(&key).map_err(|_| wrong("spend_key", &key))?.to_string();
        }
        if rows.last().is_none_or(|last| last.key != key) {
            rows.push(SpendRow { key, totals: SpendTotals::default(), usage: Usage::default() });
        }
        let Some(last) = rows.last_mut() else { continue };
        add(&mut last.totals, &row)?;
        last.usage.input_tokens += row.count::<u64>("input_tokens")?;
        last.usage.cache_write_tokens += row.count::<u64>("cache_write_tokens")?;
        last.usage.cache_read_tokens += row.count::<u64>("cache_read_tokens")?;
        last.usage.output_tokens += row.count::<u64>("output_tokens")?;
    }
    Ok(rows)
}

/// Calls whose usage is not known, newest first.
pub(in crate::store) async fn open(
    session: &mut Session,
    span: SpendSpan,
    limit: u32,
) -> Result<Vec<OpenSpend>, Fault> {
    let rows = session.all(&OPEN, args![span.since, span.until, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(OpenSpend {
                id: ReservationId::from_uuid(row.get("id")?),
                attempt: AttemptId::from_uuid(row.get("attempt_id")?),
                issue: IssueId::from_uuid(row.get("issue_id")?),
                service: row.text("service")?,
                model: row.text("model")?,
                amount: row.money("amount")?,
                at: row.time("at")?,
                is_cut_off: row.text("state")? == "unsettled",
            })
        })
        .collect()
}

/// What was spent on the day of `now`.
pub(super) async fn today(session: &mut Session, now: Timestamp) -> Result<SpendTotals, Fault> {
    totals(session, &SINCE, args![day_of(now)]).await
}

/// What was spent in the month of `now`.
pub(super) async fn this_month(session: &mut Session, now: Timestamp) -> Result<SpendTotals, Fault> {
    totals(session, &SINCE, args![month_of(now)]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_utc() {
        let cases = [
            ("2026-11-21T23:59:59.999999Z", "2026-11-21T00:00:00Z"),
            ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"),
            ("1969-12-31T10:00:00Z", "1969-12-31T00:00:00Z"),
        ];
        for (at, expected) in cases {
            assert_eq!(day_of(at.parse().unwrap()), expected.parse::<Timestamp>().unwrap());
        }
    }

    #[test]
    fn a_month_begins_at_midnight_utc_of_its_first_day() {
        let cases = [
            ("2026-11-30T23:59:59.999999Z", "2026-11-01T00:00:00Z"),
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("2028-02-29T10:00:00Z", "2028-02-01T00:00:00Z"),
        ];
        for (at, expected) in cases {
            assert_eq!(month_of(at.parse().unwrap()), expected.parse::<Timestamp>().unwrap());
        }
    }
}
