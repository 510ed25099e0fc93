//! The numbers for the dashboard's head, `status` and `/metrics`.

use super::{meta, spend};
use crate::base::clock::Timestamp;
use crate::store::fault::Fault;
use crate::store::session::Session;
use crate::store::statement::{Sql, statements};
use crate::store::types::Overview;
use crate::store::value::args;

statements! {
    // A mute whose time is over counts as open, as everywhere.
    ISSUES = Sql::both(
        "-- count_issues
select case when merged_into is not null then 'merged' when state = 'muted' and muted_until <= $1 then 'open' else state end
  as now_state, count(*) as n_issues
from issues where action = 'issue' group by now_state order by now_state"
    );
    JOBS = Sql::both("-- count_jobs\nselect kind, state, count(*) as n_jobs from jobs group by kind, state order by kind, state");
    OCCURRENCES = Sql::both(
        "-- count_occurrences\nselect cast(coalesce(sum(count), 0) as bigint) as n_occurrences from issues"
    );
    GAPS = Sql::both("-- count_gaps\nselect count(*) as n_gaps from gaps");
}

pub(in crate::store) async fn overview(session: &mut Session, now: Timestamp) -> Result<Overview, Fault> {
    let issues = session.all(&ISSUES, args![now]).await?;
    let jobs = session.all(&JOBS, args![]).await?;
    Ok(Overview {
        issues_by_state: issues
            .iter()
            .map(|row| Ok((row.text("now_state")?, row.count("n_issues")?)))
            .collect::<Result<_, Fault>>()?,
        jobs: jobs
            .iter()
            .map(|row| Ok((row.text("kind")?, row.text("state")?, row.count("n_jobs")?)))
            .collect::<Result<_, Fault>>()?,
        n_occurrences: session.one(&OCCURRENCES, args![]).await?.count("n_occurrences")?,
        n_gaps: session.one(&GAPS, args![]).await?.count("n_gaps")?,
        spend_today: spend::today(session, now).await?,
        spend_month: spend::this_month(session, now).await?,
        is_paused: meta::is_paused(session).await?,
    })
}
