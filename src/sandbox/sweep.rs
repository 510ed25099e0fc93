//! Kills everything that a command left behind.
//!
//! An engine cannot kill an exec, and killing its process group would spare whoever made a session of his own. So the
//! container's main process is a shell that waits for a line and then sends SIGKILL to every process of its pid
//! namespace: `kill -1` spares only the caller and the namespace's init (kill(2)). It is one system call under the
//! kernel's process lock, so a fork bomb cannot outrun it; `kill` is built into the shell, so no free process slot or memory
//! is needed; a new session, a double fork or an ignored SIGTERM do not help. The shell then repeats the line, which tells
//! that it is done. Should the shell itself have been killed, the container has ended, and with it everything inside.

use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::query_parameters::AttachContainerOptionsBuilder;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

/// Longest wait for the sweeper; it answers within milliseconds unless it was stopped or tricked.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the container runs: `sh` of the image, whatever kind it is (dash, bash and busybox were tried).
pub(super) fn main_command() -> Vec<String> {
    let script = r#"while read -r line; do kill -s KILL -- -1 2>/dev/null; echo "$line"; done"#;
    vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()]
}

/// Kills all that runs in the container besides the sweeper. `false` if the sweeper did not answer: the container is to be removed.
pub(super) async fn sweep(engine: &Docker, id: &str) -> bool {
    tokio::time::timeout(PATIENCE, ask(engine, id)).await.unwrap_or(false)
}

async fn ask(engine: &Docker, id: &str) -> bool {
    let options = AttachContainerOptionsBuilder::new().stdin(true).stdout(true).stream(true).build();
    let Ok(AttachContainerResults { mut output, mut input }) =
        engine.attach_container(id, Some(options)).await
    else {
        return false;
    };
    // A word that nothing inside can know before it is sent.
    let word = format!("{:032x}", fastrand::u128(..));
    if input.write_all(format!("{word}\n").as_bytes()).await.is_err() || input.flush().await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    while let Some(Ok(piece)) = output.next().await {
        match piece {
            LogOutput::StdOut { message } | LogOutput::Console { message } => answer.extend(message),
            LogOutput::StdErr { .. } | LogOutput::StdIn { .. } => {}
        }
        if answer.windows(word.len()).any(|window| window == word.as_bytes()) {
            return true;
        }
        // Anything else on this stream was written by a process that found the sweeper's output; keep no more than can hold the word.
        let excess = answer.len().saturating_sub(word.len());
        answer.drain(..excess);
    }
    false
}
