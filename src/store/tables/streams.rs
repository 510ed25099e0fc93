//! What is known of the streams that are read: cursors, gaps, and deliveries already taken.

use std::collections::HashSet;

use crate::base::clock::Timestamp;
use crate::model::cursor::{Cursor, Gap, StreamKey};
use crate::store::blob;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, statements};
use crate::store::types::DEFAULT_LIMIT;
use crate::store::value::{args, json_rows};

statements! {
    CURSOR = Sql::both("-- cursor\nselect cursor from cursors where stream = $1");
    SAVE_CURSORS = batch!(
        "-- save_cursors
insert into cursors (stream, cursor, updated_at) select r.stream, r.cursor, $2 from ",
        [stream text, cursor text],
        " where true order by r.stream
on conflict (stream) do update set cursor = excluded.cursor, updated_at = excluded.updated_at"
    );
    GAPS = Sql::both(
        "-- gaps
select stream, service, noticed_at, lost_from, lost_to, reason from gaps order by seq desc limit $1"
    );
    SAVE_GAPS = batch!(
        "-- save_gaps
insert into gaps (stream, service, noticed_at, lost_from, lost_to, reason)
select r.stream, r.service, r.noticed_at, r.lost_from, r.lost_to, r.reason from ",
        [stream text, service text, noticed_at int, lost_from text, lost_to text, reason text],
        " order by r.ordinal"
    );
    TAKE_DELIVERIES = batch!(
        "-- take_deliveries
insert into deliveries (key, committed_at) select r.delivery, $2 from ",
        [delivery text],
        " where true order by r.delivery on conflict (key) do nothing returning key"
    );
}

pub(in crate::store) async fn cursor(
    session: &mut Session,
    stream: &StreamKey,
) -> Result<Option<Cursor>, Fault> {
    let row = session.first(&CURSOR, args![&stream.0]).await?;
    row.map(|row| blob::read_cursor(&row.text("cursor")?)).transpose()
}

#[derive(serde::Serialize)]
struct CursorRow<'a> {
    stream: &'a str,
    cursor: String,
}

/// Saves cursors; of two for one stream the later counts.
pub(super) async fn save_cursors(
    session: &mut Session,
    cursors: &[(StreamKey, Cursor)],
    now: Timestamp,
) -> Result<(), Fault> {
    let latest: std::collections::BTreeMap<&str, &Cursor> =
        cursors.iter().map(|(stream, cursor)| (stream.0.as_str(), cursor)).collect();
    if latest.is_empty() {
        return Ok(());
    }
    let rows = latest
        .into_iter()
        .map(|(stream, cursor)| Ok(CursorRow { stream, cursor: blob::write_cursor(cursor)? }))
        .collect::<Result<Vec<_>, Fault>>()?;
    session.run(&SAVE_CURSORS, vec![json_rows(&rows)?, now.into()]).await?;
    Ok(())
}

#[derive(serde::Serialize)]
struct GapRow<'a> {
    stream: &'a str,
    service: &'a str,
    noticed_at: i64,
    lost_from: &'a str,
    lost_to: &'a str,
    reason: &'a str,
}

pub(super) async fn save_gaps(session: &mut Session, gaps: &[Gap]) -> Result<(), Fault> {
    if gaps.is_empty() {
        return Ok(());
    }
    let rows: Vec<GapRow<'_>> = gaps
        .iter()
        .map(|gap| GapRow {
            stream: &gap.stream.0,
            service: &gap.service,
            noticed_at: gap.noticed_at.as_microsecond(),
            lost_from: &gap.from,
            lost_to: &gap.to,
            reason: &gap.reason,
        })
        .collect();
    session.run(&SAVE_GAPS, vec![json_rows(&rows)?]).await?;
    Ok(())
}

pub(in crate::store) async fn gaps(session: &mut Session, limit: u32) -> Result<Vec<Gap>, Fault> {
    let limit = if limit == 0 { DEFAULT_LIMIT } else { limit };
    let rows = session.all(&GAPS, args![limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Gap {
                stream: StreamKey(row.text("stream")?),
                service: row.text("service")?,
                noticed_at: row.time("noticed_at")?,
                from: row.text("lost_from")?,
                to: row.text("lost_to")?,
                reason: row.text("reason")?,
            })
        })
        .collect()
}

#[derive(serde::Serialize)]
struct DeliveryRow<'a> {
    delivery: &'a str,
}

/// Notes deliveries; gives back the keys that were not there before.
pub(super) async fn take_deliveries(
    session: &mut Session,
    keys: impl Iterator<Item = &str>,
    now: Timestamp,
) -> Result<HashSet<String>, Fault> {
    let rows: Vec<DeliveryRow<'_>> = keys.map(|delivery| DeliveryRow { delivery }).collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let taken = session.all(&TAKE_DELIVERIES, vec![json_rows(&rows)?, now.into()]).await?;
    taken.iter().map(|row| row.text("key")).collect()
}
