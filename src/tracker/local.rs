//! Tickets in homeostat's own store, read on the dashboard: for those without a tracker, and for the demo.

use std::sync::Arc;

use super::contract::{NewTicket, Place, TicketRef, Tracker, TrackerError};
use crate::base::clock::{SharedClock, Timestamp};
use crate::model::service::Repository;
use crate::store::Store;
use crate::store::types::LocalComment;

/// The local tracker.
#[derive(Debug)]
pub struct LocalTracker {
    store: Arc<dyn Store>,
    clock: SharedClock,
    /// Address of the dashboard, without a slash at the end.
    public_url: String,
}

impl LocalTracker {
    /// A tracker over this store, whose tickets are read below `public_url`.
    pub fn new(store: Arc<dyn Store>, clock: SharedClock, public_url: &str) -> Self {
        Self { store, clock, public_url: public_url.trim_end_matches('/').to_owned() }
    }
}

#[async_trait::async_trait]
impl Tracker for LocalTracker {
    fn name(&self) -> &'static str {
        "local"
    }

    fn accepts(&self, _: Option<&Repository>) -> bool {
        true
    }

    /// Nothing to look for: the store itself opens only one ticket per marker.
    async fn find(&self, _: Place<'_>, _: &str) -> Result<Option<TicketRef>, TrackerError> {
        Ok(None)
    }

    async fn open(&self, _: Place<'_>, ticket: &NewTicket) -> Result<TicketRef, TrackerError> {
        let NewTicket { marker, title, body } = ticket;
        let opened = self.store.open_local_ticket(marker, title, body, self.clock.now()).await;
        let number = opened.map_err(TrackerError::Store)?;
        Ok(TicketRef { key: number.to_string(), url: format!("{}/tickets/{number}", self.public_url) })
    }

    async fn comment(&self, key: &str, marker: &str, body: &str, _: Timestamp) -> Result<(), TrackerError> {
        let foreign = |_| TrackerError::ForeignKey { tracker: "local", key: key.to_owned() };
        let number: i64 = key.parse().map_err(foreign)?;
        let comment = LocalComment { marker: marker.to_owned(), at: self.clock.now(), body: body.to_owned() };
        self.store.comment_local_ticket(number, comment).await.map_err(TrackerError::Store)
    }

    /// A local ticket is never closed by itself: its state is the issue's.
    async fn reopen(&self, _: &str) -> Result<(), TrackerError> {
        Ok(())
    }
}
