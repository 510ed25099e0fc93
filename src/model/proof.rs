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
}

impl CheckRun {
    /// Whether the command ended by itself with code 0.
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
}

impl Proof {
    /// Whether all three runs say what they must.
    pub const fn holds(&self) -> bool {
        !self.before.passed() && self.before_matches_issue && self.after.passed() && !self.reverted.passed()
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
        self.proof.holds()
            && self.checks.iter().all(|check| check.patched.passed() || !check.baseline.passed())
    }
}

/// One of the project's own checks, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectCheck {
    pub name: String,
    pub baseline: CheckRun,
    pub patched: CheckRun,
}
