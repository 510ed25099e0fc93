//! Money: reserved before a call, settled after it.

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, ReservationId};
use crate::model::money::NanoUsd;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{NewReservation, Reserved, SpendLimits, SpendTotals, Usage};
use crate::store::value::{args, wrong};

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

statements! {
    // Whoever reserves holds this row: two that look at the same total at the same time could both go by its limit.
    LOCK = for_update!("-- lock_spend\nselect value from meta where key = 'spend_lock'");
    KNOWN = Sql::both("-- reservation\nselect state from spend where id = $1");
    OF_ATTEMPT = totals!("spend_of_attempt", "attempt_id = $1");
    OF_ISSUE = totals!("spend_of_issue", "issue_id = $1");
    SINCE = totals!("spend_since", "at >= $1");
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

async fn totals(
    session: &mut Session,
    sql: &Sql,
    value: impl Into<crate::store::value::Value>,
) -> Result<SpendTotals, Fault> {
    let mut totals = SpendTotals::default();
    for row in session.all(sql, vec![value.into()]).await? {
        let amount = row.money("amount")?;
        match row.text("state")?.as_str() {
            "settled" => totals.settled += amount,
            "reserved" => totals.reserved += amount,
            "unsettled" => totals.unsettled += amount,
            other => return Err(wrong("state", other)),
        }
        totals.n_calls += row.count::<u64>("n_calls")?;
    }
    Ok(totals)
}

/// Midnight UTC before `at`.
fn day_of(at: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400;
    Timestamp::from_second(at.as_second().div_euclid(DAY) * DAY).unwrap_or(Timestamp::MIN)
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
    let of_attempt = totals(session, &OF_ATTEMPT, new.attempt).await?;
    let of_issue = totals(session, &OF_ISSUE, new.issue).await?;
    let of_day = totals(session, &SINCE, day_of(new.at)).await?;
    let checks = [
        ("attempt", limits.per_attempt, of_attempt),
        ("issue", limits.per_issue, of_issue),
        ("day", limits.per_day, of_day),
    ];
    for (limit, limit_amount, totals) in checks {
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
    totals(session, &OF_ATTEMPT, attempt).await
}

pub(in crate::store) async fn since(session: &mut Session, since: Timestamp) -> Result<SpendTotals, Fault> {
    totals(session, &SINCE, since).await
}

/// What was spent on the day of `now`.
pub(super) async fn today(session: &mut Session, now: Timestamp) -> Result<SpendTotals, Fault> {
    totals(session, &SINCE, day_of(now)).await
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
}
