//! What a sandbox may use, and what is run in it, as values.

use std::time::Duration;

use bytes::Bytes;

use crate::base::clock::Timestamp;
use crate::base::id::JobId;

/// One sandbox. There is no field for a network, a mount, a credential or a capability: none can be given.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSpec {
    /// Must be on the engine already; nothing is pulled.
    pub image: String,
    /// Of the store: two installations on one engine never remove each other's containers.
    pub instance: String,
    pub job: JobId,
    /// What it is for, `agent` or `check`; part of the container's name.
    pub purpose: &'static str,
    /// After this it may be removed by anybody.
    pub deadline: Timestamp,
    pub limits: SandboxLimits,
    /// Name of an engine's runtime that isolates better than its default one, `runsc` or `kata`; `None` for the default.
    pub runtime: Option<String>,
}

/// What a sandbox may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SandboxLimits {
    /// For processes; the files of the workspace and of `/tmp` are on top of it. There is no swap.
    pub memory_bytes: u64,
    pub cpus: f64,
    pub pids: u32,
    /// Size of [`WORKSPACE`].
    pub workspace_bytes: u64,
    /// Size of `/tmp`.
    pub tmp_bytes: u64,
    /// Largest single file.
    pub file_bytes: u64,
    pub open_files: u32,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpus: 2.0,
            pids: 512,
            workspace_bytes: 1 << 30,
            tmp_bytes: 512 << 20,
            file_bytes: 512 << 20,
            open_files: 4096,
        }
    }
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    pub argv: Vec<String>,
    /// Given to its standard input, which is then closed.
    pub stdin: Bytes,
    /// On top of the image's own environment.
    pub env: Vec<(String, String)>,
    /// Absolute; must exist.
    pub workdir: String,
    pub timeout: Duration,
    /// Bytes kept of stdout and of stderr, each: the first and the last half.
    pub output_cap: usize,
}

impl ExecRequest {
    /// `argv` in [`WORKSPACE`] with no input, ten minutes and 1 MiB of output.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(argv: I) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Bytes::new(),
            env: Vec::new(),
            workdir: WORKSPACE.to_owned(),
            timeout: Duration::from_secs(600),
            output_cap: 1 << 20,
        }
    }
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    pub end: ExecEnd,
    /// Where bytes are missing stands a note on a line of its own.
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Bytes left out of both.
    pub n_dropped: u64,
    pub took: Duration,
}

impl ExecOutput {
    /// Whether the command ended by itself with code 0.
    pub const fn passed(&self) -> bool {
        matches!(self.end, ExecEnd::Exited { code: 0 })
    }

    /// Whether output is missing.
    pub const fn is_truncated(&self) -> bool {
        self.n_dropped > 0
    }
}

/// How a command ended. However it did, none of its processes is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecEnd {
    Exited {
        code: i64,
    },
    TimedOut,
    /// It wrote more than [`FLOOD_BYTES`].
    Flooded,
    /// It ended the sandbox: it killed or stopped what keeps it, or took all its memory. Nothing can be run there any more, and its
    /// files are gone.
    EndedSandbox,
}

/// The work folder: a tmpfs, writable by all, empty at the start; make a folder in it for a repository. No image should have a folder
/// of this name: older versions of runc give a tmpfs the mode of what it covers.
pub const WORKSPACE: &str = "/sandbox";

/// A command that writes more than this is killed.
pub const FLOOD_BYTES: u64 = 256 << 20;
