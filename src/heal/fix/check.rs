//! One run of a command over one tree, in a clean container.

use std::time::Duration;

use super::output::{capped, cleaned};
use super::parts::FixParts;
use super::room::{Room, Use, setback, shell};
use crate::base::id::JobId;
use crate::base::redact::Clean;
use crate::base::shutdown::Shutdown;
use crate::model::proof::CheckRun;
use crate::model::stage::Setback;
use crate::repo::Archive;
use crate::sandbox::spec::{ExecEnd, SandboxSpec};

/// Runs commands for one job, each in a container that is made for it and removed after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checker<'a> {
    pub(super) parts: &'a FixParts,
    pub(super) instance: &'a str,
    pub(super) job: JobId,
    pub(super) image: &'a str,
    /// Where the command runs, relative to the repository.
    pub(super) folder: &'a str,
    pub(super) stop: &'a Shutdown,
}

/// A run and all that it wrote, of which the run keeps a part.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) run: CheckRun,
    pub(super) output: Clean,
}

impl Checker<'_> {
    /// What a container of this job may be.
    pub(super) fn spec(&self, purpose: &'static str, lifetime: Duration) -> SandboxSpec {
        SandboxSpec {
            image: self.image.to_owned(),
            instance: self.instance.to_owned(),
            job: self.job,
            purpose,
            deadline: self.parts.clock.now() + lifetime,
            limits: self.parts.settings.sandbox,
            runtime: self.parts.settings.runtime.clone(),
        }
    }

    /// Runs `command` over `tree`.
    pub(super) async fn run(&self, tree: Archive, command: &str) -> Result<Checked, Setback> {
        let settings = &self.parts.settings;
        // Making the container and removing it come on top.
        let spec = self.spec("check", settings.check_timeout + Duration::from_secs(600));
        let room = Room::open(&self.parts.engine, &spec, tree, Use::Check, self.stop).await?;
        let ran = tokio::select! {
            ran = room.exec(shell(command, self.folder, settings.check_timeout)) => ran.map_err(setback),
            () = self.stop.requested() => Err(Setback::Released),
        };
        room.close().await;
        let ran = ran?;
        let output = cleaned(&ran.stdout, &self.parts.redactor);
        let (exit_code, is_timed_out) = match ran.end {
            ExecEnd::Exited { code } => (code, false),
            ExecEnd::TimedOut => (-1, true),
            // What ends its own sandbox has not passed, like what writes without end.
            ExecEnd::Flooded | ExecEnd::EndedSandbox => (-1, false),
        };
        let run = CheckRun {
            command: command.to_owned(),
            exit_code,
            is_timed_out,
            output: capped(output.as_str(), settings.output_bytes),
            took: ran.took,
        };
        Ok(Checked { run, output })
    }
}

/// A run that was left out, since what came before it settled the matter. It never counts as passed.
pub(super) fn not_run(command: &str) -> CheckRun {
    CheckRun {
        command: command.to_owned(),
        exit_code: -1,
        is_timed_out: false,
        output: "not run: what was run before it settled the matter".to_owned(),
        took: Duration::ZERO,
    }
}

/// `passed in 1.2 s`, `failed with code 1 after 0.3 s`.
pub(super) fn in_words(run: &CheckRun) -> String {
    let seconds = run.took.as_secs_f64();
    match (run.passed(), run.is_timed_out) {
        (true, _) => format!("passed in {seconds:.1} s"),
        (false, true) => format!("did not end within {seconds:.0} s"),
        (false, false) => format!("failed with code {} after {seconds:.1} s", run.exit_code),
    }
}
