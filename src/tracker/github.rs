//! Tickets as GitHub Issues.
//!
//! Looked for by listing, not by search, whose index lags behind by minutes: first the issues with the label, then,
//! since GitHub drops labels silently where the token may not push, all issues of the last while.
//! <https://docs.github.com/en/rest/issues/issues>, <https://docs.github.com/en/rest/issues/comments>

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::contract::{NewTicket, Place, TicketRef, Tracker, TrackerError};
use crate::github::{Client, RepositoryName};
use crate::model::service::Repository;

/// The label of every ticket.
const LABEL: &str = "homeostat";

/// How far the clocks of this machine and of GitHub may be apart.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// Settings of the tracker on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// Keeps all tickets in one repository; without it each service's own repository keeps its tickets.
    pub repository: Option<RepositoryName>,
}

/// GitHub Issues.
#[derive(Debug)]
pub struct GitHubTracker {
    client: Client,
    settings: Settings,
}

impl GitHubTracker {
    /// A tracker over this client.
    pub const fn new(client: Client, settings: Settings) -> Self {
        Self { client, settings }
    }

    fn home(&self, repository: Option<&Repository>) -> Option<RepositoryName> {
        let own = || self.client.repository(&repository?.url);
        self.settings.repository.clone().or_else(own)
    }

    /// The ticket whose body holds the marker, among the issues with these filters.
    async fn look(
        &self,
        home: &RepositoryName,
        filters: &str,
        since: Timestamp,
        marker: &str,
    ) -> Result<Option<TicketRef>, TrackerError> {
        let since = since.saturating_sub(SKEW).unwrap_or(Timestamp::MIN);
        let path =
            format!("/issues?state=all&sort=created&direction=desc&per_page=100&since={since:.0}{filters}");
        let is_it =
            |issue: &ApiIssue| issue.pull_request.is_none() && begins_with(issue.body.as_deref(), marker);
        let listed: Vec<ApiIssue> =
            self.client.list(home, &path, "list issues", |issues| issues.iter().any(is_it)).await?;
        let found = listed.iter().find(|issue| is_it(issue));
        Ok(found.map(|issue| issue.reference(home)))
    }
}

#[async_trait::async_trait]
impl Tracker for GitHubTracker {
    fn name(&self) -> &'static str {
        "github"
    }

    fn accepts(&self, repository: Option<&Repository>) -> bool {
        self.home(repository).is_some()
    }

    async fn find(&self, place: Place<'_>, marker: &str) -> Result<Option<TicketRef>, TrackerError> {
        let home = self.home(place.repository).ok_or(TrackerError::NoRepository)?;
        let labels = format!("&labels={LABEL}");
        if let Some(found) = self.look(&home, &labels, place.since, marker).await? {
            return Ok(Some(found));
        }
        self.look(&home, "", place.since, marker).await
    }

    async fn open(&self, place: Place<'_>, ticket: &NewTicket) -> Result<TicketRef, TrackerError> {
        let home = self.home(place.repository).ok_or(TrackerError::NoRepository)?;
        let body = ApiNewIssue { title: &ticket.title, body: &ticket.body, labels: [LABEL] };
        let issue: ApiIssue = self.client.post(&home, "/issues", &body, "open an issue").await?;
        Ok(issue.reference(&home))
    }

    async fn comment(
        &self,
        key: &str,
        marker: &str,
        body: &str,
        since: Timestamp,
    ) -> Result<(), TrackerError> {
        let (home, number) = split(key)?;
        let since = since.saturating_sub(SKEW).unwrap_or(Timestamp::MIN);
        let path = format!("/issues/{number}/comments?per_page=100&since={since:.0}");
        let is_it = |comment: &ApiComment| begins_with(comment.body.as_deref(), marker);
        let listed: Vec<ApiComment> =
            self.client.list(&home, &path, "list comments", |comments| comments.iter().any(is_it)).await?;
        if listed.iter().any(is_it) {
            return Ok(());
        }
        let path = format!("/issues/{number}/comments");
        let _: ApiComment = self.client.post(&home, &path, &ApiNewComment { body }, "comment").await?;
        Ok(())
    }

    async fn reopen(&self, key: &str) -> Result<(), TrackerError> {
        let (home, number) = split(key)?;
        let path = format!("/issues/{number}");
        let issue: ApiIssue = self.client.get(&home, &path, "read an issue").await?;
        if issue.state == "closed" {
            let body = ApiState { state: "open", state_reason: "reopened" };
            let _: ApiIssue = self.client.patch(&home, &path, &body, "reopen an issue").await?;
        }
        Ok(())
    }
}

/// Not anywhere in the body: what a service logged may hold a marker too.
fn begins_with(body: Option<&str>, marker: &str) -> bool {
    body.is_some_and(|body| body.trim_start().starts_with(marker))
}

/// Reads `owner/name#42`.
fn split(key: &str) -> Result<(RepositoryName, u64), TrackerError> {
    let parts = key
        .split_once('#')
        .and_then(|(name, number)| Some((RepositoryName::parse(name)?, number.parse().ok()?)));
    parts.ok_or_else(|| TrackerError::ForeignKey { tracker: "github", key: key.to_owned() })
}

/// What is read of an issue. Every pull request is listed as an issue too, with `pull_request`.
#[derive(Debug, Deserialize)]
struct ApiIssue {
    number: u64,
    html_url: String,
    body: Option<String>,
    state: String,
    pull_request: Option<serde_json::Value>,
}

impl ApiIssue {
    fn reference(&self, home: &RepositoryName) -> TicketRef {
        TicketRef { key: format!("{home}#{}", self.number), url: self.html_url.clone() }
    }
}

#[derive(Debug, Deserialize)]
struct ApiComment {
    body: Option<String>,
}

#[derive(Debug, Serialize)]
struct ApiNewIssue<'a> {
    title: &'a str,
    body: &'a str,
    labels: [&'a str; 1],
}

#[derive(Debug, Serialize)]
struct ApiNewComment<'a> {
    body: &'a str,
}

#[derive(Debug, Serialize)]
struct ApiState {
    state: &'static str,
    state_reason: &'static str,
}
