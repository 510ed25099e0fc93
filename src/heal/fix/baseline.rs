//! What a project's tests say before anything is changed, and where that is kept: with the job, so that its next lease does not run
//! them again, and in memory, so that other jobs on the same tree do not either.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::results::Results;
use crate::model::proof::CheckRun;
use crate::model::stage::{Setback, StageContext};
use crate::repo::CommitId;

/// A run of all tests on the base commit.
#[derive(Debug, Clone)]
pub(super) struct Baseline {
    pub(super) run: CheckRun,
    pub(super) results: Results,
}

/// What a run depends on. A commit is the same tree everywhere; what the image holds may change, but under the same name it is
/// expected to run the same tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Of {
    pub(super) base: CommitId,
    pub(super) folder: String,
    pub(super) command: String,
    pub(super) image: String,
}

/// Runs of late.
#[derive(Debug, Default)]
pub(super) struct Baselines(Mutex<VecDeque<(Of, Baseline)>>);

/// Most runs kept in memory.
const MAX_KEPT: usize = 32;

impl Baselines {
    pub(super) fn get(&self, of: &Of) -> Option<Baseline> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(it, _)| it == of).map(|(_, baseline)| baseline.clone())
    }

    /// Keeps a run, but not one that was cut off: the next may have more luck.
    pub(super) fn put(&self, of: Of, baseline: &Baseline) {
        if baseline.run.is_timed_out || baseline.run.exit_code < 0 {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(it, _)| *it != of);
        kept.push_back((of, baseline.clone()));
        if kept.len() > MAX_KEPT {
            kept.pop_front();
        }
    }
}

/// What is kept with the job.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u32,
    base: String,
    command: String,
    exit_code: i64,
    is_timed_out: bool,
    output: String,
    took_ms: u64,
    results: Results,
}

/// Version of [`Saved`]; another one is not read.
const VERSION: u32 = 2;

/// The run that an earlier lease of the job kept.
pub(super) fn saved(context: &StageContext, of: &Of) -> Option<Baseline> {
    let saved: Saved = serde_json::from_str(context.job.progress.as_deref()?).ok()?;
    let is_same = saved.version == VERSION && saved.base == of.base.as_str() && saved.command == of.command;
    is_same.then(|| Baseline {
        run: CheckRun {
            command: saved.command,
            exit_code: saved.exit_code,
            is_timed_out: saved.is_timed_out,
            output: saved.output,
            took: Duration::from_millis(saved.took_ms),
            tests: saved.results.short(),
        },
        results: saved.results,
    })
}

/// Keeps the run with the job.
pub(super) async fn save(context: &StageContext, of: &Of, baseline: &Baseline) -> Result<(), Setback> {
    let Baseline { run, results } = baseline;
    let saved = Saved {
        version: VERSION,
        base: of.base.to_string(),
        command: run.command.clone(),
        exit_code: run.exit_code,
        is_timed_out: run.is_timed_out,
        output: run.output.clone(),
        took_ms: u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX),
        results: results.clone(),
    };
    let text = serde_json::to_string(&saved).expect("numbers and texts are JSON");
    Ok(context.progress.save(&text).await?)
}
