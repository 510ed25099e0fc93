//! `/healthz`: the process answers. `/readyz`: the store does too. `/metrics`: numbers for Prometheus.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics::gauge;

use super::error::HttpError;
use super::state::App;
use crate::base::lag;

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

pub(super) async fn ready(State(app): State<App>) -> Response {
    match app.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}

pub(super) async fn metrics(State(app): State<App>) -> Result<Response, HttpError> {
    let Some(handle) = &app.metrics else {
        return Err(HttpError::new(StatusCode::NOT_FOUND, "this process records no metrics"));
    };
    // What the store knows is asked for when it is scraped: it holds for the whole fleet and survives restarts.
    let overview = app.store.overview(app.clock.now()).await?;
    for (state, n) in &overview.issues_by_state {
        gauge!("homeostat_issues", "state" => state.clone()).set(to_f64(*n));
    }
    for (kind, state, n) in &overview.jobs {
        gauge!("homeostat_jobs", "kind" => kind.clone(), "state" => state.clone()).set(to_f64(*n));
    }
    gauge!("homeostat_stored_occurrences").set(to_f64(overview.n_occurrences));
    gauge!("homeostat_stored_gaps").set(to_f64(overview.n_gaps));
    gauge!("homeostat_spend_today_usd").set(overview.spend_today.total().usd());
    for (period, spent) in [("day", overview.spend_today), ("month", overview.spend_month)] {
        let states =
            [("settled", spent.settled), ("reserved", spent.reserved), ("unsettled", spent.unsettled)];
        for (state, amount) in states {
            gauge!("homeostat_spend_usd", "period" => period, "state" => state).set(amount.usd());
        }
    }
    for (limit, amount) in app.settings.spend.named() {
        gauge!("homeostat_spend_limit_usd", "limit" => limit).set(amount.usd());
    }
    gauge!("homeostat_paused").set(f64::from(u8::from(overview.is_paused)));
    lag::tell();
    handle.run_upkeep();
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((content_type, handle.render()).into_response())
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no integers")]
const fn to_f64(n: u64) -> f64 {
    n as f64
}
