//! `homeostat job`: list, show, cancel, requeue, replay.

use std::sync::Arc;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{Global, JobArgs, JobCommand, JobListArgs};
use super::context::{Context, actor};
use super::exit::Failure;
use super::print;
use super::run::{runtime, settings};
use crate::agent::replay::{Difference, Replayed};
use crate::base::shutdown::Shutdown;
use crate::config::Settings;
use crate::daemon;
use crate::heal::fix::replay::{self, AttemptReplay};
use crate::model::attempt::Outcome;
use crate::model::job::{Job, JobKind, JobState};
use crate::model::stage::{Progress, ProgressError, StageContext};
use crate::store::types::JobFilter;

/// Runs a `job` command.
pub(super) async fn run(context: &Context, command: JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::List(args) => list(context, args).await,
        JobCommand::Show(args) => show(context, args).await,
        JobCommand::Cancel(args) => {
            let job = context.store.cancel_job(args.job, &actor(), context.clock.now()).await;
            print_job(&job.map_err(anyhow::Error::new)?, args.output.json);
            Ok(())
        }
        JobCommand::Requeue(args) => {
            let job = context.store.requeue_job(args.job, &actor(), context.clock.now()).await;
            print_job(&job.map_err(anyhow::Error::new)?, args.output.json);
            Ok(())
        }
        // It needs more than a store: `replay`.
        JobCommand::Replay(_) => Ok(()),
    }
}

/// Runs the tool calls of a fix again. Fails if one gives something else than was written.
pub(super) fn replay(global: &Global, args: &JobArgs) -> Result<(), Failure> {
    let settings = settings(global)?;
    let replayed = runtime()?.block_on(async {
        let context = Context::open(&settings).await?;
        let replayed = replay_with(&settings, &context, args).await;
        context.store.close().await;
        replayed
    })?;
    let (mut n_calls, mut n_differing) = (0, 0);
    for AttemptReplay { attempt, calls } in &replayed {
        let differing: Vec<&Replayed> = calls.iter().filter(|call| !call.differences.is_empty()).collect();
        (n_calls, n_differing) = (n_calls + calls.len(), n_differing + differing.len());
        if args.output.json {
            print::json(&json!({
                "attempt": attempt.id.to_string(),
                "number": attempt.number,
                "calls": calls.len(),
                "differing": differing.iter().map(|call| differing_json(call)).collect::<Vec<_>>(),
            }));
            continue;
        }
        let outcome = attempt.outcome.map_or("not ended", Outcome::name);
        print::line(format!(
            "attempt {}, {outcome}: {} tool calls run again, {} differ",
            attempt.number,
            calls.len(),
            differing.len()
        ));
        for call in differing {
            let differences = call.differences.iter().map(in_words).collect::<Vec<_>>().join("; ");
            print::line(format!("  entry {}, {}: {differences}", call.seq, call.tool));
        }
    }
    if n_differing > 0 {
        return Err(
            anyhow!("{n_differing} of {n_calls} tool calls give something else than was written").into()
        );
    }
    Ok(())
}

async fn replay_with(
    settings: &Settings,
    context: &Context,
    args: &JobArgs,
) -> Result<Vec<AttemptReplay>, Failure> {
    let job = context.store.job(args.job).await.map_err(anyhow::Error::new)?;
    let parts = daemon::fix_parts(settings, Arc::clone(&context.store), Arc::clone(&context.clock)).await;
    let parts = parts.map_err(anyhow::Error::new)?;
    let stage = StageContext { job, stop: Shutdown::new(), progress: Arc::new(Onlooker) };
    Ok(replay::replay(&parts, &stage).await.map_err(anyhow::Error::new)?)
}

/// Shows steps to whoever waits, and keeps nothing.
#[derive(Debug)]
struct Onlooker;

#[async_trait::async_trait]
impl Progress for Onlooker {
    async fn step(&self, name: &'static str, detail: &str) {
        print::note(format!("{name}: {detail}"));
    }

    async fn save(&self, _state: &str) -> Result<(), ProgressError> {
        Ok(())
    }
}

fn in_words(difference: &Difference) -> String {
    match difference {
        Difference::Text { written, now } => format!("`{written}` was written, now it is `{now}`"),
        Difference::IsError { written: true } => "it was an error and is none now".to_owned(),
        Difference::IsError { written: false } => "it is an error and was none".to_owned(),
        Difference::Files => "the files are not the same after it".to_owned(),
    }
}

fn differing_json(call: &Replayed) -> Value {
    let differences = call.differences.iter().map(|difference| match difference {
        Difference::Text { written, now } => json!({ "kind": "text", "written": written, "now": now }),
        Difference::IsError { written } => json!({ "kind": "is_error", "written": written, "now": !written }),
        Difference::Files => json!({ "kind": "files" }),
    });
    json!({ "entry": call.seq, "tool": call.tool, "differences": differences.collect::<Vec<_>>() })
}

async fn list(context: &Context, args: JobListArgs) -> Result<(), Failure> {
    let state =
        named("state", args.state.as_deref(), JobState::from_name, JobState::ALL.map(JobState::name))?;
    let kind = named("kind", args.kind.as_deref(), JobKind::from_name, JobKind::ALL.map(JobKind::name))?;
    let filter = JobFilter { issue: None, kind, state, limit: args.limit };
    let jobs = context.store.jobs(&filter).await.map_err(anyhow::Error::new)?;
    if jobs.is_empty() && !args.output.json {
        print::note("no jobs");
    }
    for job in &jobs {
        print_job(job, args.output.json);
    }
    Ok(())
}

async fn show(context: &Context, args: JobArgs) -> Result<(), Failure> {
    let job = context.store.job(args.job).await.map_err(anyhow::Error::new)?;
    let steps = context.store.steps(args.job, 0).await.map_err(anyhow::Error::new)?;
    if args.output.json {
        let mut value = job_json(&job);
        value["steps"] = steps
            .iter()
            .map(|it| json!({ "seq": it.seq, "at": it.at.to_string(), "name": it.name, "detail": it.detail }))
            .collect();
        print::json(&value);
        return Ok(());
    }
    print_job(&job, false);
    for step in &steps {
        print::line(format!("  {}  {}  {}", step.at.strftime("%T"), step.name, step.detail));
    }
    Ok(())
}

/// The value that `text` names, or a usage error with the names there are.
fn named<T, const N: usize>(
    what: &str,
    text: Option<&str>,
    from_name: impl Fn(&str) -> Option<T>,
    names: [&str; N],
) -> Result<Option<T>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match from_name(text) {
        Some(value) => Ok(Some(value)),
        None => Err(Failure::Usage(format!("`{text}` is no {what}: {}", names.join(", ")))),
    }
}

fn print_job(job: &Job, as_json: bool) {
    if as_json {
        print::json(&job_json(job));
        return;
    }
    print::line(format!(
        "{}  {:8}  {:9}  {}  {}",
        job.id,
        job.kind(),
        job.state.name(),
        job.updated_at.strftime("%F %T"),
        job.result.as_deref().unwrap_or_default()
    ));
}

fn job_json(job: &Job) -> Value {
    json!({
        "id": job.id.to_string(),
        "kind": job.kind().name(),
        "issue": job.issue.map(|it| it.to_string()),
        "state": job.state.name(),
        "failures": job.n_failures,
        "leases": job.n_leases,
        "run_at": job.run_at.to_string(),
        "result": job.result,
        "created_at": job.created_at.to_string(),
        "updated_at": job.updated_at.to_string(),
    })
}
