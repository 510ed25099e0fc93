//! `homeostat status`, `pause` and `resume`.

use serde_json::json;

use super::context::{Context, actor};
use super::exit::Failure;
use super::print;

/// Prints what is broken and what runs.
pub(super) async fn status(context: &Context, as_json: bool) -> Result<(), Failure> {
    let overview = context.store.overview(context.clock.now()).await.map_err(anyhow::Error::new)?;
    if as_json {
        let issues: serde_json::Map<_, _> =
            overview.issues_by_state.iter().map(|(state, n)| (state.clone(), json!(n))).collect();
        let jobs: Vec<_> = overview
            .jobs
            .iter()
            .map(|(kind, state, n)| json!({ "kind": kind, "state": state, "count": n }))
            .collect();
        print::json(&json!({
            "paused": overview.is_paused,
            "issues": issues,
            "jobs": jobs,
            "occurrences": overview.n_occurrences,
            "gaps": overview.n_gaps,
            "spent_today_usd": overview.spend_today.total().usd(),
        }));
        return Ok(());
    }
    print::line(if overview.is_paused { "healing is paused: `homeostat resume`" } else { "healing is on" });
    print::line(format!("occurrences  {}", overview.n_occurrences));
    for (state, n) in &overview.issues_by_state {
        print::line(format!("issues       {n:>6}  {state}"));
    }
    for (kind, state, n) in &overview.jobs {
        print::line(format!("jobs         {n:>6}  {kind} {state}"));
    }
    print::line(format!("gaps         {}", overview.n_gaps));
    print::line(format!("spent today  {}", overview.spend_today.total()));
    Ok(())
}

/// Turns the pause switch.
pub(super) async fn set_paused(context: &Context, is_paused: bool, as_json: bool) -> Result<(), Failure> {
    let now = context.clock.now();
    context.store.set_paused(is_paused, &actor(), now).await.map_err(anyhow::Error::new)?;
    if as_json {
        print::json(&json!({ "paused": is_paused }));
    } else {
        print::line(if is_paused {
            "paused: no new job starts, running ones stop within seconds"
        } else {
            "resumed"
        });
    }
    Ok(())
}
