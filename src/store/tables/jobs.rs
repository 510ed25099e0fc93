//! Jobs as rows: queueing them, reading them, and their steps. Who may run one is `queue`'s business.

use std::collections::{BTreeMap, HashSet};

use super::issues::{self, Move};
use super::stories;
use crate::base::clock::Timestamp;
use crate::base::id::{IssueId, JobId};
use crate::model::issue::IssueEvent;
use crate::model::job::{ISSUE_PLACEHOLDER, Job, JobKind, JobState, JobStep, NewJob};
use crate::store::blob;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, batch, for_update, statements};
use crate::store::types::{DEFAULT_LIMIT, JobFilter};
use crate::store::value::{Row, args, hex_id, json_rows};

macro_rules! columns {
    () => {
        "id, issue_id, unique_key, priority, run_at, state, n_failures, n_leases, payload, progress, result, \
         is_cancel_requested, created_at, updated_at"
    };
}
pub(super) use columns;

statements! {
    ONE = Sql::both(concat!("-- job\nselect ", columns!(), " from jobs where id = $1"));
    LOCK = for_update!("-- lock_job\nselect ", columns!(), " from jobs where id = $1");
    LIST = Sql::both(concat!(
        "-- jobs\nselect ", columns!(), " from jobs
where (issue_id = $1 or $1 is null) and (kind = $2 or $2 is null) and (state = $3 or $3 is null)
order by created_at desc, id desc limit $4"
    ));
    QUEUE = batch!(
        "-- queue_jobs
insert into jobs (id, issue_id, unique_key, kind, priority, run_at, state, n_failures, n_leases, payload, is_cancel_requested,
  created_at, updated_at)
select r.id, r.issue_id, r.unique_key, r.kind, r.priority, r.run_at, 'queued', 0, 0, r.payload, false, $2, $2 from ",
        [id uuid, issue_id uuid, unique_key text, kind text, priority int, run_at int, payload text],
        " where true order by r.ordinal on conflict (unique_key) do nothing returning id"
    );
    BY_KEY = Sql::both("-- job_by_key\nselect id from jobs where unique_key = $1");
    ADD_STEP = Sql::both(
        "-- add_step
insert into steps (job_id, seq, at, name, detail)
select $1, coalesce(max(seq), 0) + 1, $2, $3, $4 from steps where job_id = $1"
    );
    STEPS = Sql::both(
        "-- steps
select seq, at, name, detail from steps where job_id = $1 and seq > $2 order by seq"
    );
}

pub(super) fn job_of(row: &Row) -> Result<Job, Fault> {
    Ok(Job {
        id: JobId::from_uuid(row.get("id")?),
        issue: row.get::<Option<_>>("issue_id")?.map(IssueId::from_uuid),
        unique_key: row.text("unique_key")?,
        priority: row.count("priority")?,
        run_at: row.time("run_at")?,
        state: row.named("state", JobState::from_name)?,
        n_failures: row.count("n_failures")?,
        n_leases: row.count("n_leases")?,
        payload: blob::read_payload(&row.text("payload")?)?,
        progress: row.get("progress")?,
        result: row.get("result")?,
        is_cancel_requested: row.get("is_cancel_requested")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(in crate::store) async fn one(session: &mut Session, id: JobId) -> Result<Job, Fault> {
    let row = session.first(&ONE, args![id]).await?;
    job_of(&row.ok_or_else(|| Fault::not_found("job", id))?)
}

/// The job, held until the end of the transaction.
pub(super) async fn lock(session: &mut Session, id: JobId) -> Result<Job, Fault> {
    let row = session.first(&LOCK, args![id]).await?;
    job_of(&row.ok_or_else(|| Fault::not_found("job", id))?)
}

pub(in crate::store) async fn list(session: &mut Session, filter: &JobFilter) -> Result<Vec<Job>, Fault> {
    let limit = if filter.limit == 0 { DEFAULT_LIMIT } else { filter.limit };
    let values = args![filter.issue, filter.kind.map(JobKind::name), filter.state.map(JobState::name), limit];
    session.all(&LIST, values).await?.iter().map(job_of).collect()
}

/// A job with its id and its issue, ready to be queued.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) id: JobId,
    pub(super) issue: Option<IssueId>,
    pub(super) kind: JobKind,
    row: QueueRow,
}

#[derive(Debug, serde::Serialize)]
struct QueueRow {
    id: String,
    issue_id: Option<String>,
    unique_key: String,
    kind: &'static str,
    priority: i32,
    run_at: i64,
    payload: String,
}

/// Fills in `issue` where the job names none.
pub(super) fn prepare(job: &NewJob, issue: Option<IssueId>, now: Timestamp) -> Result<Prepared, Fault> {
    let id = JobId::new();
    let issue = job.issue.or(issue);
    let unique_key = match issue {
        Some(issue) => job.unique_key.replace(ISSUE_PLACEHOLDER, &issue.to_string()),
        None => job.unique_key.clone(),
    };
    let row = QueueRow {
        id: hex_id(id.uuid()),
        issue_id: issue.map(|issue| hex_id(issue.uuid())),
        unique_key,
        kind: job.kind().name(),
        priority: job.priority,
        run_at: job.run_at.unwrap_or(now).as_microsecond(),
        payload: blob::write_payload(&job.payload)?,
    };
    Ok(Prepared { id, issue, kind: job.kind(), row })
}

/// Queues jobs, but for those whose unique key is there already; gives back the ids of those that are new.
pub(super) async fn insert(
    session: &mut Session,
    jobs: &[Prepared],
    now: Timestamp,
) -> Result<HashSet<JobId>, Fault> {
    if jobs.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<&QueueRow> = jobs.iter().map(|job| &job.row).collect();
    let inserted = session.all(&QUEUE, vec![json_rows(&rows)?, now.into()]).await?;
    session.has_queued |= !inserted.is_empty();
    inserted.iter().map(|row| Ok(JobId::from_uuid(row.get("id")?))).collect()
}

/// What queueing jobs of these kinds means for their issue; `None` if nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Queued {
    is_acted: bool,
    has_fix: bool,
}

impl Queued {
    pub(super) fn add(&mut self, kind: JobKind) {
        match kind {
            JobKind::Ticket => self.is_acted = true,
            JobKind::Fix => (self.is_acted, self.has_fix) = (true, true),
            JobKind::Propose | JobKind::Land | JobKind::Announce => {}
        }
    }

    pub(super) const fn is_acted(self) -> bool {
        self.is_acted
    }

    /// The event of a fix that was queued.
    pub(super) const fn event(self) -> Option<IssueEvent> {
        if self.has_fix { Some(IssueEvent::FixQueued) } else { None }
    }
}

/// Queues jobs of issues that nobody holds yet, and moves these to `Fixing` where a fix was queued, with an entry in their story.
pub(super) async fn queue(session: &mut Session, jobs: &[Prepared], now: Timestamp) -> Result<(), Fault> {
    let inserted = insert(session, jobs, now).await?;
    let new = jobs.iter().filter(|job| inserted.contains(&job.id));
    note_queued(session, new.filter_map(|job| Some((job.issue?, job.kind))), now).await
}

/// Moves issues to `Fixing` for which a fix was queued, with an entry in their story.
pub(super) async fn note_queued(
    session: &mut Session,
    queued: impl Iterator<Item = (IssueId, JobKind)>,
    now: Timestamp,
) -> Result<(), Fault> {
    let mut by_issue: BTreeMap<IssueId, Queued> = BTreeMap::new();
    for (issue, kind) in queued {
        by_issue.entry(issue).or_default().add(kind);
    }
    by_issue.retain(|_, queued| queued.is_acted());
    if by_issue.is_empty() {
        return Ok(());
    }
    let states = issues::lock_states(session, by_issue.keys().copied()).await?;
    let mut moves = Vec::new();
    let mut entries = Vec::new();
    for (issue, queued) in by_issue {
        let Some(state) = states.get(&issue) else { continue };
        issues::refuse_merged(issue, *state)?;
        let before = state.at(now);
        let to = queued.event().map_or(before, |event| before.after(event));
        if to != before {
            entries.push((issue, stories::own_entry(now, "fix queued", "")));
        }
        moves.push(Move { issue, to, is_acted: true });
    }
    issues::set_states(session, &moves, now).await?;
    stories::add_all(session, &entries).await?;
    Ok(())
}

pub(in crate::store) async fn enqueue(
    session: &mut Session,
    job: &NewJob,
    now: Timestamp,
) -> Result<JobId, Fault> {
    let prepared = [prepare(job, None, now)?];
    queue(session, &prepared, now).await?;
    let row = session.one(&BY_KEY, args![&prepared[0].row.unique_key]).await?;
    Ok(JobId::from_uuid(row.get("id")?))
}

pub(in crate::store) async fn add_step(
    session: &mut Session,
    job: JobId,
    at: Timestamp,
    name: &str,
    detail: &str,
) -> Result<(), Fault> {
    // Holding the job keeps two writers from taking the same number.
    lock(session, job).await?;
    session.run(&ADD_STEP, args![job, at, name, detail]).await?;
    Ok(())
}

pub(in crate::store) async fn steps(
    session: &mut Session,
    job: JobId,
    after: i64,
) -> Result<Vec<JobStep>, Fault> {
    let rows = session.all(&STEPS, args![job, after]).await?;
    rows.iter()
        .map(|row| {
            Ok(JobStep {
                job,
                seq: row.get("seq")?,
                at: row.time("at")?,
                name: row.text("name")?,
                detail: row.text("detail")?,
            })
        })
        .collect()
}
