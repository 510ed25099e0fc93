//! The entry in a tracker.

use crate::base::clock::Timestamp;
use crate::base::id::{IssueId, TicketId};

/// A ticket that exists in a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub id: TicketId,
    pub issue: IssueId,
    /// `local` or `github`.
    pub tracker: String,
    /// The tracker's own key, for example `42` or `owner/name#42`.
    pub key: String,
    /// Where a person reads it.
    pub url: String,
    pub opened_at: Timestamp,
}
