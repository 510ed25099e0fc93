//! `homeostat check`: the config, the rules' own examples, and whether the services the config names answer.

use serde_json::json;

use super::args::{CheckArgs, Global};
use super::exit::Failure;
use super::print;
use super::run::runtime;
use crate::base::chain::Chain;
use crate::config::{self, Problem, ProblemKind, Settings};
use crate::sandbox::engine::Engine;
use crate::watch::rules::Cost;
use crate::watch::source::docker;

/// Prints every problem, one a line; 78 if the config is wrong, 69 if only a service is away.
pub(super) fn check(global: &Global, args: &CheckArgs) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let settings = match config::load(global.config.as_deref()) {
        Ok(settings) => Some(settings),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    if let Some(settings) = &settings {
        let examples = settings.rules.check_examples();
        problems.extend(examples.into_iter().map(Problem::from));
        if !args.offline {
            problems.extend(runtime()?.block_on(ask_services(settings)));
        }
    }
    report(settings.as_ref(), &problems, args.output.json);
    if problems.iter().any(|problem| problem.kind == ProblemKind::Config) {
        return Err(Failure::Config);
    }
    match problems.len() {
        0 => Ok(()),
        n => Err(Failure::Away(anyhow::anyhow!("{n} needed services do not answer"))),
    }
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
        print::json(
            &json!({ "rules": rules.len(), "rules_on_every_line": slow, "problems": problems.len() }),
        );
        return;
    }
    print::line(format!("{} rules, {} problems", rules.len(), problems.len()));
    for id in slow {
        print::line(format!("rule {id} has no literal to search for first and is tried on every line"));
    }
    if settings.agent.agent.is_none() {
        print::line("no key for the model is set ([agent] key): fixes wait in the queue");
    }
}

/// Asks the engine and the database whether they are there.
async fn ask_services(settings: &Settings) -> Vec<Problem> {
    let away = |key: &str, message: String, hint: &str| Problem {
        file: settings.file.clone(),
        line: settings.line_of(key),
        key: key.to_owned(),
        message,
        hint: hint.to_owned(),
        kind: ProblemKind::Away,
    };
    let mut problems = Vec::new();
    let start_engine = "start the engine, or name another with `host`";
    if let Some(settings) = &settings.docker
        && let Err(error) = docker::check(settings).await
    {
        problems.push(away("docker.host", Chain(&error).to_string(), start_engine));
    }
    if settings.worker.is_some() && settings.agent.agent.is_some() {
        match Engine::connect(settings.engine_host()).await {
            Err(error) => problems.push(away("sandbox.host", Chain(&error).to_string(), start_engine)),
            Ok(engine) => {
                if let Ok(false) = engine.has_image(&settings.sandbox.image).await {
                    let message = format!("the engine has no image `{}`", settings.sandbox.image);
                    problems.push(away(
                        "sandbox.image",
                        message,
                        "build it with scripts/setup, or name another",
                    ));
                }
            }
        }
    }
    match crate::store::open(&settings.store).await {
        Ok(store) => store.close().await,
        Err(error) => {
            let hint = "start the database, or set `url`";
            let mut problem = away("database.url", Chain(&error).to_string(), hint);
            if !error.is_transient() {
                problem.kind = ProblemKind::Config;
            }
            problems.push(problem);
        }
    }
    problems
}
