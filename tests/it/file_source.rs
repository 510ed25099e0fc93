//! Tails with rotation: what the file source gives for real files, line by line, whatever happens to their names.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use homeostat::base::clock::{Clock, SystemClock, Timestamp};
use homeostat::base::shutdown::Shutdown;
use homeostat::model::cursor::{Cursor, StreamKey};
use homeostat::store::types::IssueFilter;
use homeostat::watch::source::file::{self, Patterns, Settings};
use homeostat::watch::source::lane::Outlet;
use tokio::task::JoinHandle;

use crate::store::given::Db;
use crate::support::streams::{Stream, Streams, answer};
use crate::support::wait::{PATIENCE, eventually};
use crate::support::watching::{counts, watch};

/// A folder with a log in it, and a source that follows it.
#[derive(Debug)]
struct Log {
    folder: tempfile::TempDir,
    source: Option<Source>,
    streams: Streams,
}

#[derive(Debug)]
struct Source {
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Log {
    /// A log with these lines, followed from its beginning.
    fn with(text: &str) -> Self {
        let mut log = Self::new();
        log.append(text);
        log.start(HashMap::new());
        log
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { folder, source: None, streams: Streams::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key(&self) -> String {
        format!("file:{}", self.path("app.log").display())
    }

    fn append(&self, text: &str) {
        append(&self.path("app.log"), text);
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("a file can be renamed");
    }

    /// Copies the log, cuts it, and writes this into it.
    fn copy_and_cut(&self, text: &str) {
        fs::copy(self.path("app.log"), self.path("app.log.1")).expect("a file can be copied");
        fs::write(self.path("app.log"), text).expect("a file can be written");
    }

    /// Starts a source over the folder's logs; what it sent before is forgotten.
    fn start(&mut self, cursors: HashMap<String, Cursor>) {
        self.start_at(Timestamp::UNIX_EPOCH, cursors);
    }

    fn start_at(&mut self, first_run_at: Timestamp, cursors: HashMap<String, Cursor>) {
        self.streams = Streams::default();
        let pattern = self.path("*.log").display().to_string();
        let settings = Settings {
            patterns: Patterns::new([pattern.as_str()]).expect("a pattern"),
            machine: None,
            // What the system tells should be enough for most; the rest must not take long.
            poll_every: Duration::from_millis(200),
            is_from_start: first_run_at == Timestamp::UNIX_EPOCH,
        };
        let shutdown = Shutdown::new();
        let (outlet, openings) = Outlet::new();
        tokio::spawn(answer(openings, self.streams.clone(), cursors));
        let task = tokio::spawn(file::run(settings, outlet, first_run_at, shutdown.clone()));
        self.source = Some(Source { shutdown, task });
    }

    /// Ends the source; gives the cursor after the last line of `app.log`.
    async fn stop(&mut self) -> HashMap<String, Cursor> {
        let source = self.source.take().expect("it runs");
        source.shutdown.request();
        source.task.await.expect("it ends by itself");
        let stream = self.streams.get(&self.key());
        let cursor = stream.cursors.last().cloned().or(stream.start).expect("something was read");
        HashMap::from([(self.key(), cursor)])
    }

    /// Waits for the last line, then compares all of them.
    async fn check(&self, expected: &[&str]) -> Stream {
        let last = expected.last().expect("a line is expected");
        let stream = self.streams.wait_for(&self.key(), last).await;
        assert_eq!(stream.lines, expected);
        stream
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            source.shutdown.request();
        }
    }
}

fn append(path: &std::path::Path, text: &str) {
    let mut file = fs::File::options().create(true).append(true).open(path).expect("a file can be opened");
    file.write_all(text.as_bytes()).expect("a file can be written");
}

#[tokio::test]
async fn lines_come_as_they_are_written_whole_only() {
    let log = Log::with("one\ntwo\nth");
    log.check(&["one", "two"]).await;
    log.append("ree\nfour\n");
    log.check(&["one", "two", "three", "four"]).await;
    // Its writer died: nothing more comes.
    log.append("cut");
    log.check(&["one", "two", "three", "four", "cut"]).await;
    // It had not: then the rest is a line too.
    log.append(" short\nfive\n");
    log.check(&["one", "two", "three", "four", "cut", " short", "five"]).await;
}

#[tokio::test]
async fn a_file_is_quiet_once_after_its_last_whole_line() {
    let log = Log::with("one\n");
    log.check(&["one"]).await;
    log.append("tw");
    let n_quiets = || log.streams.get(&log.key()).n_quiets;
    // Within a line it is not: the rest of it is given after a while, as it is.
    log.check(&["one", "tw"]).await;
    eventually("quiet", PATIENCE, async || (n_quiets() > 0).then_some(())).await;
    log.append("three\n");
    log.check(&["one", "tw", "three"]).await;
    eventually("quiet again", PATIENCE, async || (n_quiets() > 1).then_some(())).await;
    assert_eq!(n_quiets(), 2);
}

#[tokio::test]
async fn a_renamed_file_is_read_to_its_end_before_the_next() {
    let log = Log::with("one\n");
    log.check(&["one"]).await;
    let mut writer =
        fs::File::options().append(true).open(log.path("app.log")).expect("a file can be opened");
    log.rename("app.log", "app.log.1");
    // The writer goes on in the old file for a while, as those do that are told to reopen.
    writer.write_all(b"two\n").expect("a file can be written");
    log.append("four\n");
    writer.write_all(b"three\n").expect("a file can be written");
    log.check(&["one", "two", "three", "four"]).await;
    // And again, several times.
    log.rename("app.log.1", "app.log.2");
    log.rename("app.log", "app.log.1");
    log.append("five\n");
    log.check(&["one", "two", "three", "four", "five"]).await;
    assert_eq!(log.streams.named(&log.path("app.log.1").display().to_string()), []);
}

#[tokio::test]
async fn a_truncated_file_begins_anew_and_its_copy_has_the_rest() {
    let head = "a line that is long enough to tell files apart\n";
    let log = &Log::with(head);
    log.check(&[head.trim_end()]).await;
    // All at once, so that the source sees only the end of it.
    append(&log.path("app.log"), "late\n");
    fs::copy(log.path("app.log"), log.path("app.log.1")).expect("a file can be copied");
    fs::write(log.path("app.log"), "new\n").expect("a file can be written");
    let lines = |n: usize| {
        eventually("the lines", PATIENCE, async move || {
            let stream = log.streams.get(&log.key());
            (stream.lines.len() == n).then_some(stream)
        })
    };
    assert_eq!(lines(3).await.lines, [head.trim_end(), "late", "new"]);
    // Without a copy, and longer than before.
    fs::write(log.path("app.log"), "quite another text in the same file\n").expect("a file can be written");
    let stream = lines(4).await;
    assert_eq!(stream.lines[3], "quite another text in the same file");
    // Nobody knows whether something was written between the copy, or the last look, and the cut.
    let reasons = [
        "copied and cut: what was written between the two is lost",
        "truncated before what was written last was read",
    ];
    assert_eq!(stream.losses, reasons);
}

#[tokio::test]
async fn an_empty_file_that_was_copied_and_cut_between_two_looks_is_read_from_its_copy() {
    for is_waiting in [false, true] {
        let mut log = Log::with("");
        eventually("the place to start from", PATIENCE, async || log.streams.get(&log.key()).start).await;
        let cursors = log.stop().await;
        if is_waiting {
            // The empty one is opened, and waits for this one, to which its writer may still write.
            log.append("zero\n");
            log.rename("app.log", "app.log.1");
            log.append("");
            log.start(cursors);
            log.check(&["zero"]).await;
            log.rename("app.log.1", "app.log.2");
            log.append("one\ntwo\n");
            log.copy_and_cut("three\nfour\n");
        } else {
            log.append("one\ntwo\n");
            log.copy_and_cut("three\nfour\n");
            log.start(cursors);
        }
        let stream = eventually("the last line", PATIENCE, async || {
            let stream = log.streams.get(&log.key());
            (stream.lines.last()? == "four").then_some(stream)
        })
        .await;
        let lines = ["zero", "one", "two", "three", "four"];
        assert_eq!(stream.lines, lines[usize::from(!is_waiting)..]);
        assert_eq!(stream.losses, ["copied and cut: what was written between the two is lost"]);
    }
}

#[tokio::test]
async fn a_removed_file_may_come_again() {
    let log = Log::with("one\n");
    log.check(&["one"]).await;
    fs::remove_file(log.path("app.log")).expect("a file can be removed");
    log.append("two\n");
    log.check(&["one", "two"]).await;
}

#[tokio::test]
async fn a_source_that_starts_again_goes_on_after_any_line() {
    let lines: Vec<String> = (0..500).map(|n| format!("line {n} of some length")).collect();
    let mut log = Log::with(&format!("{}\n", lines.join("\n")));
    let first = log.streams.wait_for(&log.key(), &lines[499]).await;
    assert_eq!(first.lines, lines);
    log.stop().await;
    for n in [1, 2, 250, 499] {
        log.start(HashMap::from([(log.key(), first.cursors[n - 1].clone())]));
        let again = log.streams.wait_for(&log.key(), &lines[499]).await;
        assert_eq!((&again.lines[..], &again.cursors[..]), (&lines[n..], &first.cursors[n..]));
        log.stop().await;
    }
}

#[tokio::test]
async fn what_was_rotated_meanwhile_is_found_beside_it() {
    let mut log = Log::with("one\n");
    log.check(&["one"]).await;
    let cursors = log.stop().await;
    log.append("two\n");
    set_age(&log.path("app.log"), 30);
    log.rename("app.log", "app.log.2");
    append(&log.path("app.log.1"), "three\n");
    set_age(&log.path("app.log.1"), 20);
    log.append("four\n");
    log.start(cursors);
    log.check(&["two", "three", "four"]).await;

    // Renamed and thrown away: what was written before is lost, and said to be.
    let cursors = log.stop().await;
    log.append("never read\n");
    log.rename("app.log", "elsewhere");
    log.append("five, in another file\n");
    log.start(cursors);
    let stream = eventually("the new file", PATIENCE, async || {
        let stream = log.streams.get(&log.key());
        (!stream.lines.is_empty()).then_some(stream)
    })
    .await;
    assert_eq!(stream.lines, ["five, in another file"]);
    assert_eq!(stream.losses, ["rotated away or truncated before it was read"]);
}

#[tokio::test]
async fn an_old_file_is_read_from_its_end_and_a_new_one_from_its_beginning() {
    let mut log = Log::new();
    log.append("old\n");
    let now = SystemClock.now();
    log.start_at(now, HashMap::new());
    eventually("the place to start from", PATIENCE, async || log.streams.get(&log.key()).start).await;
    log.append("new\n");
    log.check(&["new"]).await;
    // A place that was told before the first line is gone on from.
    let new = log.path("other.log");
    append(&new, "first\n");
    let key = format!("file:{}", new.display());
    assert_eq!(log.streams.wait_for(&key, "first").await.lines, ["first"]);
}

#[tokio::test]
async fn machines_keep_their_cursors_apart_and_read_on_from_those_of_earlier_versions() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("shop.log");
    for (n, machine) in [(1, None), (2, Some("m")), (3, Some("m"))] {
        append(&path, &format!("2026-11-21 10:00:00 ERROR payment {n} failed\n"));
        let settings = Settings {
            patterns: Patterns::new([path.to_str().expect("a plain name")]).expect("a pattern"),
            machine: machine.map(Into::into),
            is_from_start: true,
            ..Settings::default()
        };
        let mut tasks =
            watch(&db.store, |outlet| file::run(settings, outlet, Timestamp::UNIX_EPOCH, Shutdown::new()));
        let key = match machine {
            Some(machine) => format!("file:{machine}:{}", path.display()),
            None => format!("file:{}", path.display()),
        };
        let end = fs::metadata(&path).expect("it is there").len();
        eventually("the cursor", PATIENCE, async || match db.store.cursor(&StreamKey(key.clone())).await {
            Ok(Some(Cursor::File { offset, .. })) => (offset == end).then_some(()),
            _ => None,
        })
        .await;
        assert_eq!(counts(&db.store).await.values().sum::<u64>(), n);
        tasks.shutdown().await;
    }
}

#[tokio::test]
async fn a_kept_record_gets_the_lines_around_it_also_those_that_come_when_it_is_stored() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("shop.log");
    let settings = Settings {
        patterns: Patterns::new([path.to_str().expect("a plain name")]).expect("a pattern"),
        is_from_start: true,
        poll_every: Duration::from_millis(50),
        ..Settings::default()
    };
    let _tasks =
        watch(&db.store, |outlet| file::run(settings, outlet, Timestamp::UNIX_EPOCH, Shutdown::new()));
    for n in 1..8 {
        append(&path, &format!("2026-11-21 10:00:00 INFO order {n} is handled\n"));
    }
    append(&path, "2026-11-21 10:00:01 ERROR payment failed, password=hunter2-x9\n");
    let stored = async || {
        let issue = db.store.issues(&IssueFilter::default()).await.ok()?.pop()?;
        Some(db.store.issue_detail(issue.id).await.ok()?.samples.remove(0).around)
    };
    let around = eventually("the issue", PATIENCE, stored).await;
    let numbers = |lines: &str| -> Vec<String> {
        lines.lines().filter_map(|line| line.split_whitespace().nth(4).map(str::to_owned)).collect()
    };
    assert_eq!(
        (numbers(around.before.as_str()), around.after.as_str()),
        (["3", "4", "5", "6", "7"].map(str::to_owned).into(), "")
    );
    append(&path, "2026-11-21 10:00:01 INFO token=hunter2-x9abcdef is void\n");
    for n in 8..20 {
        append(&path, &format!("2026-11-21 10:00:02 INFO order {n} is handled\n"));
    }
    let after = eventually("the lines behind it", PATIENCE, async || {
        stored().await.filter(|it| !it.after.as_str().is_empty()).map(|it| it.after)
    })
    .await;
    assert!(!after.as_str().contains("hunter2"), "{after}");
    assert_eq!(numbers(after.as_str()), ["is", "8", "9", "10", "11"], "{after}");
}

#[tokio::test]
async fn a_busy_log_that_is_rotated_often_loses_nothing() {
    let mut log = Log::new();
    log.start(HashMap::new());
    // The file has to be found before it loses its name for the first time.
    log.append("begin\n");
    log.check(&["begin"]).await;
    let path = log.path("app.log");
    let writer = tokio::task::spawn_blocking(move || {
        for n_rotation in 0..4 {
            for n in 0..3000 {
                append(&path, &format!("{}\n", n_rotation * 3000 + n));
            }
            for n in (1..6).rev() {
                let _ = fs::rename(
                    path.with_extension(format!("log.{n}")),
                    path.with_extension(format!("log.{}", n + 1)),
                );
            }
            fs::rename(&path, path.with_extension("log.1")).expect("a file can be renamed");
        }
        append(&path, "end\n");
    });
    writer.await.expect("the writer ends");
    let stream = log.streams.wait_for(&log.key(), "end").await;
    let expected = ["begin".to_owned()].into_iter().chain((0..12_000).map(|n| n.to_string()));
    for (line_idx, expected) in expected.chain(["end".to_owned()]).enumerate() {
        assert_eq!(stream.lines.get(line_idx), Some(&expected), "line {line_idx} of {}", stream.lines.len());
    }
    assert_eq!(stream.lines.len(), 12_002);
}

/// Sets the time of a file's last change to so many seconds ago.
fn set_age(path: &std::path::Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).expect("a file can be opened");
    #[expect(clippy::disallowed_methods, reason = "the system's own time is what files have")]
    let now = SystemTime::now();
    file.set_modified(now - Duration::from_secs(seconds)).expect("a file's time can be set");
}
