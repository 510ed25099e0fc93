//! One call of the git program, in an environment that nobody else has touched.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::error::{RepoError, in_short};
use super::settings::Settings;

/// Settings that hold for every call, above those of the repository: no hook, filter, helper or program that somebody else chose.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    // A symlink is a small file with its target in it: none is ever made on the host.
    ("core.symlinks", "false"),
    ("core.autocrlf", "false"),
    ("core.fileMode", "true"),
    ("core.quotePath", "false"),
    ("core.precomposeUnicode", "false"),
    ("core.sshCommand", "false"),
    ("core.pager", "cat"),
    ("core.editor", "false"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("protocol.file.allow", "always"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    // Few packs rather than many loose objects: clones link them.
    ("fetch.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("diff.noprefix", "false"),
    ("diff.mnemonicPrefix", "false"),
    ("init.defaultBranch", "main"),
    ("init.templateDir", ""),
    ("advice.detachedHead", "false"),
];

/// Most bytes kept of what git writes to its error output.
const MAX_STDERR: usize = 64 << 10;

/// The git program with its surroundings.
#[derive(Debug)]
pub(super) struct Git {
    pub(super) settings: Settings,
    /// Names every folder as safe, so that a bare repository of another user can be fetched from. The one setting that git takes
    /// from nowhere else.
    global: PathBuf,
}

impl Git {
    /// Writes the global configuration into the settings' folder, which must be there.
    pub(super) fn new(settings: Settings) -> Result<Arc<Self>, RepoError> {
        let global = settings.folder.join("gitconfig");
        std::fs::write(&global, "[safe]\n\tdirectory = *\n").map_err(RepoError::io("write", &global))?;
        Ok(Arc::new(Self { settings, global }))
    }

    /// Begins a call. `action` completes "failed to …".
    pub(super) fn call(&self, action: &'static str) -> Call<'_> {
        Call {
            git: self,
            action,
            folder: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            extra_config: Vec::new(),
            stdin: Vec::new(),
            timeout: self.settings.timeout,
            max_output: 256 << 20,
        }
    }
}

/// A call being prepared.
#[derive(Debug)]
#[must_use]
pub(super) struct Call<'a> {
    git: &'a Git,
    action: &'static str,
    folder: Option<PathBuf>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    extra_config: Vec<(String, String)>,
    stdin: Vec<u8>,
    timeout: Duration,
    max_output: usize,
}

/// What a call gave.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Call<'_> {
    /// Works in this repository or work tree.
    pub(super) fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Adds arguments.
    pub(super) fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets a git setting through the environment, where no other user of the machine can read it.
    pub(super) fn config(mut self, key: String, value: String) -> Self {
        self.extra_config.push((key, value));
        self
    }

    /// Feeds this to git.
    pub(super) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Gives it this long.
    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end; a non-zero code is a [`Reply`] too.
    pub(super) async fn reply(self) -> Result<Reply, RepoError> {
        let (action, limit, max_output) = (self.action, self.timeout, self.max_output);
        let (mut group, stdin) = self.start(Stdio::piped())?;
        let run = async {
            let mut stdout = group.child.stdout.take();
            let mut stderr = group.child.stderr.take();
            let mut input = group.child.stdin.take();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let feed = async {
                if let Some(mut input) = input.take() {
                    // git may end before it has read everything; its exit code says whether that was wrong.
                    let _ = input.write_all(&stdin).await;
                }
            };
            let ((), out_end, err_end) = tokio::join!(
                feed,
                read_capped(stdout.as_mut(), &mut out, max_output),
                read_capped(stderr.as_mut(), &mut err, MAX_STDERR),
            );
            let status = group.child.wait().await;
            let failed = |source| RepoError::Start { action, source };
            out_end.map_err(failed)?;
            err_end.map_err(failed)?;
            let code = status.map_err(failed)?.code().unwrap_or(-1);
            if out.len() > max_output {
                return Err(RepoError::TooLarge { limit: max_output as u64, unit: "bytes of output" });
            }
            Ok(Reply { code, stdout: out, stderr: String::from_utf8_lossy(&err).into_owned() })
        };
        tokio::time::timeout(limit, run).await.unwrap_or(Err(RepoError::TimedOut { action, limit }))
    }

    /// Runs it and takes a non-zero code as an error.
    pub(super) async fn output(self) -> Result<Vec<u8>, RepoError> {
        let action = self.action;
        let reply = self.reply().await?;
        if reply.code == 0 {
            return Ok(reply.stdout);
        }
        Err(RepoError::Refused { action, message: in_short(&reply.stderr) })
    }

    /// Like [`Self::output`], as a text without the last line end.
    pub(super) async fn text(self) -> Result<String, RepoError> {
        let output = self.output().await?;
        Ok(String::from_utf8_lossy(&output).trim_end_matches('\n').to_owned())
    }

    /// Runs it with its output going into a file, for what is too large for memory.
    pub(super) async fn into_file(self, file: File) -> Result<(), RepoError> {
        let (action, limit) = (self.action, self.timeout);
        let (mut group, stdin) = self.start(Stdio::from(file))?;
        let run = async {
            let mut input = group.child.stdin.take();
            let mut stderr = group.child.stderr.take();
            let mut err = Vec::new();
            let feed = async {
                if let Some(mut input) = input.take() {
                    let _ = input.write_all(&stdin).await;
                }
            };
            let ((), err_end) = tokio::join!(feed, read_capped(stderr.as_mut(), &mut err, MAX_STDERR));
            let failed = |source| RepoError::Start { action, source };
            err_end.map_err(failed)?;
            let status = group.child.wait().await.map_err(failed)?;
            if status.success() {
                return Ok(());
            }
            Err(RepoError::Refused { action, message: in_short(&String::from_utf8_lossy(&err)) })
        };
        tokio::time::timeout(limit, run).await.unwrap_or(Err(RepoError::TimedOut { action, limit }))
    }

    fn start(self, stdout: Stdio) -> Result<(Group, Vec<u8>), RepoError> {
        let mut command = Command::new(&self.git.settings.git);
        command
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", &self.git.global)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_ALLOW_PROTOCOL", "https:http:file");
        for (name, value) in &self.git.settings.environment {
            command.env(name, value);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let fixed = CONFIG.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let mut count = 0;
        for (key, value) in fixed.chain(self.extra_config) {
            command.env(format!("GIT_CONFIG_KEY_{count}"), key);
            command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
            count += 1;
        }
        command.env("GIT_CONFIG_COUNT", count.to_string());
        if let Some(folder) = &self.folder {
            command.arg("-C").arg(folder);
            // Never a repository further up.
            command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
        }
        command.args(&self.arguments);
        command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let action = self.action;
        let child = command.spawn().map_err(|source| RepoError::Start { action, source })?;
        Ok((Group { child }, self.stdin))
    }
}

/// git and the programs it starts (`git-remote-https`, `git-upload-pack`), killed together when the call is dropped.
#[derive(Debug)]
struct Group {
    child: Child,
}

impl Drop for Group {
    fn drop(&mut self) {
        // After `wait` the id is gone, and nobody else's group can be hit.
        let id =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// Reads to the end and keeps at most one byte more than `max`; the rest is read and thrown away, so that the writer never blocks.
async fn read_capped(
    source: Option<&mut (impl AsyncReadExt + Unpin)>,
    into: &mut Vec<u8>,
    max: usize,
) -> std::io::Result<()> {
    let Some(source) = source else { return Ok(()) };
    (&mut *source).take(max as u64 + 1).read_to_end(into).await?;
    tokio::io::copy(source, &mut tokio::io::sink()).await?;
    Ok(())
}
