//! Fails before, passes after, fails again when reverted: with the output of each run.

use std::time::Duration;

/// One run of a command in a clean container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    /// The command as run, for people.
    pub command: String,
    pub exit_code: i64,
    pub is_timed_out: bool,
    /// Redacted, cleaned and capped output, stdout and stderr together.
    pub output: String,
    pub took: Duration,
    /// What the runner said of the tests; `None` where it said nothing that could be read, so that only the exit code speaks.
    pub tests: Option<Tests>,
}

/// What a runner said of the tests of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tests {
    pub n_passed: u32,
    /// Those that could not be run are among them.
    pub n_failed: u32,
    pub n_skipped: u32,
    /// Names of those that failed, as far as the runner gave them; the first fifty.
    pub failed: Vec<String>,
}

impl CheckRun {
    /// Whether the command ended by itself with code 0. Not that its tests passed: see [`Proof::doubts`].
    pub const fn passed(&self) -> bool {
        self.exit_code == 0 && !self.is_timed_out
    }
}

/// The three-way proof of a patch split into T (tests) and S (the rest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// base + T.
    pub before: CheckRun,
    /// Whether `before` failed with the issue's own error (same type and place, or same template).
    pub before_matches_issue: bool,
    /// base + T + S.
    pub after: CheckRun,
    /// base + T + S with S reversed.
    pub reverted: CheckRun,
    /// What the results of single tests say against it, whatever the exit codes: a test that was skipped or not run, an early end,
    /// results that contradict themselves. For people; empty in a proof that holds.
    pub doubts: Vec<String>,
}

impl Proof {
    /// Whether all three runs say what they must.
    pub const fn holds(&self) -> bool {
        !self.before.passed()
            && self.before_matches_issue
            && self.after.passed()
            && !self.reverted.passed()
            && self.doubts.is_empty()
    }

    /// Whether nothing but exit codes speaks for it: no runner told of single tests.
    pub const fn is_by_exit_code(&self) -> bool {
        self.after.tests.is_none()
    }
}

/// All checks run on a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    pub proof: Proof,
    /// The project's own checks on the base commit and with the patch, pairwise by name.
    pub checks: Vec<ProjectCheck>,
}

impl Validation {
    /// Whether the proof holds and no check is worse than on the base commit.
    pub fn holds(&self) -> bool {
        self.proof.holds() && self.checks.iter().all(ProjectCheck::is_no_worse)
    }
}

/// One of the project's own checks, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectCheck {
    pub name: String,
    pub baseline: CheckRun,
    pub patched: CheckRun,
    /// What is worse with the patch, for people, to be read after the name: `fail that passed before it: a`. A check that fails on the
    /// base commit too hides nothing.
    pub worse: Vec<String>,
    /// Tests that ended otherwise when the base commit was run once more. They count neither way.
    pub flaky: Vec<String>,
}

impl ProjectCheck {
    /// Whether it is no worse than on the base commit. Where flaky tests are known, it is not the exit codes that say so.
    pub const fn is_no_worse(&self) -> bool {
        self.worse.is_empty() && (self.patched.passed() || !self.baseline.passed() || !self.flaky.is_empty())
    }
}
