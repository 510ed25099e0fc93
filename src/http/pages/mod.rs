//! The dashboard's pages: each asks the store and fills a template.

mod aliases;
mod chart;
mod diff;
mod issue;
mod issues;
mod jobs;
mod markdown;
mod show;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Html;

use super::error::HttpError;
use super::state::App;
use crate::model::money::NanoUsd;
use crate::store::StoreError;
use crate::store::types::{Overview, SpendLimits, SpendTotals};

pub(super) use issue::{issue, patch, ticket};
pub(super) use issues::issues;
pub(super) use jobs::{gaps, jobs};

/// What the head of every page shows.
#[derive(Debug)]
struct Head {
    is_paused: bool,
    n_open: u64,
    n_running: u64,
    n_dead: u64,
    n_gaps: u64,
    spent_today: String,
    limit_today: String,
    /// Whether less than a tenth of the day's or the month's money is left.
    is_money_short: bool,
    spent_month: String,
    limit_month: String,
    /// Limits on money and what of today's is only reserved, in words.
    money: String,
}

impl Head {
    async fn load(app: &App) -> Result<Self, StoreError> {
        let overview = app.store.overview(app.clock.now()).await?;
        let jobs_in =
            |state: &str| overview.jobs.iter().filter(|(_, it, _)| it == state).map(|(_, _, n)| n).sum();
        let limits = &app.settings.spend;
        let (today, month) = (overview.spend_today.total(), overview.spend_month.total());
        let is_short = |spent: NanoUsd, limit: NanoUsd| spent.0 > limit.0 / 10 * 9;
        Ok(Self {
            is_paused: overview.is_paused,
            n_open: open_issues(&overview),
            n_running: jobs_in("running"),
            n_dead: jobs_in("dead"),
            n_gaps: overview.n_gaps,
            spent_today: dollars(today),
            limit_today: dollars(limits.per_day),
            is_money_short: is_short(today, limits.per_day) || is_short(month, limits.per_month),
            spent_month: dollars(month),
            limit_month: dollars(limits.per_month),
            money: money(limits, &overview),
        })
    }
}

fn dollars(amount: NanoUsd) -> String {
    format!("${:.2}", amount.usd())
}

fn money(limits: &SpendLimits, overview: &Overview) -> String {
    let limits: Vec<String> =
        limits.named().into_iter().map(|(name, amount)| format!("{} per {name}", dollars(amount))).collect();
    let SpendTotals { reserved, unsettled, .. } = overview.spend_today;
    format!(
        "Limits: {}. Of today's money {} is reserved for calls under way, {} counts for calls that were cut off.",
        limits.join(", "),
        dollars(reserved),
        dollars(unsettled)
    )
}

/// Issues that are not over, not muted and not merged.
fn open_issues(overview: &Overview) -> u64 {
    let over = ["landed", "resolved", "muted", "merged"];
    overview.issues_by_state.iter().filter(|(state, _)| !over.contains(&state.as_str())).map(|(_, n)| n).sum()
}

fn render(template: &impl Template) -> Result<Html<String>, HttpError> {
    let html = template.render().map_err(|error| {
        tracing::error!(%error, "failed to render a page");
        HttpError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be rendered; homeostat's log says why",
        )
    });
    html.map(Html)
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    status: u16,
    message: &'a str,
}

/// The page of a failed request; needs no store.
pub(super) fn error_page(status: StatusCode, message: &str) -> String {
    ErrorPage { status: status.as_u16(), message }.render().unwrap_or_else(|_| message.to_owned())
}

pub(super) async fn not_found() -> HttpError {
    HttpError::new(StatusCode::NOT_FOUND, "there is no such page")
}
