//! Notices: one line and a few, plain text, for every messenger alike.

use super::attempt::ending;
use super::evidence;
use crate::base::clock::Timestamp;
use crate::base::markdown::plain;
use crate::model::attempt::{Attempt, Outcome};
use crate::model::issue::Issue;
use crate::model::notice::{Notice, NoticeKind};
use crate::model::proposal::Proposal;
use crate::model::ticket::Ticket;

/// What a notice is built from.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub kind: NoticeKind,
    pub issue: &'a Issue,
    pub ticket: Option<&'a Ticket>,
    pub attempt: Option<&'a Attempt>,
    pub proposal: Option<&'a Proposal>,
    /// Where homeostat shows the issue.
    pub page: &'a str,
}

/// The notice of this event.
pub fn notice(parts: Parts<'_>, at: Timestamp) -> Notice {
    let Parts { kind, issue, ticket, attempt, proposal, page } = parts;
    let service = plain(&issue.service, 60);
    let error = plain(&issue.title, 200);
    let seen = format!("Seen {}.", evidence::times(issue));
    let cost = attempt.map(|it| format!("Attempt {} cost {}.", it.number, it.cost));
    let (head, mut lines) = match kind {
        NoticeKind::IssueOpened => ("new error", vec![seen]),
        NoticeKind::IssueReopened => ("error is back", vec![seen]),
        NoticeKind::StormStarted => {
            ("storm of new errors", vec!["They are counted together until it is over.".to_owned(), seen])
        }
        NoticeKind::ProposalOpened => (
            "fix proposed",
            vec!["A fix was made and proven; it waits for review.".to_owned(), cost.unwrap_or_default()],
        ),
        NoticeKind::AttemptEnded => {
            let how = match (attempt.and_then(|it| it.outcome), proposal) {
                (Some(Outcome::Fixed), None) => {
                    "a fix was proven, but it could not be proposed. A person must help."
                }
                (Some(outcome), _) => ending(outcome),
                (None, _) => "it could not go on. A person must help.",
            };
            ("no fix proposed", vec![format!("An attempt to fix it ended: {how}"), cost.unwrap_or_default()])
        }
        NoticeKind::ProposalMerged => ("fix merged", vec!["The proposed fix was merged.".to_owned()]),
    };
    lines.retain(|line| !line.is_empty());
    let url = match kind {
        NoticeKind::ProposalOpened | NoticeKind::ProposalMerged => proposal.map(|it| it.url.clone()),
        NoticeKind::IssueOpened | NoticeKind::IssueReopened | NoticeKind::AttemptEnded => {
            ticket.map(|it| it.url.clone())
        }
        NoticeKind::StormStarted => None,
    };
    Notice {
        issue: Some(issue.id),
        kind,
        service: issue.service.clone(),
        title: plain(&format!("{service}: {head}: {error}"), 200),
        text: lines.join("\n"),
        url: Some(url.unwrap_or_else(|| page.to_owned())),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn each_kind_has_its_words() {
        let (issue, ticket, attempt, proposal) =
            (fixture::issue(), fixture::ticket(), fixture::attempt(), fixture::proposal());
        let told = NoticeKind::ALL.map(|kind| {
            let parts = Parts {
                kind,
                issue: &issue,
                ticket: Some(&ticket),
                attempt: Some(&attempt),
                proposal: Some(&proposal),
                page: "http://homeostat.example/issues/1",
            };
            let notice = notice(parts, fixture::at(9));
            format!("{}\n{}\n{}\n", notice.title, notice.text, notice.url.unwrap_or_default())
        });
        insta::assert_snapshot!("all", told.join("\n"));
    }
}
