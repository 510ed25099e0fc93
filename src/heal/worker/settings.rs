//! How much the worker runs at once, and how patient it is.

use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::model::job::JobKind;

/// Settings of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Jobs other than fixes that run at once.
    pub n_short: usize,
    /// Fixes that run at once: each holds a container and spends money.
    pub n_fixes: usize,
    /// How long a lease holds without a heartbeat; after a crash a job waits this long for its next lease.
    pub lease_ttl: Duration,
    /// How often a lease is extended, and how soon a pause or a cancel is noticed. Well under `lease_ttl`.
    pub heartbeat_every: Duration,
    /// Failures after which a short job is dead. Far apart by then: they outlast a forge that is down for hours.
    pub max_failures: u32,
    /// Failures after which a fix is dead. A failure is an engine or a model API that is away, and costs nothing: enough for an hour.
    pub max_fix_failures: u32,
    /// Leases after which a job is dead however they ended: one that kills the process is never counted as a failure.
    pub max_leases: u32,
    /// How long a failed job waits.
    pub backoff: Backoff,
    /// How often an idle worker asks for work when nobody nudges it.
    pub poll_every: Duration,
    /// How long a stage may go on after it was asked to stop; then it is dropped where it stands.
    pub stop_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            n_short: 8,
            n_fixes: 2,
            lease_ttl: Duration::from_secs(60),
            heartbeat_every: Duration::from_secs(5),
            max_failures: 20,
            max_fix_failures: 10,
            max_leases: 200,
            backoff: Backoff::new(Duration::from_secs(5), Duration::from_secs(600)),
            poll_every: Duration::from_secs(1),
            stop_grace: Duration::from_secs(20),
        }
    }
}

impl Settings {
    /// After how many failures a job of this kind is dead.
    pub(super) const fn max_failures_of(&self, kind: JobKind) -> u32 {
        match kind {
            JobKind::Fix => self.max_fix_failures,
            JobKind::Ticket | JobKind::Propose | JobKind::Land | JobKind::Announce => self.max_failures,
        }
    }
}
