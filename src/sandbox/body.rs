//! The request that creates a sandbox's container: every promise that the engine keeps for us, in one value.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::spec::{SandboxSpec, WORKSPACE};
use super::sweep;

/// Which installation a container belongs to.
pub(super) const LABEL_INSTANCE: &str = "homeostat.instance";
/// Which job it works for.
pub(super) const LABEL_JOB: &str = "homeostat.job";
/// After this second since 1970 it may be removed by anybody.
pub(super) const LABEL_DEADLINE: &str = "homeostat.deadline";

/// Neither root nor anybody on the host.
const USER: &str = "1000:1000";

/// Size of `/dev/shm`, which programs need for locks between processes. It counts as memory, on top of the limit for processes.
pub(super) const SHM_BYTES: u64 = 64 << 20;

/// Podman hands the host's proxy variables to containers, and a proxy's address may hold a password.
const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// The container of `spec`. `volumes` are those that the image declares: each would be a writable folder of the host without a limit.
pub(super) fn create_body(spec: &SandboxSpec, volumes: &[String]) -> ContainerCreateBody {
    let labels = [
        (LABEL_INSTANCE, spec.instance.clone()),
        (LABEL_JOB, spec.job.to_string()),
        (LABEL_DEADLINE, spec.deadline.as_second().to_string()),
    ];
    // The root is read-only, so that the image's home folder would refuse every cache and dot file.
    let mut env = vec!["HOME=/tmp".to_owned()];
    env.extend(PROXY_VARIABLES.map(|name| format!("{name}=")));
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        // Whatever the image would run, it is the sweeper that runs: commands come as execs.
        entrypoint: Some(sweep::main_command()),
        cmd: Some(Vec::new()),
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() }),
        hostname: Some("sandbox".to_owned()),
        user: Some(USER.to_owned()),
        // Were it the work folder, the engine would first make that one, for root alone, and mount the tmpfs with its mode.
        working_dir: Some("/".to_owned()),
        env: Some(env),
        open_stdin: Some(true),
        stdin_once: Some(false),
        tty: Some(false),
        labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        host_config: Some(host_config(spec, volumes)),
        ..Default::default()
    }
}

/// The container of `spec` in the network namespace of another container, which has one of its own without a network.
pub(super) fn create_body_beside(spec: &SandboxSpec, volumes: &[String], other: &str) -> ContainerCreateBody {
    let mut body = create_body(spec, volumes);
    // It is the other's, with its network.
    body.hostname = None;
    if let Some(host) = &mut body.host_config {
        host.network_mode = Some(format!("container:{other}"));
    }
    body
}

fn host_config(spec: &SandboxSpec, volumes: &[String]) -> HostConfig {
    let SandboxSpec { limits, runtime, .. } = spec;
    // Files in a tmpfs count as the container's memory: they come on top, so that a full workspace does not kill a compiler.
    let memory = signed(limits.memory_bytes + limits.workspace_bytes + limits.tmp_bytes + SHM_BYTES);
    let mut tmpfs = HashMap::from([
        (WORKSPACE.to_owned(), tmpfs_options(limits.workspace_bytes)),
        ("/tmp".to_owned(), tmpfs_options(limits.tmp_bytes)),
    ]);
    // What lies on a volume's path has no volume: empty and read-only like the rest of the root.
    for path in volumes {
        tmpfs.entry(path.clone()).or_insert_with(|| "ro,nosuid,nodev,noexec,size=4096".to_owned());
    }
    HostConfig {
        network_mode: Some("none".to_owned()),
        // Its own memory segments and `/dev/shm`, never the host's or another container's.
        ipc_mode: Some("private".to_owned()),
        shm_size: Some(signed(SHM_BYTES)),
        runtime: runtime.clone(),
        cap_drop: Some(vec!["ALL".to_owned()]),
        // Naming no seccomp profile leaves the engine's default one on.
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        readonly_rootfs: Some(true),
        tmpfs: Some(tmpfs),
        memory: Some(memory),
        // Equal to `memory`: no swap.
        memory_swap: Some(memory),
        nano_cpus: Some(nano_cpus(limits.cpus)),
        pids_limit: Some(i64::from(limits.pids)),
        ulimits: Some(vec![
            ulimit("fsize", signed(limits.file_bytes)),
            ulimit("nofile", i64::from(limits.open_files)),
            ulimit("core", 0),
        ]),
        // Reaps the orphans of killed commands.
        init: Some(true),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..Default::default()
    }
}

/// Only options that Podman knows: it refuses `uid` and `gid`, hence the mode of `/tmp`.
fn tmpfs_options(bytes: u64) -> String {
    format!("rw,exec,nosuid,nodev,mode=1777,size={bytes}")
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float to integer cast saturates, and no machine has so many"
)]
fn nano_cpus(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}
