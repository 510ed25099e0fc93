//! One installation: looked up by its key, else made in a container beside the relay to the proxy.

use std::time::Duration;

use super::super::check::Checker;
use super::super::output::{capped, cleaned};
use super::super::project::{Packages, Project};
use super::super::room::setback;
use super::manifests::Manifests;
use super::recipe::{IN, OUT, Recipe, recipe};
use super::settings::Settings;
use crate::base::chain::Chain;
use crate::model::stage::{Setback, StageContext};
use crate::repo::{Mirror, TreeEntry};
use crate::sandbox::error::SandboxError;
use crate::sandbox::proxy::{self, Proxy, Tally};
use crate::sandbox::relay::{PROXY_ADDRESS, Relay};
use crate::sandbox::snapshot::{Snapshot, SnapshotPlan};
use crate::sandbox::spec::{ExecEnd, ExecOutput, ExecRequest, SandboxLimits, SandboxSpec};

/// Part of every key: another way of installing makes other snapshots.
const VERSION: &str = "1";

/// Bytes of the package manager's own words in a diagnosis.
const MAX_SAID_BYTES: usize = 1500;

/// One at a time: two jobs at the same repository would make the same snapshot twice, and the machine is not theirs alone.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What came of the dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Prepared {
    /// There are none, or they are none of homeostat's business.
    Nothing,
    /// They are in this image.
    In {
        image: String,
    },
    Failed {
        why: String,
    },
}

/// What an installation is made with.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Installation<'a> {
    pub(in super::super) checker: &'a Checker<'a>,
    pub(in super::super) mirror: &'a Mirror,
    /// Files of the base commit.
    pub(in super::super) entries: &'a [TreeEntry],
    pub(in super::super) project: &'a Project,
    pub(in super::super) context: &'a StageContext,
}

impl Installation<'_> {
    /// Finds or makes the snapshot for the project in the checker's image.
    pub(in super::super) async fn prepare(&self) -> Result<Prepared, Setback> {
        let settings = self.settings();
        let Some(packages) = self.project.packages.as_ref().filter(|_| settings.is_enabled) else {
            return Ok(Prepared::Nothing);
        };
        let manifests = Manifests::read(self.mirror, self.entries, packages).await?;
        if manifests.is_empty(packages.manager) {
            return Ok(Prepared::Nothing);
        }
        let recipe = match recipe(packages, &manifests, settings.runs_scripts) {
            Ok(recipe) => recipe,
            Err(why) => return Ok(Prepared::Failed { why }),
        };
        let manifests = manifests.with_names(self.entries, packages);
        let key = self.key(packages, &manifests, &recipe).await?;
        let by = match &packages.lock {
            Some(lock) => format!("{} from `{lock}`", packages.manager),
            None => format!("{}, without a lock file", packages.manager),
        };
        if let Some(snapshot) = self.known(&key).await? {
            let age = self.age(&snapshot);
            self.tell(&format!("{by}: {}, installed {age} ago", size(snapshot.n_bytes))).await;
            return Ok(Prepared::In { image: snapshot.image });
        }
        self.tell(&format!("{by}: waiting to install")).await;
        let _one = tokio::select! {
            one = ONE.lock() => one,
            () = self.context.stop.requested() => return Err(Setback::Released),
        };
        // Whoever was before may have made it.
        if let Some(snapshot) = self.known(&key).await? {
            return Ok(Prepared::In { image: snapshot.image });
        }
        self.tell(&format!("{by}: installing")).await;
        match self.install(packages, &manifests, &recipe, key).await {
            Ok(Ok(snapshot)) => {
                self.tell(&format!("{by}: {} installed", size(snapshot.n_bytes))).await;
                Ok(Prepared::In { image: snapshot.image })
            }
            Ok(Err(why)) => {
                self.tell(&format!("{by}: failed: {}", why.lines().next().unwrap_or_default())).await;
                Ok(Prepared::Failed { why: format!("{by}: {why}") })
            }
            Err(setback) => Err(setback),
        }
    }

    fn settings(&self) -> &Settings {
        &self.checker.parts.settings.dependencies
    }

    async fn tell(&self, detail: &str) {
        self.context.progress.step("dependencies", detail).await;
    }

    async fn known(&self, key: &str) -> Result<Option<Snapshot>, Setback> {
        let Checker { parts, instance, .. } = *self.checker;
        let (keep, now) = (self.settings().keep, parts.clock.now());
        parts.engine.snapshot(instance, key, keep, now).await.map_err(setback)
    }

    fn age(&self, snapshot: &Snapshot) -> String {
        let seconds = self.checker.parts.clock.now().duration_since(snapshot.made).as_secs();
        match seconds {
            ..120 => format!("{} s", seconds.max(0)),
            120..7200 => format!("{} min", seconds / 60),
            7200..172_800 => format!("{} h", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        }
    }

    /// A hash of all that decides what is installed, the image by its content.
    async fn key(
        &self,
        packages: &Packages,
        manifests: &Manifests,
        recipe: &Recipe,
    ) -> Result<String, Setback> {
        let Checker { parts, image, .. } = *self.checker;
        let image_id = parts.engine.image_id(image).await.map_err(setback)?.unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        for text in [VERSION, &image_id, packages.manager.name(), &packages.folder, &recipe.script] {
            part(text.as_bytes());
        }
        for (name, value) in &self.settings().environment {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        for (path, content) in &manifests.files {
            part(path.as_bytes());
            part(content);
        }
        Ok(hasher.finalize().to_hex()[..32].to_owned())
    }

    /// A diagnosis where the installation itself fails.
    async fn install(
        &self,
        packages: &Packages,
        manifests: &Manifests,
        recipe: &Recipe,
        key: String,
    ) -> Result<Result<Snapshot, String>, Setback> {
        let Checker { parts, .. } = *self.checker;
        let settings = self.settings();
        let lifetime = settings.timeout + Duration::from_secs(1800);
        let spec = SandboxSpec { limits: self.limits(), ..self.checker.spec("install", lifetime) };
        let relay_spec =
            SandboxSpec { image: settings.relay_image.clone(), ..self.checker.spec("relay", lifetime) };
        let mut relay = match Relay::start(&parts.engine, &relay_spec).await {
            Ok(relay) => relay,
            Err(error) => return diagnosis(error),
        };
        let proxy = Proxy::new(proxy::Settings {
            allow: settings.allow.clone(),
            internal: settings.internal.clone(),
            max_bytes_in: settings.max_bytes.saturating_mul(2),
            max_bytes_out: 64 << 20,
            idle: Duration::from_secs(60),
        });
        let plan = SnapshotPlan {
            key,
            from: OUT.to_owned(),
            to: recipe.to.to_owned(),
            env: owned(&recipe.set),
            path: recipe.path.iter().map(|it| (*it).to_owned()).collect(),
            max_bytes: settings.max_bytes,
        };
        let installed = match parts.engine.start_beside(&spec, &relay.loopback()).await {
            Ok(sandbox) => {
                let work = async {
                    let tar = tar_of(manifests);
                    sandbox.upload(IN, tar.into()).await?;
                    let output = sandbox.exec(self.request(packages, recipe)).await?;
                    if !output.passed() {
                        return Ok(Err(self.why(&output, &proxy.tally())));
                    }
                    let now = parts.clock.now();
                    let snapshot = parts.engine.make_snapshot(&spec, &sandbox, &plan, now).await?;
                    Ok(Ok(snapshot))
                };
                let installed = tokio::select! {
                    installed = work => Some(installed),
                    () = relay.serve(&proxy) => Some(Ok(Err("the way to the proxy was lost".to_owned()))),
                    () = self.context.stop.requested() => None,
                };
                if let Err(error) = sandbox.remove().await {
                    tracing::warn!(error = %Chain(&error), "failed to remove the container of an installation");
                }
                installed
            }
            Err(error) => Some(Err(error)),
        };
        if let Err(error) = relay.remove().await {
            tracing::warn!(error = %Chain(&error), "failed to remove a relay");
        }
        let tally = proxy.tally();
        tracing::info!(
            manager = packages.manager.name(),
            n_served = tally.n_served,
            n_refused = tally.n_refused,
            bytes_in = tally.bytes_in,
            bytes_out = tally.bytes_out,
            "an installation is over"
        );
        match installed {
            Some(Ok(installed)) => Ok(installed),
            Some(Err(error)) => diagnosis(error),
            None => Err(Setback::Released),
        }
    }

    /// What is downloaded, what is unpacked and what is installed lie side by side.
    fn limits(&self) -> SandboxLimits {
        let limits = self.checker.parts.settings.sandbox;
        let max_bytes = self.settings().max_bytes;
        SandboxLimits {
            workspace_bytes: limits.workspace_bytes.max(max_bytes + (64 << 20)),
            tmp_bytes: limits.tmp_bytes.max(max_bytes),
            ..limits
        }
    }

    fn request(&self, packages: &Packages, recipe: &Recipe) -> ExecRequest {
        let settings = self.settings();
        let proxied = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
        let mut env = owned(&proxied.map(|name| (name, PROXY_ADDRESS)));
        env.extend(owned(&[("no_proxy", ""), ("NO_PROXY", ""), ("CI", "1"), ("NO_COLOR", "1")]));
        env.extend(owned(&recipe.env));
        env.extend(settings.environment.iter().cloned());
        let workdir = match packages.folder.as_str() {
            "" => IN.to_owned(),
            folder => format!("{IN}/{folder}"),
        };
        let script = format!("exec 2>&1 </dev/null\n{}", recipe.script);
        ExecRequest {
            env,
            workdir,
            timeout: settings.timeout,
            output_cap: 64 << 10,
            ..ExecRequest::new(["sh".to_owned(), "-c".to_owned(), script])
        }
    }

    /// Why an installation failed, for people: how it ended, whom it could not talk to, and its last words.
    fn why(&self, output: &ExecOutput, tally: &Tally) -> String {
        let mut why = match output.end {
            ExecEnd::Exited { code } => format!("it ended with code {code}"),
            ExecEnd::TimedOut => format!("it did not end within {} s", self.settings().timeout.as_secs()),
            ExecEnd::Flooded => "it wrote too much".to_owned(),
            ExecEnd::EndedSandbox => "it ended its sandbox".to_owned(),
        };
        for (target, refusal) in &tally.refused {
            why.push_str(&format!("\nthe proxy refused {target}: {refusal}"));
        }
        let said = cleaned(&output.stdout, &self.checker.parts.redactor);
        let said = capped(said.as_str().trim(), MAX_SAID_BYTES);
        if !said.is_empty() {
            why.push_str(&format!("\n{said}"));
        }
        why
    }
}

/// An engine that is away comes back; a package that cannot be unpacked, or an image that is missing, does not.
fn diagnosis<T>(error: SandboxError) -> Result<Result<T, String>, Setback> {
    if error.is_transient() { Err(setback(error)) } else { Ok(Err(Chain(&error).to_string())) }
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn tar_of(manifests: &Manifests) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in &manifests.files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content.as_slice()).expect("memory takes all that is written");
    }
    builder.into_inner().expect("memory takes all that is written")
}

/// `34 MiB`, `120 KiB`.
fn size(n_bytes: u64) -> String {
    if n_bytes >= 1 << 20 { format!("{} MiB", n_bytes >> 20) } else { format!("{} KiB", n_bytes >> 10) }
}
