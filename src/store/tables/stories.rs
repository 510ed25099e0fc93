//! An issue's story: its timeline, samples and occurrences per minute, as its page shows them.

use super::aliases;
use crate::base::clock::Timestamp;
use crate::base::id::IssueId;
use crate::base::redact::Clean;
use crate::model::occurrence::{Around, Sample};
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, statements};
use crate::store::types::{IssueDetail, MAX_MINUTES, MAX_SAMPLES, MAX_TIMELINE, TimelineEntry};
use crate::store::value::{Row, args, hex_id, json_rows};

statements! {
    SAMPLES = Sql::both(
        "-- samples
select at, text, origin, revision, lines_before, lines_after, identity from samples where issue_id = $1 order by seq desc limit $2"
    );
    MINUTES = Sql::both(
        "-- minutes
select minute, count from minutes where issue_id = $1 order by minute desc limit $2"
    );
    TIMELINE = Sql::both(
        "-- timeline
select at, actor, what, detail from timeline where issue_id = $1 order by at desc, seq desc limit $2"
    );
    ADD = batch!(
        "-- add_timeline
insert into timeline (issue_id, at, actor, what, detail)
select issues.id, r.at, r.actor, r.what, r.detail from ",
        [issue_id uuid, at int, actor text, what text, detail text],
        " join issues on issues.id = r.issue_id order by r.ordinal"
    );
}

#[derive(serde::Serialize)]
struct EntryRow<'a> {
    issue_id: String,
    at: i64,
    actor: &'a str,
    what: &'a str,
    detail: &'a str,
}

/// Adds entries; how many. Those of issues that do not exist are left out.
pub(super) async fn add_all(
    session: &mut Session,
    entries: &[(IssueId, TimelineEntry)],
) -> Result<u64, Fault> {
    if entries.is_empty() {
        return Ok(0);
    }
    let rows: Vec<EntryRow<'_>> = entries
        .iter()
        .map(|(issue, entry)| EntryRow {
            issue_id: hex_id(issue.uuid()),
            at: entry.at.as_microsecond(),
            actor: &entry.actor,
            what: &entry.what,
            detail: &entry.detail,
        })
        .collect();
    session.run(&ADD, vec![json_rows(&rows)?]).await
}

/// An entry of homeostat's own.
pub(super) fn own_entry(at: Timestamp, what: &str, detail: &str) -> TimelineEntry {
    TimelineEntry { at, actor: "homeostat".to_owned(), what: what.to_owned(), detail: detail.to_owned() }
}

pub(in crate::store) async fn add(
    session: &mut Session,
    issue: IssueId,
    entry: &TimelineEntry,
) -> Result<(), Fault> {
    match add_all(session, &[(issue, entry.clone())]).await? {
        0 => Err(Fault::not_found("issue", issue)),
        _ => Ok(()),
    }
}

pub(in crate::store) async fn detail(session: &mut Session, id: IssueId) -> Result<IssueDetail, Fault> {
    let issue = super::issues::one(session, id).await?;
    let samples = session.all(&SAMPLES, args![id, MAX_SAMPLES]).await?;
    let mut minutes = session.all(&MINUTES, args![id, MAX_MINUTES]).await?;
    let mut timeline = session.all(&TIMELINE, args![id, MAX_TIMELINE]).await?;
    let aliases = aliases::of_issue(session, id).await?;
    minutes.reverse();
    timeline.reverse();
    Ok(IssueDetail {
        issue,
        samples: samples.iter().map(sample_of).collect::<Result<_, _>>()?,
        per_minute: minutes
            .iter()
            .map(|row| Ok((row.time("minute")?, row.count("count")?)))
            .collect::<Result<_, Fault>>()?,
        timeline: timeline.iter().map(entry_of).collect::<Result<_, _>>()?,
        aliases,
    })
}

fn sample_of(row: &Row) -> Result<Sample, Fault> {
    Ok(Sample {
        at: row.time("at")?,
        // It was redacted before it came here.
        text: Clean::trusted(row.text("text")?),
        origin: row.text("origin")?,
        revision: row.get("revision")?,
        around: Around {
            id: None,
            before: Clean::trusted(row.text("lines_before")?),
            after: Clean::trusted(row.text("lines_after")?),
        },
        merged_from: row.fingerprint_or_none("identity")?,
    })
}

fn entry_of(row: &Row) -> Result<TimelineEntry, Fault> {
    Ok(TimelineEntry {
        at: row.time("at")?,
        actor: row.text("actor")?,
        what: row.text("what")?,
        detail: row.text("detail")?,
    })
}
