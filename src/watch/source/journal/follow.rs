//! Keeps `journalctl --follow` running from the cursor, and says when an entry that it should begin with is not there any more.
//!
//! It is started at the last entry that was read, not after it: that this entry comes first shows that nothing in between was vacuumed.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, timeout};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tracing::{debug, info, warn};

use super::entry::{JournalEntry, read};
use crate::base::backoff::Backoff;
use crate::base::chain::Chain;
use crate::base::clock::Timestamp;
use crate::base::metrics;
use crate::base::shutdown::Shutdown;
use crate::model::cursor::{Cursor, MixedPlace, StreamKey};
use crate::watch::source::lane::{
    Entry, Lane, Loss, Mark, Origin, Outlet, Parcel, QUIET, ReaderGone, Thing, Writer,
};
use crate::watch::source::own;
use crate::watch::source::writers::Writers;

const RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));

/// Entries on the lane at a time, and bytes of one of them with all its fields.
const PARCEL_ENTRIES: usize = 512;
const MAX_ENTRY_BYTES: usize = 8 << 20;

/// What of the journal is read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Units, as `journalctl --unit` takes them; none: all.
    pub units: Vec<String>,
    /// The least priority, as `journalctl --priority` takes it.
    pub priority: Option<String>,
    /// A folder of journal files; `None`: those of this machine.
    pub folder: Option<PathBuf>,
    pub program: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self { units: Vec::new(), priority: None, folder: None, program: "journalctl".into() }
    }
}

/// Why `journalctl` is not read from any more.
#[derive(Debug, thiserror::Error)]
enum JournalError {
    #[error("failed to start `journalctl`")]
    Start(#[source] std::io::Error),
    #[error("failed to read what `journalctl` prints")]
    Read(#[source] LinesCodecError),
    #[error("`journalctl` ended{}", said(.0))]
    Ended(String),
    #[error(transparent)]
    ReaderGone(#[from] ReaderGone),
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Follows the journal until a shutdown is asked for, or nobody takes the lines any more.
pub async fn run(settings: Settings, outlet: Outlet, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        Err(ReaderGone) = follow(settings, outlet) => {}
    }
}

async fn follow(settings: Settings, outlet: Outlet) -> Result<(), ReaderGone> {
    // Journals of several machines may be read into one store.
    let machine = tokio::fs::read_to_string("/etc/machine-id").await.unwrap_or_default();
    let machine = if machine.trim().is_empty() { "local" } else { machine.trim() };
    let name = match &settings.folder {
        Some(folder) => format!("{machine}:{}", folder.display()),
        None => machine.to_owned(),
    };
    let origin = Origin {
        stream: StreamKey(format!("journal:{name}")),
        label: "journal".to_owned(),
        thing: Thing::Mixed,
    };
    let lane = outlet.open(origin).await?;
    let known = match &lane.cursor {
        Some(Cursor::Mixed { place: MixedPlace::Journal { cursor }, .. }) => Some(cursor.clone()),
        Some(_) | None => None,
    };
    let mut following =
        Following { settings, lane, cursor: known, tick: 0, writers: Writers::default(), is_told: false };
    let mut n_failures = 0;
    loop {
        let started = Instant::now();
        let error = match following.read_on().await {
            Ok(never) => match never {},
            Err(JournalError::ReaderGone(gone)) => return Err(gone),
            Err(error) => error,
        };
        n_failures = if started.elapsed() > Duration::from_secs(60) { 1 } else { n_failures + 1 };
        metrics::reconnect("journal");
        let error = Chain(&error).to_string();
        if n_failures == 3 && !std::mem::replace(&mut following.is_told, true) {
            warn!(error, "the journal cannot be read, will try again");
        } else {
            debug!(error, "the journal is read anew");
        }
        tokio::time::sleep(RETRY.delay(n_failures)).await;
    }
}

struct Following {
    settings: Settings,
    lane: Lane,
    /// Of the last entry that was sent; empty for the journal's beginning, `None` before it is known where to begin.
    cursor: Option<String>,
    tick: i64,
    writers: Writers,
    is_told: bool,
}

type Lines = FramedRead<ChildStdout, LinesCodec>;

impl Following {
    async fn read_on(&mut self) -> Result<std::convert::Infallible, JournalError> {
        let cursor = match self.cursor.clone() {
            Some(cursor) => cursor,
            None => {
                let cursor = self.last_cursor().await?;
                let place = MixedPlace::Journal { cursor: cursor.clone() };
                self.lane.send(Parcel::Start(Cursor::Mixed { place, ahead: Vec::new() })).await?;
                self.cursor = Some(cursor.clone());
                cursor
            }
        };
        let mut arguments = vec!["--follow".to_owned(), "--no-tail".to_owned()];
        if !cursor.is_empty() {
            arguments.push(format!("--cursor={cursor}"));
        }
        let (mut child, mut lines) = self.start(&arguments)?;
        let mut expected = Some(cursor).filter(|it| !it.is_empty());
        let mut silent_since = Instant::now();
        let mut has_news = true;
        loop {
            let next = match timeout(QUIET, lines.next()).await {
                Ok(Some(next)) => next,
                Ok(None) => return Err(JournalError::Ended(last_words(&mut child).await)),
                Err(_) if std::mem::take(&mut has_news) => {
                    let silent = i64::try_from(silent_since.elapsed().as_nanos()).unwrap_or(i64::MAX);
                    let place = MixedPlace::Journal { cursor: self.cursor.clone().unwrap_or_default() };
                    self.lane.send(Parcel::Read { place, until: self.tick.saturating_add(silent) }).await?;
                    continue;
                }
                Err(_) => continue,
            };
            let mut entries = Vec::new();
            let mut next = Some(next);
            while let Some(line) = next {
                match line {
                    Ok(line) => self.line(&line, &mut expected, &mut entries).await?,
                    // What follows of it is passed over by the reader of lines.
                    Err(LinesCodecError::MaxLineLengthExceeded) => {
                        metrics::odd_message("journal", "too large")
                    }
                    Err(error @ LinesCodecError::Io(_)) => return Err(JournalError::Read(error)),
                }
                next =
                    if entries.len() < PARCEL_ENTRIES { lines.next().now_or_never().flatten() } else { None };
            }
            if std::mem::take(&mut self.is_told) {
                info!("the journal is read again");
            }
            if !entries.is_empty() {
                self.lane.send(Parcel::Entries(entries)).await?;
            }
            silent_since = Instant::now();
            has_news = true;
        }
    }

    /// Takes one line of output.
    async fn line(
        &mut self,
        line: &str,
        expected: &mut Option<String>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), JournalError> {
        metrics::source_bytes("journal", line.len());
        let Some(entry) = read(line) else {
            metrics::odd_message("journal", "entry");
            return Ok(());
        };
        if let Some(expected) = expected.take() {
            if expected == entry.cursor {
                // It was read before.
                self.tick = self.tick.max(entry.nanos);
                return Ok(());
            }
            warn!("the journal does not have the entry any more up to which it was read");
            let reason = "the journal was cut before it was read".to_owned();
            self.lane
                .send(Parcel::Loss(Loss {
                    from: expected,
                    to: entry.cursor.clone(),
                    reason,
                    of_stream: None,
                }))
                .await?;
        }
        self.cursor = Some(entry.cursor.clone());
        self.tick = self.tick.max(entry.nanos);
        entries.extend(self.entry(entry));
        Ok(())
    }

    fn entry(&mut self, entry: JournalEntry) -> Option<Entry> {
        let JournalEntry { cursor, nanos, service, label, unit, message } = entry;
        let key = Writer::key_of(&service, &label);
        let is_own = own::is_own(&service) || unit.is_some_and(|unit| own::is_own(&unit));
        let writer = self
            .writers
            .get(key, || (!is_own).then_some(Writer { key, label, thing: Thing::Named { name: service } }));
        if writer.is_none() {
            metrics::source_drop("journal", "own log", 1);
        }
        Some(Entry {
            writer: writer?,
            at: Timestamp::from_nanosecond(nanos.into()).ok(),
            tick: self.tick,
            text: without_blank_end(message.into()),
            mark: Mark::Journal { cursor },
        })
    }

    /// The cursor of the newest entry there is; empty if there is none.
    async fn last_cursor(&self) -> Result<String, JournalError> {
        let (mut child, mut lines) = self.start(&["--lines=1".to_owned()])?;
        let mut cursor = String::new();
        while let Some(line) = lines.next().await {
            let line = line.map_err(JournalError::Read)?;
            if let Some(entry) = read(&line) {
                cursor = entry.cursor;
            }
        }
        let status = child.wait().await.map_err(JournalError::Start)?;
        if status.success() { Ok(cursor) } else { Err(JournalError::Ended(last_words(&mut child).await)) }
    }

    fn start(&self, arguments: &[String]) -> Result<(Child, Lines), JournalError> {
        let mut command = Command::new(&self.settings.program);
        command.args(["--output=json", "--all", "--quiet", "--no-pager"]).args(arguments);
        command.args(self.settings.units.iter().map(|unit| format!("--unit={unit}")));
        command.args(self.settings.priority.iter().map(|priority| format!("--priority={priority}")));
        command.args(self.settings.folder.iter().map(|folder| format!("--directory={}", folder.display())));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(JournalError::Start)?;
        let missing = || JournalError::Ended("it has no output".to_owned());
        let output = child.stdout.take().ok_or_else(missing)?;
        Ok((child, FramedRead::new(output, LinesCodec::new_with_max_length(MAX_ENTRY_BYTES))))
    }
}

/// What a child that has ended said of it.
async fn last_words(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = child.stderr.take() {
        let read = stderr.take(1000);
        let mut read = std::pin::pin!(read);
        // It has ended: this does not wait.
        let _ = timeout(Duration::from_secs(1), read.read_to_string(&mut text)).await;
    }
    text.trim().replace('\n', ", ")
}

/// The text without blanks and line breaks at its end.
fn without_blank_end(mut text: Bytes) -> Bytes {
    let len = text.trim_ascii_end().len();
    text.truncate(len);
    text
}
