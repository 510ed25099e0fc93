//! Git for pushing and merging: the CLI in a clean environment, with hooks, prompts and helpers off.
//!
//! Not `repo`'s: that one may only fetch. The credential goes in by environment (`GIT_CONFIG_COUNT` …,
//! <https://git-scm.com/docs/git-config#Documentation/git-config.txt-GITCONFIGCOUNT>), so that it is neither in the
//! arguments, which every user of the machine can read, nor on disk.

use std::io;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::contract::ForgeError;
use crate::base::env;
use crate::base::markdown::{cap_chars, one_line};
use crate::github::GitCredential;

/// Variables handed on: how to find programs, proxies and certificates.
const HANDED_ON: [&str; 12] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

/// Held against every repository's own configuration.
const CONFIG: [(&str, &str); 9] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.followRedirects", "false"),
    ("protocol.allow", "never"),
    ("advice.detachedHead", "false"),
];

/// Git, for one remote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Git<'a> {
    pub(super) timeout: Duration,
    pub(super) credential: Option<&'a GitCredential>,
    /// Author and committer of what it commits: name, e-mail, date.
    pub(super) identity: Option<(&'a str, &'a str, &'a str)>,
}

impl Git<'_> {
    /// Runs git in `folder`; gives its output without the last line end.
    pub(super) async fn run(
        &self,
        folder: &Path,
        arguments: &[&str],
        action: &'static str,
    ) -> Result<String, ForgeError> {
        let output = self.output(folder, arguments, action).await?;
        if !output.status.success() {
            return Err(failure(action, &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Whether git ends with 0 and not with 1, the two answers of its questions.
    pub(super) async fn ask(
        &self,
        folder: &Path,
        arguments: &[&str],
        action: &'static str,
    ) -> Result<bool, ForgeError> {
        let output = self.output(folder, arguments, action).await?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failure(action, &output)),
        }
    }

    /// Runs git in `folder`, whatever it answers.
    pub(super) async fn output(
        &self,
        folder: &Path,
        arguments: &[&str],
        action: &'static str,
    ) -> Result<Output, ForgeError> {
        let machine = |source| ForgeError::Machine { action, source };
        let mut group = Group(self.command(folder, arguments).spawn().map_err(machine)?);
        let running = async {
            let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
            let (out, err) = (group.0.stdout.take(), group.0.stderr.take());
            tokio::try_join!(read(out, &mut stdout), read(err, &mut stderr))?;
            let status = group.0.wait().await?;
            Ok(Output { status, stdout, stderr })
        };
        match tokio::time::timeout(self.timeout, running).await {
            Ok(output) => output.map_err(machine),
            Err(_) => {
                let stderr = format!("git did not end within {} s", self.timeout.as_secs());
                Err(ForgeError::Away { action, stderr })
            }
        }
    }

    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for name in HANDED_ON {
            if let Some(value) = env::var(name) {
                command.env(name, value);
            }
        }
        command
            .env("LC_ALL", "C")
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0");
        if let Some((name, email, date)) = self.identity {
            for role in ["AUTHOR", "COMMITTER"] {
                command
                    .env(format!("GIT_{role}_NAME"), name)
                    .env(format!("GIT_{role}_EMAIL"), email)
                    .env(format!("GIT_{role}_DATE"), date);
            }
        }
        let mut config: Vec<(String, &str)> =
            CONFIG.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        config.extend(["https", "http", "file"].map(|it| (format!("protocol.{it}.allow"), "always")));
        if let Some(credential) = self.credential {
            config.push((format!("http.{}.extraHeader", credential.url), credential.header.expose()));
        }
        command.env("GIT_CONFIG_COUNT", config.len().to_string());
        for (at, (key, value)) in config.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        command.current_dir(folder).args(arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// git and the programs it starts (`git-remote-https`), killed together when a call is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // After `wait` the id is gone, and nobody else's group can be hit.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            // It may have ended just now; then there is nothing to kill.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// Reads to the end; git's answers here are a few lines.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> io::Result<()> {
    if let Some(mut from) = from {
        from.read_to_end(into).await?;
    }
    Ok(())
}

/// What git's words say: git has no other way to tell a refusal from a remote that is away.
pub(super) fn failure(action: &'static str, output: &Output) -> ForgeError {
    let text = String::from_utf8_lossy(&output.stderr).to_lowercase();
    let stderr = cap_chars(&one_line(&String::from_utf8_lossy(&output.stderr)), 500);
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let advice = if says(&["returned error: 401", "authentication failed", "could not read username"]) {
        "the token is wrong or expired"
    } else if says(&["returned error: 403", "permission to", "permission denied", "insufficient permission"])
    {
        "the token or the user may not write there"
    } else if says(&["dubious ownership"]) {
        "the repository belongs to another user of this machine: give it to the user homeostat runs as"
    } else if says(&["returned error: 404", "repository not found", "does not appear to be a git repository"])
    {
        "no such repository, or the token cannot see it: check its address"
    } else if says(&[
        "protected branch",
        "gh006",
        "gh013",
        "hook declined",
        "denycurrentbranch",
        "checked out",
    ]) {
        "the repository's rules do not let homeostat write this branch"
    } else if says(&["without `workflow` scope", "without `workflows` permission", "large file", "gh001"]) {
        "the forge does not accept the content"
    } else {
        return ForgeError::Away { action, stderr };
    };
    ForgeError::Refused { action, stderr, advice }
}
