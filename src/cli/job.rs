//! `homeostat job`: list, show, cancel, requeue.

use serde_json::{Value, json};

use super::args::{JobArgs, JobCommand, JobListArgs};
use super::context::{Context, actor};
use super::exit::Failure;
use super::print;
use crate::model::job::{Job, JobKind, JobState};
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
    }
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
