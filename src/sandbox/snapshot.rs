//! Installed dependencies as an image: the image they were installed in, and one layer on top of it with a folder of files.
//!
//! An image is what an engine stores, shares between containers and gives to them read-only, on Docker and Podman alike; no volume has to
//! be mounted and no container has to be filled. No process ever runs in the container that is made an image: the files come
//! out of the installation as a hostile tar, are written anew by [`repack`], and are put into a container that is not started.
//!
//! **Invariant:** a snapshot differs from its image in the files below one folder, all of root's, and in its environment.

mod repack;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerConfig, ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt};
use tokio_util::io::ReaderStream;
use tracing::{info, warn};

use super::body::{LABEL_DEADLINE, LABEL_INSTANCE, LABEL_JOB};
use super::container::Sandbox;
use super::engine::{Engine, is_not_found};
use super::error::SandboxError;
use super::spec::SandboxSpec;
use crate::base::chain::Chain;
use crate::base::clock::Timestamp;

/// Which installation made an image.
const LABEL_OF: &str = "homeostat.snapshot.instance";
/// When, in seconds since 1970.
const LABEL_MADE: &str = "homeostat.snapshot.made";
/// How many bytes its own files are.
const LABEL_BYTES: &str = "homeostat.snapshot.bytes";

/// A snapshot is no longer used when it is as old as it may be, and removed so much later: what was begun in it is then over.
const GRACE: Duration = Duration::from_secs(86_400);

/// Name of all snapshots; their keys are the tags.
const REPOSITORY: &str = "homeostat/snapshot";

/// Longest wait for the files to come out.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a snapshot is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPlan {
    /// Of everything that it depends on; letters and digits.
    pub key: String,
    /// The folder in the sandbox that is taken.
    pub from: String,
    /// Where it is to stand in the image, absolute.
    pub to: String,
    /// Set for whatever runs in the image.
    pub env: Vec<(String, String)>,
    /// Folders (absolute) that come first in the image's `PATH`.
    pub path: Vec<String>,
    /// Most bytes of files.
    pub max_bytes: u64,
}

/// A snapshot on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, for [`SandboxSpec::image`].
    pub image: String,
    pub n_bytes: u64,
    pub made: Timestamp,
}

/// Which snapshots stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// No longer than this: what is installed anew has the corrections of its day.
    pub age: Duration,
    /// The newest that fit.
    pub total_bytes: u64,
}

impl Snapshot {
    fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.made)).unwrap_or_default()
    }
}

impl Engine {
    /// The id of an image, which changes with its content; `None` if it is not there.
    pub async fn image_id(&self, image: &str) -> Result<Option<String>, SandboxError> {
        match self.docker().inspect_image(image).await {
            Ok(inspected) => Ok(inspected.id),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(source) => Err(self.away(source)),
        }
    }

    /// The snapshot of this key, if this installation has made it and it is not too old.
    pub async fn snapshot(
        &self,
        instance: &str,
        key: &str,
        keep: Keep,
        now: Timestamp,
    ) -> Result<Option<Snapshot>, SandboxError> {
        let found = self.snapshots(instance).await?;
        let name = name_of(instance, key);
        Ok(found.into_iter().find(|snapshot| snapshot.image == name && snapshot.age(now) <= keep.age))
    }

    /// All snapshots of this installation, newest first.
    pub async fn snapshots(&self, instance: &str) -> Result<Vec<Snapshot>, SandboxError> {
        let filters = HashMap::from([("label", vec![format!("{LABEL_OF}={instance}")])]);
        let options = ListImagesOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker().list_images(Some(options)).await.map_err(|source| self.away(source))?;
        let mut found = Vec::new();
        for image in listed {
            let number = |label: &str| image.labels.get(label).and_then(|text| text.parse::<i64>().ok());
            let made = number(LABEL_MADE).and_then(|second| Timestamp::from_second(second).ok());
            let n_bytes = number(LABEL_BYTES).and_then(|bytes| u64::try_from(bytes).ok());
            let (Some(made), Some(n_bytes)) = (made, n_bytes) else { continue };
            // Podman says of an image on this machine that it is.
            let names = image.repo_tags.iter().map(|tag| tag.strip_prefix("localhost/").unwrap_or(tag));
            let name = names.into_iter().find(|tag| tag.starts_with(REPOSITORY));
            // One whose name was given to a newer one is known by its id.
            found.push(Snapshot { image: name.unwrap_or(&image.id).to_owned(), n_bytes, made });
        }
        found.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.made));
        Ok(found)
    }

    /// Makes what stands in a folder of `sandbox`, in which no command runs, a snapshot on top of the image of `spec`.
    pub async fn make_snapshot(
        &self,
        spec: &SandboxSpec,
        sandbox: &Sandbox,
        plan: &SnapshotPlan,
        now: Timestamp,
    ) -> Result<Snapshot, SandboxError> {
        let transfer = |message: String| SandboxError::Transfer {
            action: "take what was installed out of",
            name: sandbox.name().to_owned(),
            message,
        };
        let tar = self.take(sandbox, &plan.from, plan.max_bytes).await?;
        let (from, to, max_bytes) = (plan.from.clone(), plan.to.clone(), plan.max_bytes);
        let repacked = tokio::task::spawn_blocking(move || repack::repack(tar, &from, &to, max_bytes)).await;
        let repacked = repacked.map_err(|error| transfer(error.to_string()))?;
        let packed = repacked.map_err(|error| transfer(error.to_string()))?;
        let snapshot =
            Snapshot { image: name_of(&spec.instance, &plan.key), n_bytes: packed.n_bytes, made: now };
        let body = self.body(spec, plan, &snapshot).await?;
        let maker = self.create(spec, body).await?;
        let made = self.commit(&maker, packed.file, &snapshot).await;
        maker.remove().await?;
        made?;
        info!(image = snapshot.image, bytes = snapshot.n_bytes, "made a snapshot of dependencies");
        Ok(snapshot)
    }

    /// Removes the snapshots of this installation that need not stay; what a container uses stays all the same. How many were removed.
    pub async fn prune_snapshots(
        &self,
        instance: &str,
        keep: Keep,
        now: Timestamp,
    ) -> Result<usize, SandboxError> {
        let mut total = 0_u64;
        let mut n_removed = 0;
        for snapshot in self.snapshots(instance).await? {
            total = total.saturating_add(snapshot.n_bytes);
            let has_name = snapshot.image.starts_with(REPOSITORY);
            if has_name && snapshot.age(now) <= keep.age + GRACE && total <= keep.total_bytes {
                continue;
            }
            let options = RemoveImageOptionsBuilder::new().force(false).noprune(false).build();
            match self.docker().remove_image(&snapshot.image, Some(options), None).await {
                Ok(_) => {
                    info!(image = snapshot.image, "removed a snapshot of dependencies");
                    n_removed += 1;
                }
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
                Err(error) => {
                    warn!(image = snapshot.image, error = %Chain(&error), "failed to remove a snapshot of dependencies");
                }
            }
        }
        Ok(n_removed)
    }

    /// The files of a folder as a tar in a file: they may be more than fits into memory.
    async fn take(&self, sandbox: &Sandbox, folder: &str, max_bytes: u64) -> Result<File, SandboxError> {
        let name = sandbox.name();
        let transfer = |message: String| SandboxError::Transfer {
            action: "take what was installed out of",
            name: name.to_owned(),
            message,
        };
        let engine =
            |source| SandboxError::Engine { action: "run a command in", name: name.to_owned(), source };
        let argv = ["tar", "-cf", "-", "-C", folder, "."].map(str::to_owned).to_vec();
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            cmd: Some(argv),
            working_dir: Some("/".to_owned()),
            ..Default::default()
        };
        let exec = self.docker().create_exec(sandbox.id(), options).await.map_err(engine)?;
        let started = self.docker().start_exec(&exec.id, None).await.map_err(engine)?;
        let StartExecResults::Attached { mut output, input: _input } = started else {
            return Err(transfer("the engine gave no output".to_owned()));
        };
        let mut file = tempfile::tempfile().map_err(|error| transfer(error.to_string()))?;
        let copied = async {
            // A tar has a head for each file, and its blocks are filled up.
            let (mut n_bytes, most) = (0_u64, max_bytes.saturating_mul(2).saturating_add(64 << 20));
            while let Some(piece) = output.next().await {
                if let LogOutput::StdOut { message } = piece.map_err(engine)? {
                    n_bytes += message.len() as u64;
                    if n_bytes > most {
                        return Err(transfer(format!("it is larger than {max_bytes} bytes")));
                    }
                    file.write_all(&message).map_err(|error| transfer(error.to_string()))?;
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, copied)
            .await
            .map_err(|_| transfer("it took too long".to_owned()))??;
        file.seek(SeekFrom::Start(0)).map_err(|error| transfer(error.to_string()))?;
        Ok(file)
    }

    /// A container that is only written into. It is the job's own, so that the reaper knows it.
    async fn body(
        &self,
        spec: &SandboxSpec,
        plan: &SnapshotPlan,
        snapshot: &Snapshot,
    ) -> Result<ContainerCreateBody, SandboxError> {
        let inspected = self.docker().inspect_image(&spec.image).await.map_err(|source| self.away(source))?;
        let image_env = inspected.config.and_then(|config| config.env).unwrap_or_default();
        let path = image_env.iter().find_map(|entry| entry.strip_prefix("PATH="));
        let path = path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut env: Vec<String> = plan.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !plan.path.is_empty() {
            env.push(format!("PATH={}:{path}", plan.path.join(":")));
        }
        let labels = [
            (LABEL_INSTANCE, spec.instance.clone()),
            (LABEL_JOB, spec.job.to_string()),
            (LABEL_DEADLINE, spec.deadline.as_second().to_string()),
            (LABEL_OF, spec.instance.clone()),
            (LABEL_MADE, snapshot.made.as_second().to_string()),
            (LABEL_BYTES, snapshot.n_bytes.to_string()),
        ];
        Ok(ContainerCreateBody {
            image: Some(spec.image.clone()),
            entrypoint: Some(vec!["sh".to_owned()]),
            env: Some(env),
            labels: Some(labels.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..Default::default() }),
            ..Default::default()
        })
    }

    async fn commit(&self, maker: &Sandbox, tar: File, snapshot: &Snapshot) -> Result<(), SandboxError> {
        let engine = |action| {
            let name = maker.name().to_owned();
            move |source| SandboxError::Engine { action, name, source }
        };
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(tar), 256 << 10);
        let body = bollard::body_try_stream(stream.into_stream());
        let uploaded = self.docker().upload_to_container(maker.id(), Some(options), body).await;
        uploaded.map_err(engine("write what was installed into"))?;
        let (repository, tag) = snapshot.image.rsplit_once(':').unwrap_or((&snapshot.image, "latest"));
        let options = CommitContainerOptionsBuilder::new();
        let options = options.container(maker.id()).repo(repository).tag(tag).pause(false).build();
        // An image is nobody's job: what is run of it by hand is not to be reaped.
        let labels = [LABEL_INSTANCE, LABEL_JOB, LABEL_DEADLINE].map(|name| (name.to_owned(), String::new()));
        let config = ContainerConfig { labels: Some(labels.into_iter().collect()), ..Default::default() };
        let committed = self.docker().commit_container(options, config).await;
        committed.map_err(engine("make an image of"))?;
        Ok(())
    }
}

/// `homeostat/snapshot:<installation>-<key>`.
fn name_of(instance: &str, key: &str) -> String {
    let short: String = instance.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{REPOSITORY}:{}-{key}", short.to_ascii_lowercase())
}
