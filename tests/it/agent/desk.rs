//! What an attempt works with in these tests: a repository in a sandbox, a transcript and a ledger in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use homeostat::agent::contract::{
    AgentEnd, AgentParts, AgentTask, BoxError, CommandEnd, Ledger, ReserveAnswer, Snapshot, Transcript,
    Workspace, WorkspaceCommand, WorkspaceOutput,
};
use homeostat::agent::error::AgentError;
use homeostat::agent::run::run;
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::agent::settings::Settings;
use homeostat::agent::usage::Usage;
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::env;
use homeostat::base::id::{JobId, ReservationId};
use homeostat::base::redact::{Clean, Redactor};
use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::model::money::NanoUsd;
use homeostat::model::occurrence::Around;
use homeostat::model::stage::{Progress, ProgressError};
use homeostat::model::trace::{Frame, Runtime};
use homeostat::sandbox::container::Sandbox;
use homeostat::sandbox::engine::Engine;
use homeostat::sandbox::spec::{ExecEnd, ExecRequest, SandboxLimits, SandboxSpec};

use crate::support::docker::SANDBOX;
use crate::support::name::unique;

pub(super) const ROOT: &str = "/sandbox/repo";

/// A repository in a sandbox of its own.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    pub(super) base_commit: String,
}

impl Bench {
    /// A repository with these files, committed.
    pub(super) async fn new(files: &[(&str, &str)]) -> Self {
        let engine = Engine::connect(env::var(env::DOCKER_HOST).as_deref()).await.unwrap();
        let spec = SandboxSpec {
            image: SANDBOX.to_owned(),
            instance: unique("agent"),
            job: JobId::new(),
            purpose: "agent",
            deadline: SystemClock.now() + Duration::from_secs(600),
            limits: SandboxLimits::default(),
            runtime: None,
        };
        let sandbox = engine.start(&spec).await.unwrap_or_else(|error| panic!("{error}: {error:?}"));
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        sandbox.upload(ROOT, archive.into_inner().unwrap().into()).await.unwrap();
        let mut bench = Self { sandbox, base_commit: String::new() };
        bench.shell("git init -q && git add -A && git commit -qm base").await;
        bench.base_commit = bench.shell("git rev-parse HEAD").await.trim().to_owned();
        bench
    }

    /// Runs a script in the repository that must succeed.
    pub(super) async fn shell(&self, script: &str) -> String {
        let request = ExecRequest { workdir: ROOT.to_owned(), ..ExecRequest::new(["sh", "-c", script]) };
        let output = self.sandbox.exec(request).await.unwrap();
        assert!(output.passed(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) async fn remove(self) {
        self.sandbox.remove().await.unwrap();
    }
}

#[async_trait::async_trait]
impl Workspace for Bench {
    fn root(&self) -> &str {
        ROOT
    }

    async fn run(&self, command: WorkspaceCommand) -> Result<WorkspaceOutput, BoxError> {
        let request = ExecRequest {
            stdin: command.stdin,
            workdir: ROOT.to_owned(),
            timeout: command.timeout,
            output_cap: command.output_cap,
            ..ExecRequest::new(command.argv)
        };
        let output = self.sandbox.exec(request).await?;
        let is_truncated = output.is_truncated();
        let end = match output.end {
            ExecEnd::Exited { code } => CommandEnd::Exited { code },
            ExecEnd::TimedOut => CommandEnd::TimedOut,
            ExecEnd::Flooded => CommandEnd::Flooded,
            ExecEnd::EndedSandbox => CommandEnd::EndedWorkspace,
        };
        Ok(WorkspaceOutput { end, stdout: output.stdout, stderr: output.stderr, is_truncated })
    }

    async fn snapshot(&self) -> Result<Snapshot, BoxError> {
        let script =
            format!("git add --intent-to-add --all && git diff --binary --no-color {}", self.base_commit);
        Ok(Snapshot::Kept(self.shell(&script).await))
    }

    async fn restore(&self, snapshot: &str) -> Result<(), BoxError> {
        let script = "cat > /tmp/patch; [ ! -s /tmp/patch ] || git apply --binary /tmp/patch";
        let request = ExecRequest {
            workdir: ROOT.to_owned(),
            stdin: bytes::Bytes::copy_from_slice(snapshot.as_bytes()),
            ..ExecRequest::new(["sh", "-c", script])
        };
        let output = self.sandbox.exec(request).await?;
        assert!(output.passed(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// Transcript, ledger and steps in memory; they outlive a run.
#[derive(Debug, Default)]
pub(super) struct Desk {
    lines: Mutex<Vec<String>>,
    ledger: Mutex<BTreeMap<ReservationId, (NanoUsd, Option<NanoUsd>)>>,
    steps: Mutex<Vec<String>>,
    /// A stop is requested with the step of this beginning.
    stop_at: Mutex<Option<(String, Shutdown)>>,
}

impl Desk {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// `name: detail` of each.
    pub(super) fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }

    pub(super) fn stop_at(&self, step: &str, stop: &Shutdown) {
        *self.stop_at.lock().unwrap() = Some((step.to_owned(), stop.clone()));
    }

    /// What was paid, reservations of calls cut off in full; nothing may be open.
    pub(super) fn paid(&self) -> NanoUsd {
        self.ledger.lock().unwrap().values().map(|(_, settled)| settled.expect("left open")).sum()
    }

    /// Amounts of the reservations that count in full.
    pub(super) fn unsettled(&self) -> NanoUsd {
        let ledger = self.ledger.lock().unwrap();
        let cut_off = ledger.values().filter(|(amount, settled)| *settled == Some(*amount));
        cut_off.map(|(amount, _)| *amount).sum()
    }
}

#[async_trait::async_trait]
impl Transcript for Desk {
    async fn load(&self) -> Result<Vec<String>, BoxError> {
        Ok(self.lines())
    }

    async fn append(&self, seq: i64, entry: &str) -> Result<(), BoxError> {
        let mut lines = self.lines.lock().unwrap();
        assert_eq!(seq, lines.len() as i64 + 1);
        assert!(!entry.contains('\n'));
        lines.push(entry.to_owned());
        Ok(())
    }
}

#[async_trait::async_trait]
impl Ledger for Desk {
    async fn reserve(&self, id: ReservationId, _: &str, amount: NanoUsd) -> Result<ReserveAnswer, BoxError> {
        self.ledger.lock().unwrap().insert(id, (amount, None));
        Ok(ReserveAnswer::Granted)
    }

    async fn settle(&self, id: ReservationId, _: Usage, cost: NanoUsd) -> Result<(), BoxError> {
        let mut ledger = self.ledger.lock().unwrap();
        let (amount, settled) = ledger.get_mut(&id).unwrap();
        assert!(cost <= *amount, "a call cost {cost}, reserved were {amount}");
        settled.get_or_insert(cost);
        Ok(())
    }

    async fn settle_cut_off(&self) -> Result<(), BoxError> {
        for (amount, settled) in self.ledger.lock().unwrap().values_mut() {
            settled.get_or_insert(*amount);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Progress for Desk {
    async fn step(&self, name: &'static str, detail: &str) {
        let step = format!("{name}: {detail}");
        if let Some((_, stop)) = self.stop_at.lock().unwrap().as_ref().filter(|(at, _)| step.starts_with(at))
        {
            stop.request();
        }
        self.steps.lock().unwrap().push(step);
    }

    async fn save(&self, _: &str) -> Result<(), ProgressError> {
        Ok(())
    }
}

pub(super) fn settings(model: &ScriptedModel) -> Settings {
    let mut settings = Settings::new(model.base_url(), Secret::new("test-key"));
    settings.timeouts.idle = Duration::from_secs(20);
    settings
}

pub(super) fn task(bench: &Bench) -> AgentTask {
    AgentTask {
        service: "shop".to_owned(),
        title: Clean::trusted("ZeroDivisionError: division by zero"),
        record: Clean::trusted("Traceback (most recent call last):\nZeroDivisionError: division by zero"),
        around: Around::default(),
        runtime: Runtime::Python,
        frames: vec![Frame {
            function: "mean".to_owned(),
            file: Some("shop/stats.py".to_owned()),
            line: Some(2),
            module: None,
            in_app: true,
        }],
        n_occurrences: 3,
        first_seen: SystemClock.now(),
        last_seen: SystemClock.now(),
        base_commit: bench.base_commit.clone(),
        running_commit: None,
        folder: String::new(),
        test_command: Some("python3 -m pytest -q".to_owned()),
        hints: None,
        previous_failures: Vec::new(),
    }
}

/// Runs the attempt of `desk` in `bench`.
pub(super) async fn attempt(
    bench: &Arc<Bench>,
    desk: &Arc<Desk>,
    settings: Settings,
    stop: &Shutdown,
) -> Result<AgentEnd, AgentError> {
    let parts = AgentParts {
        settings,
        workspace: Arc::clone(bench) as Arc<dyn Workspace>,
        transcript: Arc::clone(desk) as Arc<dyn Transcript>,
        ledger: Arc::clone(desk) as Arc<dyn Ledger>,
        progress: Arc::clone(desk) as Arc<dyn Progress>,
        clock: SystemClock::shared(),
        redactor: Redactor::builtin(),
    };
    run(task(bench), parts, stop).await
}

/// Removes the sandbox once nobody else holds it.
pub(super) async fn clear(bench: Arc<Bench>) {
    Arc::into_inner(bench).expect("the attempt is over").remove().await;
}
