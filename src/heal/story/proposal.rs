//! Title, body and commit message of a proposal.

use super::attempt::MAX_REPORT_BYTES;
use super::evidence;
use super::ticket::MAX_TITLE_CHARS;
use crate::base::id::JobId;
use crate::base::markdown::{code, plain, prose};
use crate::heal::policy::Finding;
use crate::model::attempt::Attempt;
use crate::model::issue::Issue;
use crate::model::occurrence::Sample;
use crate::model::proof::Validation;
use crate::model::ticket::Ticket;

/// Everything a proposal's body is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub issue: &'a Issue,
    pub sample: Option<&'a Sample>,
    pub attempt: &'a Attempt,
    pub validation: &'a Validation,
    pub ticket: Option<&'a Ticket>,
    /// Where homeostat shows the issue.
    pub page: &'a str,
    /// What a reviewer should look at most closely.
    pub look_at: &'a [&'a Finding],
}

/// Title of the proposal.
pub fn title(issue: &Issue) -> String {
    plain(&format!("Fix {}", issue.title), MAX_TITLE_CHARS)
}

/// Body of the proposal: Markdown.
pub fn body(parts: Parts<'_>) -> String {
    let Parts { issue, sample, attempt, validation, ticket, page, look_at } = parts;
    let mut story = format!("homeostat saw this error in production and made this change to fix it. {page}");
    if let Some(ticket) = ticket {
        story.push_str(&format!("\nTicket: {}", ticket.url));
    }
    let mut sections = vec![
        story,
        evidence::facts(issue, sample),
        section("What was logged", &evidence::record(sample)),
        section("Cause and change", &prose(&attempt.report, MAX_REPORT_BYTES)),
        section("Proof", &evidence::proof(&validation.proof)),
        section("Checks", &evidence::checks(validation)),
    ];
    if !look_at.is_empty() {
        let row = |it: &&Finding| format!("- {}: {} ({})", code(&it.place, 200), it.reason, it.rule);
        let rows = look_at.iter().map(row);
        sections.push(section("Look closely at", &rows.collect::<Vec<_>>().join("\n")));
    }
    sections.push(section("Not verified", &not_verified(attempt, validation)));
    sections.push(section(
        "To take it back",
        "Revert the merge of this proposal. Nothing outside of the repository was changed.",
    ));
    sections.push(format!("Cost: {}", evidence::cost(attempt)));
    sections.join("\n\n")
}

fn section(title: &str, text: &str) -> String {
    format!("### {title}\n\n{text}")
}

/// What the checks do not show, said plainly.
fn not_verified(attempt: &Attempt, validation: &Validation) -> String {
    let mut points = vec![
        format!(
            "- The change was made and checked on {}; a base branch that has moved on since was not.",
            code(&attempt.base_commit, 40)
        ),
        "- Nothing was run against production, its data or its configuration.".to_owned(),
    ];
    if validation.checks.is_empty() {
        points.push("- The project's own tests were not run: no command for them is known.".to_owned());
    }
    let failing = validation.checks.iter().filter(|check| !check.patched.passed()).count();
    if failing > 0 {
        points
            .push(format!("- {failing} of the project's checks fail with the change as they do without it."));
    }
    points.join("\n")
}

/// Message of the commit. Made of what never changes between two runs, so that both make the same commit.
pub fn commit_message(issue: &Issue, attempt: &Attempt, job: JobId) -> String {
    let subject = plain(&format!("Fix {}", issue.title), 72);
    format!(
        "{subject}\n\nFound in the logs of {service}, fixed by homeostat with {model}, attempt {number}.\n\n\
         Homeostat-Fingerprint: {fingerprint}\nHomeostat-Issue: {issue}\nHomeostat-Job: {job}\n",
        service = plain(&issue.service, 100),
        model = plain(&attempt.model, 80),
        number = attempt.number,
        fingerprint = issue.levels.identity.full(),
        issue = issue.id,
    )
}

/// Message of the commit that merges a proposal at the local forge.
pub fn merge_message(title: &str, branch: &str, actor: &str) -> String {
    format!("Merge {branch}\n\n{}\n\nAccepted by {}.\n", plain(title, 72), plain(actor, 100))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::heal::policy::Rules;

    #[test]
    fn a_proposal_tells_everything_and_nothing_active() {
        let (issue, sample, attempt) = (fixture::issue(), fixture::sample(), fixture::attempt());
        let validation = attempt.validation.clone().expect("the fixture is validated");
        let ticket = fixture::ticket();
        let look_at = Rules::builtin().finding("tests.sleeps", "tests/test_shop.py:4", "");
        let parts = Parts {
            issue: &issue,
            sample: Some(&sample),
            attempt: &attempt,
            validation: &validation,
            ticket: Some(&ticket),
            page: "http://homeostat.example/issues/1",
            look_at: &[&look_at],
        };
        insta::assert_snapshot!("body", body(parts));
        insta::assert_snapshot!("title", title(&issue));
        insta::assert_snapshot!("commit", commit_message(&issue, &attempt, fixture::job()));
        insta::assert_snapshot!("merge", merge_message(&title(&issue), "homeostat/abab-1", "Ada @x"));
    }

    #[test]
    fn the_longest_body_fits_into_a_pull_request() {
        let mut attempt = fixture::attempt();
        attempt.report = "line of a long report\n".repeat(9_999);
        let mut validation = attempt.validation.clone().expect("the fixture is validated");
        validation.proof.before.output = "`x` | <b>\n".repeat(99_999);
        validation.proof.after.output = "y".repeat(999_999);
        validation.checks = vec![validation.checks[0].clone(); 500];
        let mut sample = fixture::sample();
        sample.text = crate::base::redact::Clean::trusted("z\n".repeat(99_999));
        let issue = fixture::issue();
        let parts = Parts {
            issue: &issue,
            sample: Some(&sample),
            attempt: &attempt,
            validation: &validation,
            ticket: None,
            page: "",
            look_at: &[],
        };
        assert!(body(parts).chars().count() < 65_000);
        attempt.patch = "+x\n".repeat(99_999);
        let told = super::super::attempt::comment(&attempt, None, None, "http://h/attempts/1/patch").1;
        assert!(told.chars().count() < 65_000, "{}", told.chars().count());
    }
}
