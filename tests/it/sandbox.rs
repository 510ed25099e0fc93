//! Every promise of the sandbox, each with a test that tries to break it.
//!
//! Each test has sandboxes of its own on the machine's engine; the promises that need a program to try them use Python from the
//! sandbox image, the rest the small image.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene must fail")]

mod escape;
mod life;
mod limits;
mod relay;

use std::time::Duration;

use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::env;
use homeostat::base::id::JobId;
use homeostat::sandbox::container::Sandbox;
use homeostat::sandbox::engine::Engine;
use homeostat::sandbox::spec::{ExecEnd, ExecOutput, ExecRequest, SandboxLimits, SandboxSpec};

use crate::support::name::unique;

async fn engine() -> Engine {
    let host = env::var(env::DOCKER_HOST);
    Engine::connect(host.as_deref())
        .await
        .unwrap_or_else(|error| panic!("no Docker engine ({error}): run scripts/setup test"))
}

fn spec(image: &str) -> SandboxSpec {
    SandboxSpec {
        image: image.to_owned(),
        instance: unique("sandbox"),
        job: JobId::new(),
        purpose: "check",
        deadline: SystemClock.now() + Duration::from_secs(600),
        limits: SandboxLimits {
            memory_bytes: 128 << 20,
            cpus: 1.0,
            pids: 64,
            workspace_bytes: 32 << 20,
            tmp_bytes: 16 << 20,
            file_bytes: 16 << 20,
            open_files: 256,
        },
        runtime: None,
    }
}

async fn start(image: &str) -> Sandbox {
    engine().await.start(&spec(image)).await.unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

/// Runs `script` with `sh`, for at most 20 seconds.
async fn shell(sandbox: &Sandbox, script: &str) -> ExecOutput {
    sandbox.exec(shell_request(script)).await.unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

fn shell_request(script: &str) -> ExecRequest {
    ExecRequest { timeout: Duration::from_secs(20), ..ExecRequest::new(["sh", "-c", script]) }
}

/// Runs a Python program that prints one line per attempt; gives the lines.
async fn python(sandbox: &Sandbox, program: &str) -> Vec<String> {
    let request =
        ExecRequest { timeout: Duration::from_secs(60), ..ExecRequest::new(["python3", "-c", program]) };
    let output = sandbox.exec(request).await.unwrap();
    assert_eq!((output.end, text(&output.stderr)), (ExecEnd::Exited { code: 0 }, String::new()));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The commands of all processes inside but the probe's own.
async fn processes(sandbox: &Sandbox) -> Vec<String> {
    let script = r#"for it in /proc/[0-9]*; do [ "$it" = "/proc/$$" ] || cat "$it/comm"; done"#;
    let output = shell(sandbox, script).await;
    let mut names: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    // The probe's own `cat` sees itself.
    names.retain(|name| name != "cat");
    names.sort();
    names
}

/// What runs in a sandbox that runs nothing: its init and the sweeper.
const IDLE: [&str; 2] = ["docker-init", "sh"];
