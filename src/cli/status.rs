//! `homeostat status`, `pause` and `resume`.

use serde_json::json;

use super::args::Global;
use super::context::{Context, actor};
use super::exit::Failure;
use super::run::runtime;
use super::{print, problems};
use crate::base::chain::Chain;
use crate::config;
use crate::daemon::ConfigState;
use crate::store::types::{Overview, SpendLimits};

/// Prints what is broken and what runs. A config with problems will do where it says which database: the daemon goes on with an older one.
pub(super) fn status(global: &Global, as_json: bool) -> Result<(), Failure> {
    let (settings, problems) = config::check(global.config.as_deref());
    let is_known = |key: &str| problems.iter().any(|it| it.key.starts_with(key));
    let settings = match settings {
        Some(settings) if !is_known("database") && !is_known("state") => settings,
        Some(_) | None => return Err(problems::all_told(problems)),
    };
    let state = ConfigState::read(&settings.state_folder).unwrap_or_else(|error| {
        print::note(format!("what became of the config cannot be read: {}", Chain(&error)));
        None
    });
    let overview = runtime()?.block_on(async {
        let context = Context::open(&settings).await?;
        let overview = context.store.overview(context.clock.now()).await.map_err(anyhow::Error::new);
        context.store.close().await;
        Ok::<_, Failure>(overview?)
    })?;
    show(&overview, &settings.agent.spend, state.as_ref(), as_json);
    Ok(())
}

fn show(overview: &Overview, limits: &SpendLimits, config: Option<&ConfigState>, as_json: bool) {
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
            "spent_month_usd": overview.spend_month.total().usd(),
            "limits_usd": limits.named().into_iter().map(|(name, amount)| (name.to_owned(), json!(amount.usd())))
                .collect::<serde_json::Map<_, _>>(),
            "config": config.map(|it| json!({
                "running": it.is_running(),
                "read_at": it.read_at,
                "used_since": it.used_since,
                "current": it.problems.is_empty(),
                "problems": it.problems,
            })),
        }));
        return;
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
    print::line(format!("spent today  {} of {}", overview.spend_today.total(), limits.per_day));
    print::line(format!("spent month  {} of {}", overview.spend_month.total(), limits.per_month));
    let Some(config) = config else { return };
    let stopped = if config.is_running() { "" } else { " by a daemon that has stopped" };
    if config.problems.is_empty() {
        print::line(format!("config       current, read {}{stopped}", config.read_at));
        return;
    }
    print::line(format!(
        "config       of {}; the one read {}{stopped} cannot be used:",
        config.used_since, config.read_at
    ));
    config.problems.iter().for_each(|problem| print::line(format!("  {problem}")));
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
