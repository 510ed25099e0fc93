//! Values kept as JSON in one column, with a version, so that rows of older releases stay readable.
//!
//! The shapes below are what is on disk. A change of one is a new version with the old shape kept and a test on old data.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

use super::fault::Fault;
use crate::base::id::{AttemptId, ProposalId};
use crate::model::cursor::{Ahead, Cursor, FilePlace, MixedPlace};
use crate::model::job::JobPayload;
use crate::model::notice::NoticeKind;
use crate::model::proof::{CheckRun, ProjectCheck, Proof, Tests, Validation};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Blob<T> {
    version: u32,
    value: T,
}

/// Read before the value: the shape of the value depends on it.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

fn write<T: Serialize>(value: T) -> Result<String, Fault> {
    serde_json::to_string(&Blob { version: VERSION, value })
        .map_err(|error| Fault::Row(format!("failed to write a value as JSON: {error}")))
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    let broken = |error: serde_json::Error| Fault::Row(format!("a stored {what} cannot be read: {error}"));
    let Version { version } = serde_json::from_str(text).map_err(broken)?;
    if version != VERSION {
        return Err(Fault::Row(format!(
            "a stored {what} has version {version}, this homeostat knows {VERSION}"
        )));
    }
    serde_json::from_str::<Blob<T>>(text).map(|blob| blob.value).map_err(broken)
}

/// An id as it is written everywhere: `xxxxxxxx-xxxx-…`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct IdText(Uuid);

impl From<IdText> for String {
    fn from(id: IdText) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for IdText {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum PayloadV1 {
    OpenTicket { then_fix: bool },
    ReportAttempt { attempt: IdText },
    ReportReopened { then_fix: bool },
    Fix,
    Propose { attempt: IdText },
    Land { proposal: IdText, actor: String },
    Announce { notice: String, attempt: Option<IdText>, proposal: Option<IdText> },
}

pub(super) fn write_payload(payload: &JobPayload) -> Result<String, Fault> {
    write(match payload {
        JobPayload::OpenTicket { then_fix } => PayloadV1::OpenTicket { then_fix: *then_fix },
        JobPayload::ReportAttempt { attempt } => PayloadV1::ReportAttempt { attempt: IdText(attempt.uuid()) },
        JobPayload::ReportReopened { then_fix } => PayloadV1::ReportReopened { then_fix: *then_fix },
        JobPayload::Fix => PayloadV1::Fix,
        JobPayload::Propose { attempt } => PayloadV1::Propose { attempt: IdText(attempt.uuid()) },
        JobPayload::Land { proposal, actor } => {
            PayloadV1::Land { proposal: IdText(proposal.uuid()), actor: actor.clone() }
        }
        JobPayload::Announce { kind, attempt, proposal } => PayloadV1::Announce {
            notice: kind.name().to_owned(),
            attempt: attempt.map(|id| IdText(id.uuid())),
            proposal: proposal.map(|id| IdText(id.uuid())),
        },
    })
}

pub(super) fn read_payload(text: &str) -> Result<JobPayload, Fault> {
    Ok(match read("job", text)? {
        PayloadV1::OpenTicket { then_fix } => JobPayload::OpenTicket { then_fix },
        PayloadV1::ReportAttempt { attempt } => {
            JobPayload::ReportAttempt { attempt: AttemptId::from_uuid(attempt.0) }
        }
        PayloadV1::ReportReopened { then_fix } => JobPayload::ReportReopened { then_fix },
        PayloadV1::Fix => JobPayload::Fix,
        PayloadV1::Propose { attempt } => JobPayload::Propose { attempt: AttemptId::from_uuid(attempt.0) },
        PayloadV1::Land { proposal, actor } => {
            JobPayload::Land { proposal: ProposalId::from_uuid(proposal.0), actor }
        }
        PayloadV1::Announce { notice, attempt, proposal } => JobPayload::Announce {
            kind: NoticeKind::from_name(&notice)
                .ok_or_else(|| Fault::Row(format!("a stored job announces `{notice}`")))?,
            attempt: attempt.map(|id| AttemptId::from_uuid(id.0)),
            proposal: proposal.map(|id| ProposalId::from_uuid(id.0)),
        },
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum CursorV1 {
    Docker {
        nanos: i64,
        n_at_nanos: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<FilePlaceV1>,
    },
    File {
        device: u64,
        inode: u64,
        prefix_hash: u64,
        prefix_len: u32,
        offset: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        before: u64,
    },
    Loki {
        nanos: i64,
        seen: Vec<u64>,
        ahead: Vec<(u64, u32)>,
    },
    Spool {
        offset: u64,
        ahead: Vec<(u64, u32)>,
    },
    Journal {
        cursor: String,
        ahead: Vec<(u64, u32)>,
    },
}

#[derive(Serialize, Deserialize)]
struct FilePlaceV1 {
    device: u64,
    inode: u64,
    prefix_hash: u64,
    prefix_len: u32,
    offset: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    before: u64,
}

/// What was not known is not written.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<FilePlace> for FilePlaceV1 {
    fn from(place: FilePlace) -> Self {
        let FilePlace { device, inode, prefix_hash, prefix_len, offset, before } = place;
        Self { device, inode, prefix_hash, prefix_len, offset, before }
    }
}

impl From<FilePlaceV1> for FilePlace {
    fn from(place: FilePlaceV1) -> Self {
        let FilePlaceV1 { device, inode, prefix_hash, prefix_len, offset, before } = place;
        Self { device, inode, prefix_hash, prefix_len, offset, before }
    }
}

pub(super) fn write_cursor(cursor: &Cursor) -> Result<String, Fault> {
    write(match cursor.clone() {
        Cursor::Docker { nanos, n_at_nanos, log } => {
            CursorV1::Docker { nanos, n_at_nanos, log: log.map(Into::into) }
        }
        Cursor::File { device, inode, prefix_hash, prefix_len, offset, before } => {
            CursorV1::File { device, inode, prefix_hash, prefix_len, offset, before }
        }
        Cursor::Mixed { place, ahead } => {
            let ahead = ahead.into_iter().map(|it| (it.writer, it.n_entries)).collect();
            match place {
                MixedPlace::Loki { nanos, seen } => CursorV1::Loki { nanos, seen, ahead },
                MixedPlace::Spool { offset } => CursorV1::Spool { offset, ahead },
                MixedPlace::Journal { cursor } => CursorV1::Journal { cursor, ahead },
            }
        }
    })
}

pub(super) fn read_cursor(text: &str) -> Result<Cursor, Fault> {
    Ok(match read("cursor", text)? {
        CursorV1::Docker { nanos, n_at_nanos, log } => {
            Cursor::Docker { nanos, n_at_nanos, log: log.map(Into::into) }
        }
        CursorV1::File { device, inode, prefix_hash, prefix_len, offset, before } => {
            Cursor::File { device, inode, prefix_hash, prefix_len, offset, before }
        }
        CursorV1::Loki { nanos, seen, ahead } => mixed(MixedPlace::Loki { nanos, seen }, ahead),
        CursorV1::Spool { offset, ahead } => mixed(MixedPlace::Spool { offset }, ahead),
        CursorV1::Journal { cursor, ahead } => mixed(MixedPlace::Journal { cursor }, ahead),
    })
}

fn mixed(place: MixedPlace, ahead: Vec<(u64, u32)>) -> Cursor {
    let ahead = ahead.into_iter().map(|(writer, n_entries)| Ahead { writer, n_entries }).collect();
    Cursor::Mixed { place, ahead }
}

#[derive(Serialize, Deserialize)]
struct RunV1 {
    command: String,
    exit_code: i64,
    is_timed_out: bool,
    output: String,
    took_millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tests: Option<TestsV1>,
}

#[derive(Serialize, Deserialize)]
struct TestsV1 {
    passed: u32,
    failed: u32,
    skipped: u32,
    names_of_failed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct CheckV1 {
    name: String,
    baseline: RunV1,
    patched: RunV1,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    worse: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    flaky: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ValidationV1 {
    before: RunV1,
    before_matches_issue: bool,
    after: RunV1,
    reverted: RunV1,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    doubts: Vec<String>,
    checks: Vec<CheckV1>,
}

fn run_row(run: &CheckRun) -> RunV1 {
    RunV1 {
        command: run.command.clone(),
        exit_code: run.exit_code,
        is_timed_out: run.is_timed_out,
        output: run.output.clone(),
        took_millis: u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX),
        tests: run.tests.clone().map(|Tests { n_passed, n_failed, n_skipped, failed }| TestsV1 {
            passed: n_passed,
            failed: n_failed,
            skipped: n_skipped,
            names_of_failed: failed,
        }),
    }
}

fn run_of(row: RunV1) -> CheckRun {
    CheckRun {
        command: row.command,
        exit_code: row.exit_code,
        is_timed_out: row.is_timed_out,
        output: row.output,
        took: Duration::from_millis(row.took_millis),
        tests: row.tests.map(|TestsV1 { passed, failed, skipped, names_of_failed }| Tests {
            n_passed: passed,
            n_failed: failed,
            n_skipped: skipped,
            failed: names_of_failed,
        }),
    }
}

pub(super) fn write_validation(validation: &Validation) -> Result<String, Fault> {
    let Validation { proof, checks } = validation;
    write(ValidationV1 {
        before: run_row(&proof.before),
        before_matches_issue: proof.before_matches_issue,
        after: run_row(&proof.after),
        reverted: run_row(&proof.reverted),
        doubts: proof.doubts.clone(),
        checks: checks
            .iter()
            .map(|check| CheckV1 {
                name: check.name.clone(),
                baseline: run_row(&check.baseline),
                patched: run_row(&check.patched),
                worse: check.worse.clone(),
                flaky: check.flaky.clone(),
            })
            .collect(),
    })
}

pub(super) fn read_validation(text: &str) -> Result<Validation, Fault> {
    let row: ValidationV1 = read("validation", text)?;
    Ok(Validation {
        proof: Proof {
            before: run_of(row.before),
            before_matches_issue: row.before_matches_issue,
            after: run_of(row.after),
            reverted: run_of(row.reverted),
            doubts: row.doubts,
        },
        checks: row
            .checks
            .into_iter()
            .map(|check| ProjectCheck {
                name: check.name,
                baseline: run_of(check.baseline),
                patched: run_of(check.patched),
                worse: check.worse,
                flaky: check.flaky,
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests;
