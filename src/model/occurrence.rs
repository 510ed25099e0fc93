//! Occurrences on their way into the store, coalesced per fingerprint, and the batch they are committed in.

use super::cursor::{Cursor, Gap, StreamKey};
use super::decision::Decision;
use super::detection::{Action, Severity};
use super::fingerprint::{Fingerprint, Levels};
use super::job::NewJob;
use super::trace::Runtime;
use crate::base::clock::Timestamp;
use crate::base::id::SampleId;
use crate::base::redact::Clean;

/// All occurrences of one (service, identity) since the last commit. An error storm makes one of these per
/// fingerprint and commit, never one per line.
#[derive(Debug, Clone, PartialEq)]
pub struct OccurrenceGroup {
    pub service: String,
    pub levels: Levels,
    /// The identity by the version of the algorithm before this one, where the issue is not known by its own: an issue that is known by
    /// this one is it.
    pub former: Option<Fingerprint>,
    /// Canonical form behind the identity, kept so that it can be explained.
    pub preimage: String,
    /// One line that names the error, for lists and titles.
    pub title: Clean,
    pub rule: String,
    pub severity: Severity,
    pub action: Action,
    pub runtime: Runtime,
    /// How many occurrences.
    pub count: u64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    /// A few redacted records as evidence: at least one for a new issue, most often none for one that is known.
    pub samples: Vec<Sample>,
    /// Triage's answer for the first occurrence of the group that asked for more than counting, else the last.
    pub decision: Decision,
    /// Jobs that the decision asks for. The id is filled in by the store; a job whose unique key is already there is left out.
    pub jobs: Vec<NewJob>,
}

/// One redacted record as it was logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub at: Timestamp,
    pub text: Clean,
    /// Container name, file path or alert that it came from.
    pub origin: String,
    /// Revision of the code that logged it, where known.
    pub revision: Option<String>,
    pub around: Around,
    /// The fingerprint it was counted under, where a person merged that with the one of the issue; the store fills it in.
    pub merged_from: Option<Fingerprint>,
}

/// Lines of the same stream around a record, redacted, as far as they were at hand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Around {
    /// By which lines that come later find their record; `None` where none can come.
    pub id: Option<SampleId>,
    pub before: Clean,
    pub after: Clean,
}

/// What one transaction of the watching half makes durable: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommitBatch {
    pub groups: Vec<OccurrenceGroup>,
    pub cursors: Vec<(StreamKey, Cursor)>,
    pub gaps: Vec<Gap>,
    /// Lines that came behind records after these were committed: they take the place of `after` of the one with the id.
    pub later: Vec<Around>,
    /// Keys of deliveries (an alert's fingerprint and start) in this batch. A group that belongs to a key already
    /// stored is left out: see [`OccurrenceGroup`] and `deliveries` below.
    pub deliveries: Vec<Delivery>,
}

/// Groups that came with one outside delivery, stored once however often the delivery repeats.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// For Alertmanager: `alertmanager:<fingerprint>:<startsAt>`.
    pub key: String,
    pub groups: Vec<OccurrenceGroup>,
}
