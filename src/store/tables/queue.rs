//! The right to run a job: leases, heartbeats, ends, and what people do to jobs.

use std::time::Duration;

use super::issues::{self, Move};
use super::jobs::{self, columns, job_of};
use super::{audit, meta, spend, stories};
use crate::base::clock::Timestamp;
use crate::base::id::{IssueId, JobId, LeaseToken};
use crate::model::attempt::Outcome;
use crate::model::issue::{IssueEvent, IssueState};
use crate::model::job::{Heartbeat, Job, JobKind, JobState, Lease};
use crate::model::stage::{StageOutcome, StageResult};
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, for_update, statements};
use crate::store::types::{Held, StoreError};
use crate::store::value::{Row, args};

/// `$1` now, `$2` kinds, `$3` token, `$4` expiry, `$5` owner; between the two halves goes what locks the row.
macro_rules! lease {
    ($lock:literal) => {
        concat!(
            "-- lease_job
update jobs set state = 'running', n_leases = n_leases + 1, lease_token = $3, lease_expires_at = $4, lease_owner = $5, updated_at = $1
where id = (
  select id from jobs
  where state in ('queued', 'running')
    and case when state = 'queued' then run_at <= $1 else lease_expires_at <= $1 end
    and not is_cancel_requested
    and $2 like '%,' || kind || ',%'
    and not exists (select 1 from meta where key = 'paused' and value = 'true')
  order by priority desc, run_at, id limit 1",
            $lock,
            ")
returning ",
            columns!()
        )
    };
}

statements! {
    LEASE = Sql { sqlite: lease!(""), postgres: lease!(" for update skip locked") };
    // Asked to stop, and then its worker was gone: nobody is left to say that it ended.
    ABANDONED = for_update!(
        "-- abandoned_jobs\nselect ", columns!(), " from jobs
where state in ('queued', 'running') and is_cancel_requested and lease_expires_at <= $1
order by id limit 10"
    );
    HEARTBEAT = Sql::both(
        "-- heartbeat
update jobs set lease_expires_at = $4, updated_at = $3
where id = $1 and lease_token = $2 and state = 'running' and lease_expires_at > $3 returning is_cancel_requested"
    );
    SAVE_PROGRESS = Sql::both(
        "-- save_progress
update jobs set progress = $4, updated_at = $3
where id = $1 and lease_token = $2 and state = 'running' and lease_expires_at > $3"
    );
    HELD = for_update!(
        "-- held_job\nselect ", columns!(), " from jobs
where id = $1 and lease_token = $2 and state = 'running' and lease_expires_at > $3"
    );
    UNLEASE = Sql::both("-- unlease_job\nupdate jobs set n_leases = n_leases - 1 where id = $1 and n_leases > 0");
    SET_STATE = Sql::both(
        "-- set_job_state
update jobs set state = $2, run_at = $3, n_failures = $4, result = $5, is_cancel_requested = $6, updated_at = $7,
  lease_token = case when $2 = 'running' then lease_token end,
  lease_owner = case when $2 = 'running' then lease_owner end,
  lease_expires_at = case when $2 = 'running' then lease_expires_at end
where id = $1"
    );
}

fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ttl = jiff::SignedDuration::try_from(ttl).unwrap_or(jiff::SignedDuration::MAX);
    now.saturating_add(ttl).unwrap_or(Timestamp::MAX)
}

/// The next job, if one is due.
pub(in crate::store) async fn lease(
    session: &mut Session,
    kinds: &[JobKind],
    owner: &str,
    now: Timestamp,
    ttl: Duration,
) -> Result<Option<Lease>, Fault> {
    let kinds = kinds.iter().fold(",".to_owned(), |list, kind| list + kind.name() + ",");
    let token = LeaseToken::new();
    let expires_at = after(now, ttl);
    let leased = session.first(&LEASE, args![now, kinds, token, expires_at, owner]).await?;
    let Some(row) = leased else {
        end_abandoned(session, now).await?;
        return Ok(None);
    };
    let expires_at = Timestamp::from_microsecond(expires_at.as_microsecond()).unwrap_or(expires_at);
    Ok(Some(Lease { job: job_of(&row)?, token, expires_at }))
}

async fn end_abandoned(session: &mut Session, now: Timestamp) -> Result<(), Fault> {
    let rows = session.all(&ABANDONED, args![now]).await?;
    for mut job in rows.iter().map(job_of).collect::<Result<Vec<_>, _>>()? {
        job.state = JobState::Cancelled;
        set_state(session, &mut job, now).await?;
        fix_stopped(session, &job, "cancelled", now).await?;
    }
    Ok(())
}

pub(in crate::store) async fn heartbeat(
    session: &mut Session,
    job: JobId,
    token: LeaseToken,
    now: Timestamp,
    ttl: Duration,
) -> Result<Heartbeat, Fault> {
    let Some(row) = session.first(&HEARTBEAT, args![job, token, now, after(now, ttl)]).await? else {
        return Ok(Heartbeat::Lost);
    };
    if row.get("is_cancel_requested")? {
        Ok(Heartbeat::CancelRequested)
    } else if meta::is_paused(session).await? {
        Ok(Heartbeat::Paused)
    } else {
        Ok(Heartbeat::Extended)
    }
}

/// Refuses what follows unless the lease is held, and keeps it held until the end of the transaction.
pub(in crate::store) async fn hold(session: &mut Session, held: Held) -> Result<(), Fault> {
    let row = session.first(&HELD, args![held.job, held.token, held.now]).await?;
    row.map(|_| ()).ok_or(Fault::Said(StoreError::LeaseLost { job: held.job }))
}

pub(in crate::store) async fn save_progress(
    session: &mut Session,
    job: JobId,
    token: LeaseToken,
    state: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    match session.run(&SAVE_PROGRESS, args![job, token, now, state]).await? {
        0 => Err(Fault::Said(StoreError::LeaseLost { job })),
        _ => Ok(()),
    }
}

/// Ends a lease.
pub(in crate::store) async fn complete(
    session: &mut Session,
    id: JobId,
    token: LeaseToken,
    outcome: &StageOutcome,
    retry_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Fault> {
    let held: Option<Row> = session.first(&HELD, args![id, token, now]).await?;
    let mut job = job_of(&held.ok_or(StoreError::LeaseLost { job: id })?)?;
    match &outcome.result {
        StageResult::Done { summary } => {
            job.state = JobState::Done;
            job.result = Some(summary.clone());
        }
        StageResult::Retry { reason, after: _ } => {
            job.n_failures += 1;
            job.result = Some(reason.clone());
            match retry_at {
                Some(retry_at) => (job.state, job.run_at) = (JobState::Queued, retry_at),
                None => job.state = JobState::Dead,
            }
        }
        StageResult::Failed { reason } => {
            job.n_failures += 1;
            job.result = Some(reason.clone());
            job.state = JobState::Dead;
        }
        // Nothing was tried: neither a failure nor a lease that counts.
        StageResult::Postponed { reason, after: _ } => {
            session.run(&UNLEASE, args![id]).await?;
            job.result = Some(reason.clone());
            (job.state, job.run_at) = (JobState::Queued, retry_at.unwrap_or(now));
        }
        // Its time to run stays, and with it its place in the queue.
        StageResult::Released => job.state = JobState::Queued,
    }
    if job.is_cancel_requested && job.state != JobState::Done {
        job.state = JobState::Cancelled;
    }
    set_state(session, &mut job, now).await?;
    let next =
        outcome.next.iter().map(|next| jobs::prepare(next, job.issue, now)).collect::<Result<Vec<_>, _>>()?;
    jobs::queue(session, &next, now).await?;
    fix_stopped(session, &job, job.result.as_deref().unwrap_or("cancelled"), now).await
}

/// Writes what may have changed of a job.
async fn set_state(session: &mut Session, job: &mut Job, now: Timestamp) -> Result<(), Fault> {
    job.updated_at = now;
    session.has_queued |= job.state == JobState::Queued;
    let values = args![
        job.id,
        job.state.name(),
        job.run_at,
        job.n_failures,
        job.result.clone(),
        job.is_cancel_requested,
        now
    ];
    session.run(&SET_STATE, values).await?;
    Ok(())
}

/// A fix, or its proposal, that is dead or cancelled leaves its issue to a person: nothing runs for it any more.
async fn fix_stopped(session: &mut Session, job: &Job, why: &str, now: Timestamp) -> Result<(), Fault> {
    let is_over = matches!(job.state, JobState::Dead | JobState::Cancelled);
    if let (Some(issue), true, JobKind::Fix) = (job.issue, is_over, job.kind()) {
        spend::cut_off_of_job(session, issue, job.id, now).await?;
    }
    let what = match job.kind() {
        JobKind::Fix => "fix stopped",
        JobKind::Propose => "proposal stopped",
        JobKind::Ticket | JobKind::Land | JobKind::Announce => return Ok(()),
    };
    let (Some(issue), true) = (job.issue, is_over) else {
        return Ok(());
    };
    let states = issues::lock_states(session, [issue]).await?;
    let Some(before @ IssueState::Fixing) = states.get(&issue).map(|state| state.at(now)) else {
        return Ok(());
    };
    let to = before.after(IssueEvent::AttemptEnded(Outcome::GaveUp));
    issues::set_states(session, &[Move { issue, to, is_acted: false }], now).await?;
    stories::add(session, issue, &stories::own_entry(now, what, why)).await
}

pub(in crate::store) async fn cancel(
    session: &mut Session,
    id: JobId,
    actor: &str,
    now: Timestamp,
) -> Result<Job, Fault> {
    let mut job = jobs::lock(session, id).await?;
    match job.state {
        JobState::Queued | JobState::Dead => job.state = JobState::Cancelled,
        JobState::Running => job.is_cancel_requested = true,
        JobState::Done | JobState::Cancelled => return Ok(job),
    }
    set_state(session, &mut job, now).await?;
    fix_stopped(session, &job, &format!("cancelled by {actor}"), now).await?;
    note(session, &job, actor, "cancel job", now).await?;
    Ok(job)
}

pub(in crate::store) async fn requeue(
    session: &mut Session,
    id: JobId,
    actor: &str,
    now: Timestamp,
) -> Result<Job, Fault> {
    let mut job = jobs::lock(session, id).await?;
    match job.state {
        JobState::Dead | JobState::Cancelled => {}
        JobState::Queued | JobState::Running | JobState::Done => return Ok(job),
    }
    if let Some(issue) = job.issue {
        let states = issues::lock_states(session, [issue]).await?;
        states.get(&issue).map_or(Ok(()), |state| issues::refuse_merged(issue, *state))?;
    }
    job.state = JobState::Queued;
    job.run_at = now;
    job.n_failures = 0;
    job.result = None;
    job.is_cancel_requested = false;
    set_state(session, &mut job, now).await?;
    let queued: Option<(IssueId, JobKind)> = job.issue.map(|issue| (issue, job.kind()));
    jobs::note_queued(session, queued.into_iter(), now).await?;
    note(session, &job, actor, "requeue job", now).await?;
    Ok(job)
}

async fn note(
    session: &mut Session,
    job: &Job,
    actor: &str,
    action: &str,
    now: Timestamp,
) -> Result<(), Fault> {
    let subject = format!("job {}", job.id);
    audit::append(session, actor, action, &subject, &format!("{}, {}", job.kind(), job.unique_key), now).await
}
