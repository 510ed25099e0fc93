//! Which address leads where.

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

use super::state::App;
use super::{actions, alerts, assets, error, guard, health, live, login, merges, pages, rule_cost};

/// A request that takes longer is answered 408. Event streams answer at once and go on.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest body taken: an Alertmanager group with many alerts stays far below.
const MAX_BODY: usize = 8 << 20;

/// All addresses of the daemon.
pub fn router(app: App) -> Router {
    let changes = Router::new()
        .route("/issues/{id}/mute", post(actions::mute))
        .route("/issues/{id}/unmute", post(actions::unmute))
        .route("/issues/{id}/retry", post(actions::retry))
        .route("/issues/{id}/merge", post(merges::merge))
        .route("/issues/{id}/suggestion/accept", post(merges::accept))
        .route("/issues/{id}/suggestion/dismiss", post(merges::dismiss))
        .route("/aliases/{id}/unmerge", post(merges::unmerge))
        .route("/proposals/{id}/accept", post(actions::accept))
        .route("/proposals/{id}/close", post(actions::close))
        .route("/jobs/{id}/cancel", post(actions::cancel_job))
        .route("/jobs/{id}/requeue", post(actions::requeue_job))
        .route("/pause", post(actions::pause))
        .route("/resume", post(actions::resume))
        .route("/login", post(login::login))
        .route("/v1/alerts", post(alerts::receive));
    let pages = Router::new()
        .route("/", get(pages::issues))
        .route("/issues/{id}", get(pages::issue))
        .route("/jobs", get(pages::jobs))
        .route("/gaps", get(pages::gaps))
        .route("/tickets/{number}", get(pages::ticket))
        .route("/attempts/{id}/patch", get(pages::patch))
        .route("/login", get(login::page))
        .route("/assets/{name}", get(assets::asset))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/metrics/rules", get(rule_cost::costs));
    let streams =
        Router::new().route("/events", get(live::overview)).route("/issues/{id}/events", get(live::issue));
    let inside = pages
        .merge(changes)
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .merge(streams)
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .layer(CatchPanicLayer::new())
        .with_state(app);
    // A router of its own around the other: which methods an address takes is only known outside of it.
    Router::new()
        .fallback_service(inside)
        .layer(middleware::from_fn(error::in_house))
        .layer(middleware::from_fn(guard::headers))
}
