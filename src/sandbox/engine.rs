//! The container engine: starts sandboxes, and removes those that were left behind.

use std::collections::{HashMap, HashSet};

use bollard::errors::Error;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use tracing::{info, warn};

use super::body::{LABEL_DEADLINE, LABEL_INSTANCE, LABEL_JOB, create_body};
use super::container::Sandbox;
use super::error::SandboxError;
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
        let name = format!("homeostat-{}-{:012x}", spec.purpose, fastrand::u64(..) >> 16);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let failed = |action, source| SandboxError::Engine { action, name: name.clone(), source };
        let created = match self.docker.create_container(Some(options), create_body(spec)).await {
            Ok(created) => created,
            Err(error) if is_not_found(&error) => {
                return Err(SandboxError::ImageMissing { image: spec.image.clone() });
            }
            Err(source) => return Err(failed("create", source)),
        };
        // From here on the value removes the container, also if this future is dropped.
        let sandbox = Sandbox::new(self.docker.clone(), created.id, name.clone());
        let started = match self.docker.start_container(sandbox.id(), None).await {
            Ok(()) => sandbox.sweep("start").await,
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

    /// Removes the containers of this `instance` whose job is not among `live_jobs`, or whose deadline is over; and those of
    /// any other whose deadline is over since an hour: that of a demo that was killed never comes back for them. One that cannot be removed is logged and left for the next time.
    pub async fn reap(
        &self,
        instance: &str,
        live_jobs: &HashSet<JobId>,
        now: Timestamp,
    ) -> Result<Vec<Reaped>, SandboxError> {
        let now = now.as_second();
        self.remove_where(LABEL_INSTANCE, |of, job, deadline| {
            if of == instance {
                !job.is_some_and(|job| live_jobs.contains(&job))
                    || deadline.is_none_or(|deadline| deadline < now)
            } else {
                deadline.is_some_and(|deadline| deadline < now - ABANDONED_AFTER)
            }
        })
        .await
    }

    /// Removes the containers that an earlier run of `job` left behind.
    pub async fn remove_of_job(&self, instance: &str, job: JobId) -> Result<Vec<Reaped>, SandboxError> {
        let label = format!("{LABEL_INSTANCE}={instance}");
        self.remove_where(&label, |_, of, _| of == Some(job)).await
    }

    async fn remove_where(
        &self,
        label: &str,
        is_doomed: impl Fn(&str, Option<JobId>, Option<i64>) -> bool,
    ) -> Result<Vec<Reaped>, SandboxError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let listed = self.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(|source| SandboxError::EngineAway { host: self.host.clone(), source })?;
        let mut reaped = Vec::new();
        for container in listed {
            let (Some(id), labels) = (container.id, container.labels.unwrap_or_default()) else { continue };
            let instance = labels.get(LABEL_INSTANCE).map_or("", String::as_str);
            let job = labels.get(LABEL_JOB).and_then(|job| job.parse().ok());
            let deadline = labels.get(LABEL_DEADLINE).and_then(|deadline| deadline.parse().ok());
            if !is_doomed(instance, job, deadline) {
                continue;
            }
            let name = container.names.unwrap_or_default().concat().trim_start_matches('/').to_owned();
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
        Ok(reaped)
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
