//! Attempts and their transcripts.

use crate::base::clock::Timestamp;
use crate::base::id::{AttemptId, IssueId, JobId};
use crate::model::attempt::{Attempt, Outcome};
use crate::store::blob;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::value::{Row, args, wrong};

macro_rules! columns {
    () => {
        "id, issue_id, job_id, number, model, base_commit, started_at, ended_at, outcome, report, patch, validation, cost, \
         n_model_calls, n_tool_calls"
    };
}

statements! {
    SAVE = Sql::both(concat!(
        "-- save_attempt\ninsert into attempts (", columns!(), ")
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (id) do update set issue_id = excluded.issue_id, job_id = excluded.job_id, number = excluded.number,
  model = excluded.model, base_commit = excluded.base_commit, started_at = excluded.started_at, ended_at = excluded.ended_at,
  outcome = excluded.outcome, report = excluded.report, patch = excluded.patch, validation = excluded.validation,
  cost = excluded.cost, n_model_calls = excluded.n_model_calls, n_tool_calls = excluded.n_tool_calls"
    ));
    ONE = Sql::both(concat!("-- attempt\nselect ", columns!(), " from attempts where id = $1"));
    OF_ISSUE = Sql::both(concat!(
        "-- attempts\nselect ", columns!(), " from attempts where issue_id = $1 order by number"
    ));
    LOCK = for_update!("-- lock_attempt\nselect id from attempts where id = $1");
    LAST_ENTRY = Sql::both(
        "-- last_transcript_entry
select seq, entry from transcript where attempt_id = $1 order by seq desc limit 1"
    );
    APPEND = Sql::both(
        "-- append_transcript\ninsert into transcript (attempt_id, seq, at, entry) values ($1, $2, $3, $4)"
    );
    TRANSCRIPT = Sql::both("-- transcript\nselect entry from transcript where attempt_id = $1 order by seq");
}

pub(in crate::store) async fn save(session: &mut Session, attempt: &Attempt) -> Result<(), Fault> {
    let validation = attempt.validation.as_ref().map(blob::write_validation).transpose()?;
    let values = args![
        attempt.id,
        attempt.issue,
        attempt.job,
        attempt.number,
        &attempt.model,
        &attempt.base_commit,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome.map(Outcome::name),
        &attempt.report,
        &attempt.patch,
        validation,
        attempt.cost,
        attempt.n_model_calls,
        attempt.n_tool_calls,
    ];
    session.run(&SAVE, values).await?;
    Ok(())
}

fn attempt_of(row: &Row) -> Result<Attempt, Fault> {
    let outcome: Option<String> = row.get("outcome")?;
    let outcome =
        outcome.map(|name| Outcome::from_name(&name).ok_or_else(|| wrong("outcome", name))).transpose()?;
    let validation: Option<String> = row.get("validation")?;
    Ok(Attempt {
        id: AttemptId::from_uuid(row.get("id")?),
        issue: IssueId::from_uuid(row.get("issue_id")?),
        job: JobId::from_uuid(row.get("job_id")?),
        number: row.count("number")?,
        model: row.text("model")?,
        base_commit: row.text("base_commit")?,
        started_at: row.time("started_at")?,
        ended_at: row.time_or_none("ended_at")?,
        outcome,
        report: row.text("report")?,
        patch: row.text("patch")?,
        validation: validation.as_deref().map(blob::read_validation).transpose()?,
        cost: row.money("cost")?,
        n_model_calls: row.count("n_model_calls")?,
        n_tool_calls: row.count("n_tool_calls")?,
    })
}

pub(in crate::store) async fn one(session: &mut Session, id: AttemptId) -> Result<Attempt, Fault> {
    let row = session.first(&ONE, args![id]).await?;
    attempt_of(&row.ok_or_else(|| Fault::not_found("attempt", id))?)
}

pub(in crate::store) async fn of_issue(session: &mut Session, issue: IssueId) -> Result<Vec<Attempt>, Fault> {
    session.all(&OF_ISSUE, args![issue]).await?.iter().map(attempt_of).collect()
}

/// Appends an entry. The one that is last already, word for word, is taken as the same call made again.
pub(in crate::store) async fn append_transcript(
    session: &mut Session,
    attempt: AttemptId,
    seq: i64,
    entry: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    session.first(&LOCK, args![attempt]).await?.ok_or_else(|| Fault::not_found("attempt", attempt))?;
    let last = session.first(&LAST_ENTRY, args![attempt]).await?;
    let (last_seq, last_entry) = match last {
        Some(row) => (row.get::<i64>("seq")?, row.text("entry")?),
        None => (0, String::new()),
    };
    if seq == last_seq && last_entry == entry {
        return Ok(());
    }
    if seq != last_seq + 1 {
        return Err(Fault::Row(format!("entry {seq} of a transcript cannot follow entry {last_seq}")));
    }
    session.run(&APPEND, args![attempt, seq, now, entry]).await?;
    Ok(())
}

pub(in crate::store) async fn transcript(
    session: &mut Session,
    attempt: AttemptId,
) -> Result<Vec<String>, Fault> {
    let rows = session.all(&TRANSCRIPT, args![attempt]).await?;
    rows.iter().map(|row| row.text("entry")).collect()
}
