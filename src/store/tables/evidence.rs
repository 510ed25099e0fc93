//! What shows an issue's life: how often it was seen in which minute, and a few records as they were logged.

use std::collections::BTreeMap;

use crate::base::id::{IssueId, SampleId};
use crate::model::fingerprint::Fingerprint;
use crate::model::occurrence::{Around, OccurrenceGroup};
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{batch, statements};
use crate::store::types::{FIRST_SAMPLES, MAX_SAMPLES};
use crate::store::value::{args, hex_id, hex_of, json_rows, saturated};

statements! {
    ADD_MINUTES = batch!(
        "-- add_minutes
insert into minutes (issue_id, minute, count) select r.issue_id, r.minute, r.count from ",
        [issue_id uuid, minute int, count int],
        " where true order by r.ordinal
on conflict (issue_id, minute) do update set count = minutes.count + excluded.count"
    );
    ADD_SAMPLES = batch!(
        "-- add_samples
insert into samples (issue_id, seq, at, text, origin, revision, around_id, lines_before, lines_after, identity)
select r.issue_id,
  coalesce((select max(seq) from samples where samples.issue_id = r.issue_id), 0)
    + row_number() over (partition by r.issue_id order by r.ordinal),
  r.at, r.text, r.origin, r.revision, r.around_id, r.lines_before, r.lines_after, r.identity
from ",
        [
            issue_id uuid, at int, text text, origin text, revision text, around_id uuid, lines_before text,
            lines_after text, identity bytes,
        ],
        ""
    );
    ADD_LATER_LINES = batch!(
        "-- add_later_lines
update samples set lines_after = r.lines_after from ",
        [around_id uuid, lines_after text],
        " where samples.around_id = r.around_id"
    );
    // Between the first and the newest.
    DROP_SAMPLES = batch!(
        "-- drop_samples
delete from samples where issue_id in (select r.issue_id from ",
        [issue_id uuid],
        ") and seq > $2 and seq <= (select max(newest.seq) from samples newest where newest.issue_id = samples.issue_id) - $3"
    );
}

/// A group of a commit, and the issue it counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept<'a> {
    pub(super) issue: IssueId,
    pub(super) group: &'a OccurrenceGroup,
    /// The fingerprint of its records, where a person merged that with the issue's.
    pub(super) merged_from: Option<Fingerprint>,
}

/// The microseconds of a minute.
const MINUTE: i64 = 60_000_000;

#[derive(serde::Serialize)]
struct MinuteRow {
    issue_id: String,
    minute: i64,
    count: i64,
}

/// Occurrences of a group count in the minute of its last: a commit holds a second or so, and no more is known.
pub(super) async fn add_minutes(session: &mut Session, seen: &[Kept<'_>]) -> Result<(), Fault> {
    let mut counts: BTreeMap<(IssueId, i64), i64> = BTreeMap::new();
    for Kept { issue, group, merged_from: _ } in seen {
        let minute = group.last_seen.as_microsecond().div_euclid(MINUTE) * MINUTE;
        let count = counts.entry((*issue, minute)).or_default();
        *count = count.saturating_add(saturated(group.count));
    }
    let rows: Vec<MinuteRow> = counts
        .into_iter()
        .map(|((issue, minute), count)| MinuteRow { issue_id: hex_id(issue.uuid()), minute, count })
        .collect();
    if !rows.is_empty() {
        session.run(&ADD_MINUTES, vec![json_rows(&rows)?]).await?;
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct SampleRow<'a> {
    issue_id: String,
    at: i64,
    text: &'a str,
    origin: &'a str,
    revision: Option<&'a str>,
    around_id: Option<String>,
    lines_before: &'a str,
    lines_after: &'a str,
    identity: Option<String>,
}

/// Adds samples, and drops those between the first and the newest.
pub(super) async fn add_samples(session: &mut Session, seen: &[Kept<'_>]) -> Result<(), Fault> {
    let samples = seen.iter().flat_map(|kept| kept.group.samples.iter().map(move |it| (kept, it)));
    let rows: Vec<SampleRow<'_>> = samples
        .map(|(kept, sample)| SampleRow {
            issue_id: hex_id(kept.issue.uuid()),
            at: sample.at.as_microsecond(),
            text: sample.text.as_str(),
            origin: &sample.origin,
            revision: sample.revision.as_deref(),
            around_id: sample.around.id.map(|id| hex_id(id.uuid())),
            lines_before: sample.around.before.as_str(),
            lines_after: sample.around.after.as_str(),
            identity: kept.merged_from.map(hex_of),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = json_rows(&rows)?;
    session.run(&ADD_SAMPLES, vec![rows.clone()]).await?;
    let kept = args![FIRST_SAMPLES, MAX_SAMPLES - FIRST_SAMPLES];
    session.run(&DROP_SAMPLES, [vec![rows], kept].concat()).await?;
    Ok(())
}

#[derive(serde::Serialize)]
struct LaterRow<'a> {
    around_id: String,
    lines_after: &'a str,
}

/// Adds lines that came behind records which are stored; those of records that are gone are left out.
pub(super) async fn add_later_lines(session: &mut Session, later: &[Around]) -> Result<(), Fault> {
    // Of two for one record the later counts.
    let by_id: BTreeMap<SampleId, &str> =
        later.iter().filter_map(|around| Some((around.id?, around.after.as_str()))).collect();
    let rows: Vec<LaterRow<'_>> = by_id
        .into_iter()
        .map(|(id, lines_after)| LaterRow { around_id: hex_id(id.uuid()), lines_after })
        .collect();
    if !rows.is_empty() {
        session.run(&ADD_LATER_LINES, vec![json_rows(&rows)?]).await?;
    }
    Ok(())
}
