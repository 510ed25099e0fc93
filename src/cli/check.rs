//! `homeostat check`: the config, the rules' own examples, and whether the services the config names answer.

use anyhow::Context as _;
use serde_json::json;

use super::args::{CheckArgs, Global};
use super::exit::Failure;
use super::run::runtime;
use super::{cost, print, problems};
use crate::base::chain::Chain;
use crate::config::{self, Problem, ProblemKind, Settings};
use crate::sandbox::engine::Engine;
use crate::store::Look;
use crate::watch::ingest::alerts::check_loki;
use crate::watch::rules::Cost;
use crate::watch::source::docker;
use crate::watch::source::loki;

/// Prints every problem, one a line; 78 if the config is wrong, 69 if only a service is away.
pub(super) fn check(global: &Global, args: &CheckArgs) -> Result<(), Failure> {
    let (settings, mut problems) = config::check(global.config.as_deref());
    if let Some(settings) = settings.as_ref().filter(|_| !args.offline) {
        problems.extend(runtime()?.block_on(ask_services(settings, &problems)));
        // As one reads the file; what is wrong in others comes after it.
        problems.sort_by(|a, b| a.place(&settings.file).cmp(&b.place(&settings.file)));
    }
    report(settings.as_ref(), &problems, args.output.json);
    if let (Some(settings), Some(file)) = (&settings, &args.cost) {
        let shown = cost::show(&settings.rules, file.as_deref(), args.output.json);
        shown.context("failed to read the lines to measure on")?;
    }
    if problems.iter().any(|problem| problem.kind == ProblemKind::Config) {
        return Err(Failure::Told(ProblemKind::Config));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::Told(ProblemKind::Away)) }
}

fn report(settings: Option<&Settings>, problems: &[Problem], as_json: bool) {
    if as_json {
        for problem in problems {
            print::json(&json!({
                "file": problem.file.display().to_string(),
                "line": problem.line,
                "key": problem.key,
                "message": problem.message,
                "hint": problem.hint,
                "kind": match problem.kind { ProblemKind::Config => "config", ProblemKind::Away => "away" },
            }));
        }
    } else {
        for problem in problems {
            print::note(problem.to_string());
        }
    }
    let Some(settings) = settings else { return };
    let rules = settings.rules.rules();
    let slow: Vec<&str> = rules
        .iter()
        .zip(settings.rules.costs())
        .filter(|(_, cost)| matches!(cost, Cost::EveryLine))
        .map(|(rule, _)| &*rule.id)
        .collect();
    if as_json {
        print::json(&json!({
            "rules": rules.len(),
            "rules_on_every_line": slow,
            "oddities": settings.rules.oddities().iter().map(ToString::to_string).collect::<Vec<_>>(),
            "problems": problems.len(),
        }));
        return;
    }
    let counted =
        if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    print::line(format!("{} rules, {counted}", rules.len()));
    for id in slow {
        print::line(format!(
            "rule {id} has no literal to search for first and is tried on every line: see --cost"
        ));
    }
    for odd in settings.rules.oddities() {
        print::line(odd.to_string());
    }
    if settings.agent.agent.is_none() && !problems.iter().any(|problem| problem.key == "agent.key") {
        print::line("no key for the model is set ([agent] key): fixes wait in the queue");
    }
}

/// Asks the engine, the database and Loki whether they are there. One whose address is wrong is not asked: it would be another.
async fn ask_services(settings: &Settings, known: &[Problem]) -> Vec<Problem> {
    let is_right = |section: &str| !known.iter().any(|problem| problem.key.starts_with(section));
    let mut problems = Vec::new();
    if let Some(docker) = &settings.docker
        && is_right("docker.host")
        && let Err(error) = docker::check(docker).await
    {
        problems.push(problems::of_docker(settings, &error));
    }
    // One engine for both is told of once.
    let is_told = !problems.is_empty() && settings.sandbox.host.is_none();
    let is_used = settings.worker.is_some() && settings.agent.agent.is_some();
    if is_used && !is_told && is_right("docker.host") && is_right("sandbox.host") && is_right("sandbox.image")
    {
        problems.extend(ask_sandbox_engine(settings).await);
    }
    if let Some(loki) = &settings.alerts.loki
        && is_right("alerts.loki")
        && let Err(error) = check_loki(loki).await
    {
        problems.push(problems::of_loki(settings, &error));
    }
    for query in settings.loki.queries.iter().filter(|_| is_right("loki")) {
        if let Err(error) = loki::check(query).await {
            problems.push(problems::of_query(settings, query, &error));
        }
    }
    if is_right("database") && is_right("state") {
        // A look, for the daemon may be at work with it: only its start brings a schema up to date.
        match crate::store::look(&settings.store).await {
            Ok(Look::Behind { n_steps }) => {
                print::note(format!("the next start brings the database up to date, in {n_steps} steps"));
            }
            Ok(Look::Current | Look::Missing) => {}
            Err(error) => problems.push(problems::of_store(settings, &error)),
        }
    }
    problems
}

async fn ask_sandbox_engine(settings: &Settings) -> Option<Problem> {
    let away = |key, message, hint| problems::problem(settings, key, ProblemKind::Away, message, hint);
    let engine = match Engine::connect(settings.engine_host()).await {
        Ok(engine) => engine,
        Err(error) => {
            return Some(away("sandbox.host", Chain(&error).to_string(), problems::START_ENGINE));
        }
    };
    match engine.has_image(&settings.sandbox.image).await {
        Ok(true) => None,
        Ok(false) => {
            let message = format!("the engine has no image `{}`", settings.sandbox.image);
            let hint = "build it with scripts/sandbox-image, or name another";
            Some(away("sandbox.image", message, hint))
        }
        Err(error) => Some(away("sandbox.host", Chain(&error).to_string(), problems::START_ENGINE)),
    }
}
