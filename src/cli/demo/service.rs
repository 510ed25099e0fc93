//! The demo's service in its container: no network, removed at the end.

use std::collections::HashMap;

use anyhow::Context as _;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;

use super::super::demo_project as project;
use super::super::exit::Failure;
use super::ground::{Ground, git};
use crate::config::Settings;

/// Carries the process id of the demo, so that a later one can tell containers that nobody looks after any more.
const LABEL: &str = "homeostat.demo";
const FOLDER: &str = "srv/billing";

/// A running service.
#[derive(Debug)]
pub(super) struct ServiceContainer {
    docker: Docker,
    name: String,
}

impl ServiceContainer {
    /// Starts the service as it stands on the base branch.
    pub(super) async fn start(ground: &Ground) -> Result<Self, Failure> {
        let prefix = format!("--prefix={FOLDER}/");
        let tar = git(&ground.repository(), &["archive", "--format=tar", &prefix, "main"]).await?;
        let name = ground.container.clone();
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let docker = ground.docker.clone();
        docker
            .create_container(Some(options), body(&ground.settings))
            .await
            .context("failed to create the service's container")?;
        // From here on it is removed with the ground, whatever happens.
        let upload = UploadToContainerOptionsBuilder::new().path("/").build();
        docker
            .upload_to_container(&name, Some(upload), bollard::body_full(Bytes::from(tar)))
            .await
            .context("failed to copy the service into its container")?;
        docker.start_container(&name, None).await.context("failed to start the service")?;
        Ok(Self { docker, name })
    }

    /// Name of the container.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lines it has logged so far.
    pub(super) async fn n_log_lines(&self) -> Result<usize, Failure> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        let frames: Vec<_> = self
            .docker
            .logs(&self.name, Some(options))
            .try_collect()
            .await
            .context("failed to read the log of the service")?;
        Ok(frames.len())
    }

    /// Removes the container.
    pub(super) async fn remove(self) {
        remove(&self.docker, &self.name).await;
    }
}

fn body(settings: &Settings) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(settings.sandbox.image.clone()),
        // An hour at most, should nobody be left to remove it.
        cmd: Some(["timeout", "3600"].iter().chain(project::COMMAND).map(|it| (*it).to_owned()).collect()),
        env: Some(vec!["INTERVAL=0.3".to_owned(), "PYTHONUNBUFFERED=1".to_owned()]),
        working_dir: Some(format!("/{FOLDER}")),
        labels: Some(HashMap::from([(LABEL.to_owned(), std::process::id().to_string())])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            memory: Some(256 << 20),
            cap_drop: Some(vec!["ALL".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Removes a container; one that is not there is removed already.
pub(super) async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    if let Err(error) = docker.remove_container(name, Some(options)).await {
        tracing::debug!(%error, "the service's container is not there");
    }
}

/// Removes what a killed demo left behind.
pub(super) async fn remove_stale(docker: &Docker) {
    let filters = HashMap::from([("label", vec![LABEL])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await.unwrap_or_default() {
        let owner = container.labels.unwrap_or_default().remove(LABEL).unwrap_or_default();
        let is_alive = std::path::Path::new("/proc").join(&owner).exists() && !owner.is_empty();
        if let (false, Some(id)) = (is_alive, container.id) {
            remove(docker, &id).await;
        }
    }
}
