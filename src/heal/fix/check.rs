//! One run of a command over one tree, in a clean container.

use std::time::Duration;

use super::output::{capped, cleaned};
use super::parts::FixParts;
use super::project::{Project, Runner};
use super::results::{self, Form, Results};
use super::room::{Room, Use, setback, shell};
use crate::base::id::JobId;
use crate::base::redact::Clean;
use crate::base::shutdown::Shutdown;
use crate::model::proof::CheckRun;
use crate::model::stage::Setback;
use crate::repo::Archive;
use crate::sandbox::spec::{ExecEnd, ExecRequest, SandboxSpec};

/// Runs commands for one job, each in a container that is made for it and removed after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checker<'a> {
    pub(super) parts: &'a FixParts,
    pub(super) instance: &'a str,
    pub(super) job: JobId,
    pub(super) image: &'a str,
    pub(super) project: &'a Project,
    pub(super) stop: &'a Shutdown,
}

/// A run and all that it wrote, of which the run keeps a part.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) run: CheckRun,
    pub(super) output: Clean,
    /// What it says of single tests.
    pub(super) results: Results,
}

/// Bytes of output kept of a run to be read, half from each end.
const OUTPUT_CAP: usize = 8 << 20;

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
        let script = format!("{}\n{command}", Runner::TELLING);
        let request = ExecRequest {
            output_cap: OUTPUT_CAP,
            ..shell(&script, &self.project.folder, settings.check_timeout)
        };
        let ran = tokio::select! {
            ran = room.exec(request) => ran.map_err(setback),
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
        let forms = self.project.runner.forms().unwrap_or(Form::ALL);
        let results = results::read(output.as_str(), exit_code, forms);
        let run = CheckRun {
            command: command.to_owned(),
            exit_code,
            is_timed_out,
            output: capped(output.as_str(), settings.output_bytes),
            took: ran.took,
            tests: results.short(),
        };
        Ok(Checked { run, output, results })
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
        tests: None,
    }
}

/// `passed in 1.2 s`, `failed with code 1 after 0.3 s`.
pub(super) fn in_words(run: &CheckRun) -> String {
    let seconds = run.took.as_secs_f64();
    let end = match (run.passed(), run.is_timed_out) {
        (true, _) => format!("passed in {seconds:.1} s"),
        (false, true) => format!("did not end within {seconds:.0} s"),
        (false, false) => format!("failed with code {} after {seconds:.1} s", run.exit_code),
    };
    match &run.tests {
        Some(tests) => {
            format!(
                "{end} ({} passed, {} failed, {} skipped)",
                tests.n_passed, tests.n_failed, tests.n_skipped
            )
        }
        None => end,
    }
}
