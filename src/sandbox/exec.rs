//! Runs one command and follows it to its end, its time-out or its flood.
//!
//! The engine reports the end of the output and the end of the process apart, and either may come first: a child may
//! hold the output open, or a process may close it and go on. So both are watched.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::StreamExt;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

use super::capture::Capture;
use super::spec::{ExecEnd, ExecOutput, ExecRequest, FLOOD_BYTES};
use super::sweep;

/// How long the output may go on after every process is dead.
const DRAIN: Duration = Duration::from_secs(5);

/// Bytes kept of standard error where standard output goes to a file.
const MAX_STDERR_BESIDE_FILE: usize = 64 << 10;

/// What the engine says when the program or the folder is not there.
const EXIT_NOT_FOUND: i64 = 127;

/// How an exec failed as a whole.
#[derive(Debug)]
pub(super) enum ExecFailure {
    /// The sweeper did not answer: the container is to be removed.
    Unswept,
    Engine(Error),
}

impl From<Error> for ExecFailure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

/// Files in the place of a command's streams, for what is too large to be held in memory.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Given to standard input after the request's own bytes, from where the file stands.
    pub(super) input: Option<File>,
    /// Takes standard output, as much as the request's cap allows.
    pub(super) output: Option<File>,
}

/// Where standard output goes.
enum Sink {
    Memory(Capture),
    File { file: File, n_free: u64, n_dropped: u64 },
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Memory(capture) => capture.push(bytes),
            Self::File { file, n_free, n_dropped } => {
                let n_bytes = bytes.len() as u64;
                // What the disk has no room for is missing like what is over the cap.
                if n_bytes <= *n_free && *n_dropped == 0 && file.write_all(bytes).is_ok() {
                    *n_free -= n_bytes;
                } else {
                    *n_dropped += n_bytes;
                }
            }
        }
    }

    fn finish(self) -> (Vec<u8>, u64) {
        match self {
            Self::Memory(capture) => capture.finish(),
            Self::File { n_dropped, .. } => (Vec::new(), n_dropped),
        }
    }
}

type Output = std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<LogOutput, Error>> + Send>>;

/// One command under way.
struct Running<'a> {
    engine: &'a Docker,
    exec_id: String,
    output: Output,
    stdout: Sink,
    stderr: Sink,
    n_bytes: u64,
}

/// Runs `request` in the container, then kills whatever it left behind.
pub(super) async fn exec(
    engine: &Docker,
    container_id: &str,
    request: ExecRequest,
    streams: Streams,
) -> Result<ExecOutput, ExecFailure> {
    let start = Instant::now();
    let cap = request.output_cap;
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        env: Some(request.env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: Some(request.argv),
        working_dir: Some(request.workdir),
        ..Default::default()
    };
    let exec_id = engine.create_exec(container_id, options).await?.id;
    let started = engine
        .start_exec(
            &exec_id,
            Some(StartExecOptions { output_capacity: Some(64 << 10), ..Default::default() }),
        )
        .await;
    let (output, input) = match started {
        Ok(StartExecResults::Attached { output, input }) => (output, input),
        Ok(StartExecResults::Detached) => return Err(ExecFailure::Unswept),
        // Newer engines answer so when there is no such program; older ones write it to the output.
        Err(Error::DockerResponseServerError { status_code: 400, message }) => {
            return Ok(not_started(message, start.elapsed()));
        }
        Err(error) => return Err(error.into()),
    };
    let stdout = match streams.output {
        Some(file) => Sink::File { file, n_free: cap as u64, n_dropped: 0 },
        None => Sink::Memory(Capture::new(cap)),
    };
    let stderr_cap = if matches!(stdout, Sink::Memory(_)) { cap } else { cap.min(MAX_STDERR_BESIDE_FILE) };
    let stderr = Sink::Memory(Capture::new(stderr_cap));
    let mut running = Running { engine, exec_id, output, stdout, stderr, n_bytes: 0 };
    let flood = FLOOD_BYTES.max(2 * cap as u64);
    let followed =
        running.follow(feed(input, request.stdin, streams.input), start + request.timeout, flood).await;
    let end = match (followed, sweep::sweep(engine, container_id).await) {
        (Ok(Some(end)), true) => end,
        (Ok(None), true) => ExecEnd::Exited { code: exit_code(engine, &running.exec_id).await? },
        (Err(error), true) => return Err(error),
        // Either the command ended what keeps the container, or the container was taken away from outside, or the engine is away.
        (_, false) => match engine.inspect_container(container_id, None).await {
            Ok(_) => ExecEnd::EndedSandbox,
            Err(error) => return Err(error.into()),
        },
    };
    running.drain().await;
    let (stdout, n_stdout) = running.stdout.finish();
    let (stderr, n_stderr) = running.stderr.finish();
    Ok(ExecOutput { end, stdout, stderr, n_dropped: n_stdout + n_stderr, took: start.elapsed() })
}

impl Running<'_> {
    /// Until the command is over by itself (`None`), or has to be stopped.
    async fn follow(
        &mut self,
        feed: impl Future<Output = ()>,
        deadline: Instant,
        flood: u64,
    ) -> Result<Option<ExecEnd>, ExecFailure> {
        let mut feed = std::pin::pin!(feed);
        let mut is_fed = false;
        let mut is_output_open = true;
        let mut pause = Duration::from_millis(5);
        let mut next_look = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(deadline) => return Ok(Some(ExecEnd::TimedOut)),
                () = &mut feed, if !is_fed => is_fed = true,
                piece = self.output.next(), if is_output_open => match piece {
                    Some(piece) => {
                        self.keep(piece?);
                        if self.n_bytes > flood {
                            return Ok(Some(ExecEnd::Flooded));
                        }
                    }
                    None => {
                        is_output_open = false;
                        next_look = Instant::now();
                        pause = Duration::from_millis(5);
                    }
                },
                () = sleep_until(next_look) => {
                    if !is_running(self.engine, &self.exec_id).await? {
                        return Ok(None);
                    }
                    pause = (pause * 2).min(Duration::from_millis(250));
                    next_look = Instant::now() + pause;
                }
            }
        }
    }

    fn keep(&mut self, piece: LogOutput) {
        let (sink, message) = match &piece {
            LogOutput::StdOut { message } | LogOutput::StdIn { message } => (&mut self.stdout, message),
            LogOutput::StdErr { message } | LogOutput::Console { message } => (&mut self.stderr, message),
        };
        self.n_bytes += message.len() as u64;
        sink.push(message);
    }

    /// Reads what was written before the end and has not arrived yet.
    async fn drain(&mut self) {
        let rest = async {
            while let Some(Ok(piece)) = self.output.next().await {
                self.keep(piece);
            }
        };
        // A stream that does not end now is the engine's own trouble; what was read is what there is.
        let _ = timeout(DRAIN, rest).await;
    }
}

// Not methods: the stream may not be shared between threads, so a future that holds `&Running` could not be sent.
async fn is_running(engine: &Docker, exec_id: &str) -> Result<bool, Error> {
    Ok(engine.inspect_exec(exec_id).await?.running.unwrap_or(false))
}

async fn exit_code(engine: &Docker, exec_id: &str) -> Result<i64, Error> {
    Ok(engine.inspect_exec(exec_id).await?.exit_code.unwrap_or(-1))
}

/// Gives the command its input and closes it. A command that does not read is no error.
async fn feed(mut input: std::pin::Pin<Box<dyn AsyncWrite + Send>>, stdin: bytes::Bytes, file: Option<File>) {
    let mut is_given = input.write_all(&stdin).await.is_ok();
    if let Some(file) = file {
        let mut file = tokio::fs::File::from_std(file);
        is_given = is_given && tokio::io::copy(&mut file, &mut input).await.is_ok();
    }
    if is_given && input.flush().await.is_ok() {
        let _ = input.shutdown().await;
    }
    // The engine ends the exec's streams when this side is gone, so it is held until the command is over.
    std::future::pending::<()>().await;
}

fn not_started(message: String, took: Duration) -> ExecOutput {
    ExecOutput {
        end: ExecEnd::Exited { code: EXIT_NOT_FOUND },
        stdout: Vec::new(),
        stderr: message.into_bytes(),
        n_dropped: 0,
        took,
    }
}
