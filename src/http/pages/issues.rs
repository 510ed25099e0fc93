//! The list of issues.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;
use serde::Deserialize;

use super::show::{When, grouped, words};
use super::{Head, render};
use crate::http::error::HttpError;
use crate::http::live;
use crate::http::state::App;
use crate::model::issue::{Issue, IssueState};
use crate::store::types::IssueFilter;

/// Issues per page.
const PER_PAGE: u32 = 50;

/// What the address says after `?`.
#[derive(Debug, Deserialize)]
pub(in crate::http) struct ListQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    all: String,
    /// A number; what is none is the first page.
    #[serde(default)]
    page: String,
}

struct Row {
    href: String,
    title: String,
    service: String,
    fingerprint: String,
    state: &'static str,
    state_words: String,
    severity: &'static str,
    runtime: &'static str,
    count: String,
    last_seen: When,
}

struct Tab {
    name: &'static str,
    label: String,
    is_current: bool,
}

#[derive(Template)]
#[template(path = "issues.html")]
struct IssuesPage {
    head: Head,
    events: String,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    query: ListQuery,
    is_filtered: bool,
    page: u32,
    has_next: bool,
}

pub(in crate::http) async fn issues(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Html<String>, HttpError> {
    let now = app.clock.now();
    let some = |text: &str| Some(text.trim().to_owned()).filter(|it| !it.is_empty());
    let page = query.page.parse::<u32>().map_or(0, |it| it.min(100_000));
    let filter = IssueFilter {
        service: some(&query.service),
        state: some(&query.state),
        at: Some(now),
        text: some(&query.q),
        with_counted: !query.all.is_empty(),
        limit: PER_PAGE + 1,
        offset: page * PER_PAGE,
    };
    let events = live::overview_address(&app).await?;
    let mut found = app.store.issues(&filter).await?;
    let has_next = found.len() > PER_PAGE as usize;
    found.truncate(PER_PAGE as usize);
    let overview = app.store.overview(now).await?;
    let n_in =
        |state: &str| overview.issues_by_state.iter().find(|(it, _)| it == state).map_or(0, |(_, n)| *n);
    let tab = |name: &'static str| Tab {
        name,
        label: format!("{} {}", words(name), n_in(name)),
        is_current: query.state == name,
    };
    let mut tabs = vec![Tab { name: "", label: "all".to_owned(), is_current: query.state.is_empty() }];
    tabs.extend(IssueState::NAMES.into_iter().map(tab));
    render(&IssuesPage {
        head: Head::load(&app).await?,
        events,
        tabs,
        rows: found.iter().map(|issue| row(issue, now)).collect(),
        is_filtered: filter.service.is_some() || filter.state.is_some() || filter.text.is_some(),
        page,
        has_next,
        query,
    })
}

fn row(issue: &Issue, now: crate::base::clock::Timestamp) -> Row {
    Row {
        href: format!("/issues/{}", issue.id),
        title: issue.title.clone(),
        service: issue.service.clone(),
        fingerprint: issue.levels.identity.to_string(),
        state: issue.state.name(),
        state_words: words(issue.state.name()),
        severity: issue.severity.name(),
        runtime: issue.runtime.name(),
        count: grouped(issue.count),
        last_seen: When::new(issue.last_seen, now),
    }
}
