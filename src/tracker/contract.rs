//! The trait every tracker implements, and its values.

use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::github;
use crate::model::service::Repository;
use crate::model::stage::Setback;
use crate::store::StoreError;

/// Where a ticket belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The repository of the service, where it has one.
    pub repository: Option<&'a Repository>,
    /// Nothing that is looked for is older: when its job was queued.
    pub since: Timestamp,
}

/// A ticket to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTicket {
    /// Unique; the body begins with it.
    pub marker: String,
    pub title: String,
    /// Markdown, safe, capped.
    pub body: String,
}

/// A ticket that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRef {
    /// The tracker's own key: `owner/name#42`, or the number of a local ticket.
    pub key: String,
    /// Where a person reads it.
    pub url: String,
}

/// A tracker.
#[async_trait::async_trait]
pub trait Tracker: Send + Sync + std::fmt::Debug {
    /// `local` or `github`: kept with each ticket, so that later comments go to the same tracker.
    fn name(&self) -> &'static str;

    /// Whether tickets of a service with this repository can be kept here.
    fn accepts(&self, repository: Option<&Repository>) -> bool;

    /// The ticket that begins with this marker, open or closed.
    async fn find(&self, place: Place<'_>, marker: &str) -> Result<Option<TicketRef>, TrackerError>;

    /// Opens a ticket. Look first: only the local tracker refuses a second one by itself.
    async fn open(&self, place: Place<'_>, ticket: &NewTicket) -> Result<TicketRef, TrackerError>;

    /// Adds a comment unless there is one that begins with this marker, as `body` does.
    async fn comment(
        &self,
        key: &str,
        marker: &str,
        body: &str,
        since: Timestamp,
    ) -> Result<(), TrackerError>;

    /// Opens a closed ticket again; nothing if it is open.
    async fn reopen(&self, key: &str) -> Result<(), TrackerError>;
}

/// Why a tracker could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    #[error(transparent)]
    GitHub(#[from] github::Error),
    #[error("failed to keep a local ticket")]
    Store(#[source] StoreError),
    #[error("`{key}` is not a ticket of the tracker `{tracker}`")]
    ForeignKey { tracker: &'static str, key: String },
    #[error("no repository to keep tickets in: set `tracker.github.repository`")]
    NoRepository,
}

impl From<TrackerError> for Setback {
    fn from(error: TrackerError) -> Self {
        let reason = Chain(&error).to_string();
        match error {
            TrackerError::GitHub(error) => error.into(),
            TrackerError::Store(error) => error.into(),
            TrackerError::ForeignKey { .. } | TrackerError::NoRepository => Self::Failed { reason },
        }
    }
}
