//! The only thing that is ever proposed: a patch whose validation holds.

use crate::model::attempt::{Attempt, Outcome};
use crate::model::proof::Validation;

/// An attempt that ended as fixed, with a proof that holds and no check worse than before.
#[derive(Debug, Clone, Copy)]
pub struct ValidatedPatch<'a> {
    attempt: &'a Attempt,
    validation: &'a Validation,
}

impl<'a> ValidatedPatch<'a> {
    /// Checks the attempt, whatever its stage said about it.
    ///
    /// # Errors
    /// Everything that is wrong with it, for people.
    pub fn of(attempt: &'a Attempt) -> Result<Self, Vec<String>> {
        let mut wrong = Vec::new();
        if attempt.outcome != Some(Outcome::Fixed) {
            let outcome = attempt.outcome.map_or("not ended", Outcome::name);
            wrong.push(format!("the attempt is {outcome}, not fixed"));
        }
        if attempt.patch.trim().is_empty() {
            wrong.push("it changes nothing".to_owned());
        }
        let Some(validation) = &attempt.validation else {
            wrong.push("it was not validated".to_owned());
            return Err(wrong);
        };
        let proof = &validation.proof;
        let claims = [
            (!proof.before.passed(), "the new test passes without the change"),
            (proof.before_matches_issue, "the new test fails with another error than this issue's"),
            (proof.after.passed(), "the new test fails with the change"),
            (!proof.reverted.passed(), "the new test passes with the change taken back"),
            (validation.holds() || !proof.holds(), "a check of the project is worse than before"),
        ];
        wrong.extend(claims.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()));
        if wrong.is_empty() { Ok(Self { attempt, validation }) } else { Err(wrong) }
    }

    /// The attempt.
    pub const fn attempt(&self) -> &'a Attempt {
        self.attempt
    }

    /// Its validation, which holds.
    pub const fn validation(&self) -> &'a Validation {
        self.validation
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::id::{AttemptId, IssueId, JobId};
    use crate::model::money::NanoUsd;
    use crate::model::proof::{CheckRun, ProjectCheck, Proof};

    fn run(exit_code: i64) -> CheckRun {
        CheckRun {
            command: "t".to_owned(),
            exit_code,
            is_timed_out: false,
            output: String::new(),
            took: Duration::ZERO,
            tests: None,
        }
    }

    fn attempt() -> Attempt {
        let proof = Proof {
            before: run(1),
            before_matches_issue: true,
            after: run(0),
            reverted: run(1),
            doubts: Vec::new(),
        };
        let check = ProjectCheck {
            name: "all".to_owned(),
            baseline: run(0),
            patched: run(0),
            worse: Vec::new(),
            flaky: Vec::new(),
        };
        Attempt {
            id: AttemptId::new(),
            issue: IssueId::new(),
            job: JobId::new(),
            number: 1,
            model: "m".to_owned(),
            base_commit: "b".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            outcome: Some(Outcome::Fixed),
            report: String::new(),
            patch: "diff".to_owned(),
            validation: Some(Validation { proof, checks: vec![check] }),
            cost: NanoUsd::ZERO,
            n_model_calls: 0,
            n_tool_calls: 0,
        }
    }

    #[test]
    fn each_broken_promise_is_named() {
        assert!(ValidatedPatch::of(&attempt()).is_ok());
        type Break = fn(&mut Attempt);
        let cases: [(Break, &str); 8] = [
            (|it| it.outcome = Some(Outcome::GaveUp), "the attempt is gave_up, not fixed"),
            (|it| it.outcome = None, "the attempt is not ended, not fixed"),
            (|it| it.patch = "\n".to_owned(), "it changes nothing"),
            (|it| it.validation = None, "it was not validated"),
            (|it| proof(it).before = run(0), "the new test passes without the change"),
            (
                |it| proof(it).before_matches_issue = false,
                "the new test fails with another error than this issue's",
            ),
            (|it| proof(it).reverted = run(0), "the new test passes with the change taken back"),
            (
                |it| it.validation.as_mut().expect("validated").checks[0].patched = run(1),
                "a check of the project is worse than before",
            ),
        ];
        for (break_it, expected) in cases {
            let mut attempt = attempt();
            break_it(&mut attempt);
            assert_eq!(ValidatedPatch::of(&attempt).expect_err(expected), [expected]);
        }
    }

    fn proof(attempt: &mut Attempt) -> &mut Proof {
        &mut attempt.validation.as_mut().expect("it is validated").proof
    }
}
