//! What the demo stands on: a folder, a git repository, settings, a model, an engine with the sandbox image.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, anyhow};
use bollard::Docker;
use tokio::process::Command;

use super::super::args::DemoArgs;
use super::super::demo_project as project;
use super::super::exit::Failure;
use super::{say, service};
use crate::agent::scripted::script::Script;
use crate::agent::scripted::server::ScriptedModel;
use crate::base::env;
use crate::base::shutdown::Shutdown;
use crate::config::{self, Settings};
use crate::sandbox::engine::Engine;

/// Name of the demo's service.
pub(super) const SERVICE: &str = "billing";

/// Everything that is removed at the end.
#[derive(Debug)]
pub(super) struct Ground {
    folder: tempfile::TempDir,
    pub(super) settings: Settings,
    pub(super) docker: Docker,
    /// Name of the service's container, unique to this run.
    pub(super) container: String,
    /// Kept alive for as long as the demo runs; `None` with a real model.
    _model: Option<ScriptedModel>,
}

impl Ground {
    /// Makes it all. Says what it does; stops where something is missing and says what to do.
    pub(super) async fn prepare(args: &DemoArgs, shutdown: &Shutdown) -> Result<Self, Failure> {
        let docker = engine().await?;
        service::remove_stale(&docker).await;
        let folder = tempfile::Builder::new().prefix("homeostat-demo-").tempdir();
        let folder = folder.context("failed to make a folder for the demo")?;
        let repository = folder.path().join("billing.git");
        make_repository(folder.path(), &repository).await?;
        say(args, &format!("made a git repository with the service: {}", repository.display()));

        let key_file = folder.path().join("key");
        let (model, api, key) = if env::var(env::ANTHROPIC_API_KEY).is_some() {
            say(
                args,
                "the model is Anthropic's: ANTHROPIC_API_KEY is set, and this costs real money (a few cents to a dollar)",
            );
            let key = format!("{{ env = \"{}\" }}", env::ANTHROPIC_API_KEY);
            (None, "https://api.anthropic.com".to_owned(), key)
        } else {
            say(
                args,
                "ANTHROPIC_API_KEY is not set: a scripted model server on loopback plays a recorded fix.\n\
                 Everything else is real: client, tools, sandbox, tests, proof, proposal. Dollars are what the calls would cost.",
            );
            let script = Script::from_json(project::SCRIPT).context("failed to read the recorded fix")?;
            let model = ScriptedModel::start(vec![script])
                .await
                .context("failed to start the scripted model server")?;
            std::fs::write(&key_file, "scripted-key")
                .context("failed to write the key of the scripted model server")?;
            let (api, key) =
                (model.base_url().to_string(), format!("{{ file = \"{}\" }}", key_file.display()));
            (Some(model), api, key)
        };
        if shutdown.is_requested() {
            return Err(anyhow!("stopped before the demo had begun").into());
        }
        let container = format!("homeostat-demo-{SERVICE}-{:08x}", fastrand::u32(..));
        let listen = free_address(args)?;
        let text = format!(
            "[state]\nfolder = \"{state}\"\n\
             [http]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n\
             [docker.include]\nnames = [\"{container}\"]\n\
             [[service]]\nname = \"{SERVICE}\"\ncontainers = [\"{container}\"]\nrepository = \"{repository}\"\nroute = \"fix\"\n\
             [agent]\napi = \"{api}\"\nkey = {key}\n",
            state = folder.path().join("state").display(),
            repository = repository.display(),
        );
        let settings = config::parse(Path::new("demo settings"), &text).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!("the demo's own settings are wrong: {}", lines.join("; "))
        })?;
        let engine = Engine::connect(None).await.map_err(|error| Failure::Away(error.into()))?;
        if !engine.has_image(&settings.sandbox.image).await.map_err(|error| Failure::Away(error.into()))? {
            let image = &settings.sandbox.image;
            return Err(Failure::Away(anyhow!(
                "the engine has no image `{image}`: run `scripts/setup demo`, or `make demo`"
            )));
        }
        Ok(Self { folder, settings, docker, container, _model: model })
    }

    /// The service's bare repository.
    pub(super) fn repository(&self) -> PathBuf {
        self.folder.path().join("billing.git")
    }

    /// Removes the service's container; the folder goes with the value.
    pub(super) async fn clean_up(&self) {
        service::remove(&self.docker, &self.container).await;
    }
}

async fn engine() -> Result<Docker, Failure> {
    let hint = "run `scripts/setup demo`, or `make demo`";
    let docker = Docker::connect_with_defaults();
    let docker = docker.map_err(|error| {
        Failure::Away(anyhow!(error).context(format!("failed to find a container engine: {hint}")))
    })?;
    let pinged = docker.ping().await;
    pinged.map_err(|error| {
        Failure::Away(anyhow!(error).context(format!("the container engine does not answer: {hint}")))
    })?;
    Ok(docker)
}

/// The address that was asked for, or a free port where it is taken.
fn free_address(args: &DemoArgs) -> Result<SocketAddr, Failure> {
    if TcpListener::bind(args.listen).is_ok() {
        return Ok(args.listen);
    }
    let any = SocketAddr::from((args.listen.ip(), 0));
    let listener = TcpListener::bind(any).with_context(|| format!("failed to listen on {}", args.listen))?;
    let address = listener.local_addr().context("failed to find a free port")?;
    say(args, &format!("{} is taken, the dashboard is at {address}", args.listen));
    Ok(address)
}

/// Makes a bare repository whose branch `main` holds the service.
async fn make_repository(folder: &Path, bare: &Path) -> Result<(), Failure> {
    let work = folder.join("work");
    for (path, text) in project::FILES {
        let file = work.join(path);
        let parent = file.parent().unwrap_or(&work);
        std::fs::create_dir_all(parent).with_context(|| format!("failed to make `{}`", parent.display()))?;
        std::fs::write(&file, text).with_context(|| format!("failed to write `{}`", file.display()))?;
    }
    git(&work, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(&work, &["add", "--all"]).await?;
    git(&work, &["commit", "--quiet", "--message=Invoice the orders of the feed"]).await?;
    git(folder, &["clone", "--quiet", "--bare", "work", &bare.display().to_string()]).await?;
    std::fs::remove_dir_all(&work).with_context(|| format!("failed to remove `{}`", work.display()))?;
    Ok(())
}

/// Runs git in a clean environment and gives its output.
pub(super) async fn git(folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", env::var("PATH").unwrap_or_else(|| "/usr/bin:/bin".to_owned()))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "demo"), ("GIT_AUTHOR_EMAIL", "demo@localhost")])
        .envs([("GIT_COMMITTER_NAME", "demo"), ("GIT_COMMITTER_EMAIL", "demo@localhost")])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("failed to run git")?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(anyhow!("failed to run git {}: {stderr}", arguments.join(" ")).into());
    }
    Ok(output.stdout)
}
