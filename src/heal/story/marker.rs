//! Hidden marks by which a ticket or a comment is found again: HTML comments, which GitHub keeps and does not show.

use crate::base::id::{AttemptId, IssueId, JobId};

/// Stands in the body of the issue's ticket.
pub fn issue(id: IssueId) -> String {
    format!("<!-- homeostat:issue:{id} -->")
}

/// Stands in the comment that tells how an attempt stands; `stand` tells apart what is said of it over time.
pub fn attempt(id: AttemptId, stand: &str) -> String {
    format!("<!-- homeostat:attempt:{id}:{stand} -->")
}

/// Stands in the comment that tells that the error is back.
pub fn reopened(job: JobId) -> String {
    format!("<!-- homeostat:reopened:{job} -->")
}
