//! The container engine: starts sandboxes, and removes those that were left behind.

use std::collections::{HashMap, HashSet};

use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use tracing::{info, warn};

use super::body::{LABEL_DEADLINE, LABEL_INSTANCE, LABEL_JOB, create_body, create_body_beside};
use super::container::Sandbox;
use super::error::SandboxError;
use super::relay::Loopback;
use super::spec::SandboxSpec;
use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::env;
use crate::base::id::JobId;

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// Longest wait for one answer of the engine, not for a command.
const TIMEOUT_SECONDS: u64 = 60;

/// A sandbox that is over its deadline for so long (in seconds) has nobody left who looks after it, whoever started it: its own homeostat
/// would have removed it. Generous, since the clocks of others may differ from ours.
const ABANDONED_AFTER: i64 = 3600;

/// A connection to a container engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    host: String,
}

/// A container that some homeostat has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    id: String,
    name: String,
    instance: String,
    job: Option<JobId>,
    /// Seconds since 1970.
    deadline: Option<i64>,
}

/// A container that [`Engine::reap`] removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    pub name: String,
    pub job: Option<JobId>,
}

impl Engine {
    /// Connects to the engine at `host` (`unix:///path`, `/path`, `tcp://host:port`; if `None` that of `DOCKER_HOST`, else the local
    /// Docker socket) and asks whether it is there.
    pub async fn connect(host: Option<&str>) -> Result<Self, SandboxError> {
        let host = host.map(str::to_owned).or_else(|| env::var(env::DOCKER_HOST));
        let host = host.unwrap_or_else(|| DEFAULT_HOST.to_owned());
        let docker = if host.starts_with("unix://") || host.starts_with('/') {
            Docker::connect_with_unix(&host, TIMEOUT_SECONDS, API_DEFAULT_VERSION)
        } else if host.starts_with("tcp://") || host.starts_with("http://") {
            Docker::connect_with_http(&host, TIMEOUT_SECONDS, API_DEFAULT_VERSION)
        } else {
            return Err(SandboxError::BadHost { host });
        };
        let away = |source| SandboxError::EngineAway { host: host.clone(), source };
        let docker = docker.map_err(away)?;
        docker.ping().await.map_err(away)?;
        Ok(Self { docker, host })
    }

    /// Whether the engine has the image.
    pub async fn has_image(&self, image: &str) -> Result<bool, SandboxError> {
        match self.docker.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(source) => Err(SandboxError::EngineAway { host: self.host.clone(), source }),
        }
    }

    /// Starts a sandbox. It runs until it is removed.
    pub async fn start(&self, spec: &SandboxSpec) -> Result<Sandbox, SandboxError> {
        let volumes = self.volumes_of(spec).await?;
        let sandbox = self.create(spec, create_body(spec, &volumes)).await?;
        self.begin(sandbox, spec, &volumes).await
    }

    /// Starts a sandbox with the loopback of a relay: there is no other network in it either.
    pub async fn start_beside(
        &self,
        spec: &SandboxSpec,
        loopback: &Loopback,
    ) -> Result<Sandbox, SandboxError> {
        let volumes = self.volumes_of(spec).await?;
        let sandbox = self.create(spec, create_body_beside(spec, &volumes, &loopback.id)).await?;
        self.begin(sandbox, spec, &volumes).await
    }

    /// The volumes that the image of `spec` declares.
    pub(super) async fn volumes_of(&self, spec: &SandboxSpec) -> Result<Vec<String>, SandboxError> {
        match self.docker.inspect_image(&spec.image).await {
            Ok(image) => Ok(image.config.and_then(|config| config.volumes).unwrap_or_default()),
            Err(error) if is_not_found(&error) => {
                Err(SandboxError::ImageMissing { image: spec.image.clone() })
            }
            Err(source) => {
                let name = spec.image.clone();
                Err(SandboxError::Engine { action: "look at the image of", name, source })
            }
        }
    }

    /// Creates a container, which is not started yet. From here on the value removes it, also if it is dropped.
    pub(super) async fn create(
        &self,
        spec: &SandboxSpec,
        body: ContainerCreateBody,
    ) -> Result<Sandbox, SandboxError> {
        let name = format!("homeostat-{}-{:012x}", spec.purpose, fastrand::u64(..) >> 16);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        match self.docker.create_container(Some(options), body).await {
            Ok(created) => Ok(Sandbox::new(self.docker.clone(), created.id, name)),
            Err(error) if is_not_found(&error) => {
                Err(SandboxError::ImageMissing { image: spec.image.clone() })
            }
            Err(source) => Err(SandboxError::Engine { action: "create", name, source }),
        }
    }

    async fn begin(
        &self,
        sandbox: Sandbox,
        spec: &SandboxSpec,
        volumes: &[String],
    ) -> Result<Sandbox, SandboxError> {
        let failed =
            |action, source| SandboxError::Engine { action, name: sandbox.name().to_owned(), source };
        let started = match self.docker.start_container(sandbox.id(), None).await {
            Ok(()) => match self.volume_of(sandbox.id(), volumes).await {
                Ok(None) => sandbox.sweep("start").await,
                Ok(Some(path)) => Err(SandboxError::Volume { image: spec.image.clone(), path }),
                Err(source) => Err(failed("look at", source)),
            },
            Err(source) => Err(failed("start", source)),
        };
        match started {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                sandbox.remove().await?;
                Err(error)
            }
        }
    }

    pub(super) const fn docker(&self) -> &Docker {
        &self.docker
    }

    pub(super) fn away(&self, source: Error) -> SandboxError {
        SandboxError::EngineAway { host: self.host.clone(), source }
    }

    /// A path of the container that is a volume all the same; asked only where the image declares some.
    async fn volume_of(&self, id: &str, declared: &[String]) -> Result<Option<String>, Error> {
        if declared.is_empty() {
            return Ok(None);
        }
        let mounts = self.docker.inspect_container(id, None).await?.mounts.unwrap_or_default();
        let volume =
            mounts.into_iter().find(|mount| mount.name.as_ref().is_some_and(|name| !name.is_empty()));
        Ok(volume.and_then(|mount| mount.destination))
    }

    /// All containers of any installation on this engine, for [`Engine::reap`].
    pub async fn sandboxes(&self) -> Result<Vec<Listed>, SandboxError> {
        self.list(LABEL_INSTANCE).await
    }

    /// Removes those of `listed` that are this `instance`'s and whose job is not among `live_jobs`, or whose deadline is over; and
    /// those of any other whose deadline is over since an hour: that of a demo that was killed never comes back for them. One that
    /// cannot be removed is logged and left for the next time.
    ///
    /// The jobs are to be asked for after the containers: a container of a job that is leased in between is then not in the list.
    pub async fn reap(
        &self,
        listed: Vec<Listed>,
        instance: &str,
        live_jobs: &HashSet<JobId>,
        now: Timestamp,
    ) -> Vec<Reaped> {
        let now = now.as_second();
        let is_doomed = |it: &Listed| {
            if it.instance == instance {
                !it.job.is_some_and(|job| live_jobs.contains(&job))
                    || it.deadline.is_none_or(|deadline| deadline < now)
            } else {
                it.deadline.is_some_and(|deadline| deadline < now - ABANDONED_AFTER)
            }
        };
        self.remove_all(listed.into_iter().filter(is_doomed).collect()).await
    }

    /// Removes the containers that an earlier run of `job` left behind.
    pub async fn remove_of_job(&self, instance: &str, job: JobId) -> Result<Vec<Reaped>, SandboxError> {
        let mut listed = self.list(&format!("{LABEL_INSTANCE}={instance}")).await?;
        listed.retain(|it| it.job == Some(job));
        Ok(self.remove_all(listed).await)
    }

    async fn list(&self, label: &str) -> Result<Vec<Listed>, SandboxError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|source| SandboxError::EngineAway { host: self.host.clone(), source })?;
        let read = |container: ContainerSummary| {
            let mut labels = container.labels.unwrap_or_default();
            Some(Listed {
                id: container.id?,
                name: container.names.unwrap_or_default().concat().trim_start_matches('/').to_owned(),
                job: labels.get(LABEL_JOB).and_then(|job| job.parse().ok()),
                deadline: labels.get(LABEL_DEADLINE).and_then(|deadline| deadline.parse().ok()),
                instance: labels.remove(LABEL_INSTANCE).unwrap_or_default(),
            })
        };
        Ok(listed.into_iter().filter_map(read).collect())
    }

    async fn remove_all(&self, doomed: Vec<Listed>) -> Vec<Reaped> {
        let mut reaped = Vec::new();
        for Listed { id, name, job, .. } in doomed {
            match remove(&self.docker, &id).await {
                Ok(()) => {
                    info!(container = name, "removed a sandbox that was left behind");
                    reaped.push(Reaped { name, job });
                }
                Err(error) => {
                    warn!(container = name, error = %Chain(&error), "failed to remove a sandbox that was left behind");
                }
            }
        }
        reaped
    }
}

/// Removes a container with its processes and anonymous volumes; one that is gone, or being removed, is fine.
pub(super) async fn remove(docker: &Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        result => result,
    }
}

pub(super) const fn is_not_found(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}
