//! From the command line to the command.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use clap::error::ErrorKind;

use super::args::{Cli, Command, Global, JobCommand};
use super::context::Context;
use super::exit::Failure;
use super::{
    check, demo, explain, fingerprint, issue, job, print, problems, replay, scan, serve, spend, status,
};
use crate::config::{self, Settings};

/// Parses the arguments, runs the command, and says how the process ends.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return if is_help { ExitCode::SUCCESS } else { ExitCode::from(64) };
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                print::note(format!("error: {message}"));
            }
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        Command::Fingerprint(args) => fingerprint::fingerprint(&cli.global, &args),
        Command::Explain(args) => explain::explain(&cli.global, &args),
        Command::Status(output) => status::status(&cli.global, output.json),
        Command::Pause(output) => {
            with_store(&cli.global, async |context| status::set_paused(context, true, output.json).await)
        }
        Command::Resume(output) => {
            with_store(&cli.global, async |context| status::set_paused(context, false, output.json).await)
        }
        Command::Issue(command) => {
            with_store(&cli.global, async |context| issue::run(context, command).await)
        }
        Command::Job(JobCommand::Replay(args)) => job::replay(&cli.global, &args),
        Command::Job(command) => with_store(&cli.global, async |context| job::run(context, command).await),
        Command::Spend(args) => with_store(&cli.global, async |context| spend::spend(context, args).await),
        Command::Run => serve::serve(cli.global.config.clone(), settings(&cli.global)?),
        Command::Check(args) => check::check(&cli.global, &args),
        Command::Demo(args) => demo::demo(&args),
        Command::Scan(args) => scan::scan(&cli.global, &args),
        Command::Replay(args) => replay::replay(&cli.global, &args),
    }
}

/// Runs `command` with the store of the config open.
fn with_store(
    global: &Global,
    command: impl AsyncFnOnce(&Context) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = settings(global)?;
    runtime()?.block_on(async {
        let context = Context::open(&settings).await?;
        let result = command(&context).await;
        context.store.close().await;
        result
    })
}

/// The checked config. Its problems are printed here, one a line.
pub(super) fn settings(global: &Global) -> Result<Settings, Failure> {
    config::load(global.config.as_deref()).map_err(problems::all_told)
}

/// The runtime of commands and of the daemon.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    Ok(runtime.context("failed to start the runtime")?)
}
