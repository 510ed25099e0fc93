//! A job's attempts once more, without the model: their tool calls in a fresh sandbox, held against the transcript.

use std::sync::Arc;

use super::baseline::Baselines;
use super::ground::{Ground, Halt, checker, prepare};
use super::parts::FixParts;
use super::subject::Subject;
use super::workspace::{Builder, RoomWorkspace};
use crate::agent::error::AgentError;
use crate::agent::replay::{Replay, Replayed};
use crate::model::attempt::Attempt;
use crate::model::job::{Job, JobKind};
use crate::model::stage::{Setback, StageContext};
use crate::store::StoreError;

/// What came of the tool calls of one attempt.
#[derive(Debug)]
pub struct AttemptReplay {
    pub attempt: Attempt,
    pub calls: Vec<Replayed>,
}

/// Why a job cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the job is no fix: only fixes have transcripts")]
    NoFix,
    #[error("failed to prepare the sandbox: {reason}")]
    Ground { reason: String },
    #[error("failed to read what was written of the job")]
    Store(#[source] StoreError),
    #[error("failed to run attempt {number} again")]
    Attempt {
        number: u32,
        #[source]
        source: AgentError,
    },
}

/// Runs the tool calls of each attempt of `context.job` again, oldest first. No call is made to the model, nothing is written to the
/// store but what `context` writes.
///
/// # Errors
/// What stood in the way of a sandbox at the attempt's base commit, or a transcript that cannot be read.
pub async fn replay(parts: &FixParts, context: &StageContext) -> Result<Vec<AttemptReplay>, ReplayError> {
    let Job { id, issue: Some(issue), .. } = context.job else { return Err(ReplayError::NoFix) };
    if context.job.kind() != JobKind::Fix {
        return Err(ReplayError::NoFix);
    }
    let attempts = parts.store.attempts(issue).await.map_err(ReplayError::Store)?;
    let subject = Subject::load(parts, issue).await.map_err(in_the_way)?;
    let mut replayed = Vec::new();
    for attempt in attempts.into_iter().filter(|it| it.job == id && !it.base_commit.is_empty()) {
        let lines = parts.store.transcript(attempt.id).await.map_err(ReplayError::Store)?;
        let ground =
            prepare(parts, &Baselines::default(), &subject, Some(&attempt.base_commit), context).await;
        let ground = ground.map_err(|halt| match halt {
            Halt::Missing { why, .. } => ReplayError::Ground { reason: why },
            Halt::Setback(setback) => in_the_way(setback),
        })?;
        let calls = calls(parts, &ground, context, &lines).await.map_err(|trouble| match trouble {
            Trouble::Room(setback) => in_the_way(setback),
            Trouble::Agent(source) => ReplayError::Attempt { number: attempt.number, source },
        })?;
        replayed.push(AttemptReplay { attempt, calls });
    }
    Ok(replayed)
}

enum Trouble {
    Room(Setback),
    Agent(AgentError),
}

async fn calls(
    parts: &FixParts,
    ground: &Ground,
    context: &StageContext,
    lines: &[String],
) -> Result<Vec<Replayed>, Trouble> {
    // Under a name of its own: a daemon on the same engine removes the containers of its jobs that do not run.
    let instance = format!("{}-replay", ground.instance);
    let checker = checker(parts, &instance, context.job.id, &ground.image, &ground.project, &context.stop);
    let lifetime = parts.agent.longest_run();
    let builder = Builder {
        engine: parts.engine.clone(),
        spec: checker.spec("replay", lifetime),
        lifetime,
        mirror: ground.mirror.clone(),
        base: ground.base.clone(),
        clock: Arc::clone(&parts.clock),
        stop: context.stop.clone(),
    };
    let workspace = RoomWorkspace::open(builder).await.map_err(Trouble::Room)?;
    let replay =
        Replay { redactor: &parts.redactor, limits: parts.agent.limits, base_commit: &workspace.commit };
    let ran = replay.run(lines, &workspace).await;
    workspace.close().await;
    ran.map_err(Trouble::Agent)
}

fn in_the_way(setback: Setback) -> ReplayError {
    let reason = match setback {
        Setback::Retry { reason, .. } | Setback::Failed { reason } | Setback::Postponed { reason, .. } => {
            reason
        }
        Setback::Released => "a stop was requested".to_owned(),
    };
    ReplayError::Ground { reason }
}
