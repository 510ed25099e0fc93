//! A log file through everything that rotators, people and crashes do to it.

#![expect(clippy::unwrap_used, reason = "a test says where it broke")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use homeostat::model::cursor::Gap;
use tempfile::TempDir;
use tokio::time::sleep;

use super::SHORT;
use super::daemon::Daemon;
use crate::store::given::{Db, stories};
use crate::support::chance::{n_actions, seed};
use crate::support::numbered::{Between, Trail, check, lines};

const NAME: &str = "app.log";

/// What one file has held from its beginning on, until it was cut or removed.
#[derive(Debug, Clone)]
struct Content {
    inode: u64,
    /// Number, and where its first line begins and its last one ends.
    numbers: Vec<(u32, u64, u64)>,
    /// Numbers that were written before the first of these.
    begun_after: u32,
    is_there: bool,
}

/// The folder, and what is known of every file that was ever in it.
struct Log {
    folder: TempDir,
    random: fastrand::Rng,
    n: u32,
    n_rotated: u32,
    contents: Vec<Content>,
    /// Indices of `contents`.
    files: BTreeMap<String, usize>,
    /// The writer's own descriptor, whatever name the file has.
    writer: Option<(File, usize)>,
}

impl Log {
    fn new(random: fastrand::Rng) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (contents, files) = (Vec::new(), BTreeMap::new());
        Self { folder, random, n: 0, n_rotated: 0, contents, files, writer: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn inode(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).unwrap().ino()
    }

    /// The file that has the name, made if there is none.
    fn open(&mut self) {
        let file = File::options().create(true).append(true).open(self.path(NAME)).unwrap();
        let inode = file.metadata().unwrap().ino();
        let idx = match self.files.get(NAME) {
            Some(idx) => *idx,
            None => self.add(NAME, inode, Vec::new()),
        };
        self.writer = Some((file, idx));
    }

    fn add(&mut self, name: &str, inode: u64, numbers: Vec<(u32, u64, u64)>) -> usize {
        let begun_after = numbers.first().map_or(self.n, |(number, ..)| number - 1);
        self.contents.push(Content { inode, numbers, begun_after, is_there: true });
        self.files.insert(name.to_owned(), self.contents.len() - 1);
        self.contents.len() - 1
    }

    /// A few records; one of them may come in two pieces.
    async fn write(&mut self) -> String {
        let first = self.n + 1;
        for _ in 0..self.random.u32(1..8) {
            self.n += 1;
            let text = lines(self.n, self.random.u8(0..4) == 0);
            let cut = if self.random.u8(0..12) == 0 { self.tear(&text) } else { text.len() };
            if self.writer.is_none() {
                self.open();
            }
            let (file, idx) = self.writer.as_mut().unwrap();
            let begin = file.metadata().unwrap().len();
            file.write_all(&text.as_bytes()[..cut]).unwrap();
            if cut < text.len() {
                sleep(Duration::from_millis(self.random.u64(0..30))).await;
                file.write_all(&text.as_bytes()[cut..]).unwrap();
            }
            self.contents[*idx].numbers.push((self.n, begin, begin + text.len() as u64));
        }
        format!("write {first} to {}", self.n)
    }

    /// Somewhere in the first bytes of a line: half a number would be another one.
    fn tear(&mut self, text: &str) -> usize {
        let starts: Vec<usize> =
            text.lines().map(|line| line.as_ptr().addr() - text.as_ptr().addr()).collect();
        starts[self.random.usize(0..starts.len())] + self.random.usize(0..5)
    }

    /// Makes room for the next number 1.
    fn shift(&mut self) {
        for number in (1..=self.n_rotated).rev() {
            for ending in ["", ".gz"] {
                let (from, to) =
                    (format!("{NAME}.{number}{ending}"), format!("{NAME}.{}{ending}", number + 1));
                if let Some(idx) = self.files.remove(&from) {
                    fs::rename(self.path(&from), self.path(&to)).unwrap();
                    self.files.insert(to, idx);
                }
            }
        }
        self.n_rotated += 1;
    }

    /// The writer may be slow to see it, and go on in the old file.
    async fn rename(&mut self) -> String {
        let Some(idx) = self.files.get(NAME).copied() else { return "nothing to rename".to_owned() };
        self.shift();
        self.files.remove(NAME);
        let rotated = format!("{NAME}.1");
        fs::rename(self.path(NAME), self.path(&rotated)).unwrap();
        self.files.insert(rotated, idx);
        let mut step = "rename".to_owned();
        if self.writer.is_some() && self.random.bool() {
            step = format!("rename, still open: {}", self.write().await);
        }
        self.writer = None;
        if self.random.bool() {
            self.open();
        }
        step
    }

    /// The first number of the file that has the name, if it has one.
    fn first(&self) -> Option<u32> {
        let idx = self.files.get(NAME)?;
        self.contents[*idx].numbers.first().map(|(number, ..)| *number)
    }

    /// Between the copy and the cut the writer may write.
    async fn copy_and_truncate(&mut self, is_seen: bool) -> String {
        let Some(idx) = self.files.get(NAME).copied() else { return "nothing to copy".to_owned() };
        self.shift();
        let rotated = format!("{NAME}.1");
        fs::copy(self.path(NAME), self.path(&rotated)).unwrap();
        let numbers = self.contents[idx].numbers.clone();
        self.add(&rotated, self.inode(&rotated), numbers);
        let mut step = "copy and cut".to_owned();
        if is_seen && self.random.bool() {
            step = format!("copy, {}, cut", self.write().await);
        }
        self.truncate();
        step
    }

    fn truncate(&mut self) -> String {
        let Some(idx) = self.files.get(NAME).copied() else { return "nothing to cut".to_owned() };
        File::options().write(true).truncate(true).open(self.path(NAME)).unwrap();
        self.contents[idx].is_there = false;
        let inode = self.contents[idx].inode;
        let new = self.add(NAME, inode, Vec::new());
        if let Some((_, of_writer)) = &mut self.writer
            && *of_writer == idx
        {
            *of_writer = new;
        }
        "cut".to_owned()
    }

    /// Compresses the second last one, as rotators do that leave the last one for its writer.
    fn compress(&mut self) -> String {
        let plain = format!("{NAME}.2");
        let Some(idx) = self.files.remove(&plain) else { return "nothing to compress".to_owned() };
        let name = format!("{plain}.gz");
        let packed = File::create(self.path(&name)).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(&fs::read(self.path(&plain)).unwrap()).unwrap();
        packed.finish().unwrap();
        let numbers = self.contents[idx].numbers.clone();
        self.add(&name, self.inode(&name), numbers);
        self.remove_file(&plain, idx);
        "compress".to_owned()
    }

    /// Removes the oldest of the rotated files, as rotators do, or the one that is written to.
    fn remove(&mut self, is_seen: bool) -> String {
        let number =
            |name: &&String| name.split('.').nth(2).and_then(|it| it.parse::<u32>().ok()).unwrap_or(0);
        // One that has something must be left: where nothing is, nobody can know that there was something.
        let rotated = self
            .files
            .iter()
            .filter(|(name, idx)| number(name) > 0 && !self.contents[**idx].numbers.is_empty());
        let oldest = self.files.keys().max_by_key(number).filter(|_| rotated.count() > 1);
        let current = self.files.contains_key(NAME).then(|| NAME.to_owned());
        let chosen = if is_seen && self.random.bool() { current } else { oldest.cloned() };
        let Some(name) = chosen else { return "nothing to remove".to_owned() };
        let idx = self.files.remove(&name).unwrap();
        self.remove_file(&name, idx);
        if name == NAME {
            self.writer = None;
        }
        format!("remove {name}")
    }

    fn remove_file(&mut self, name: &str, idx: usize) {
        fs::remove_file(self.path(name)).unwrap();
        self.contents[idx].is_there = false;
    }

    /// Notes what every file has held.
    fn tell(&self, trail: &mut Trail) {
        for (idx, content) in self.contents.iter().enumerate() {
            let name =
                self.files.iter().find(|(_, of_name)| **of_name == idx).map_or("gone", |(name, _)| name);
            let numbers = content.numbers.first().zip(content.numbers.last());
            let numbers = numbers.map(|(first, last)| (first.0, last.0, last.2));
            trail.note(format!("inode {} is {name}: (first, last, end) {numbers:?}", content.inode));
        }
    }

    /// Numbers that stand in no file any more.
    fn lost(&self) -> BTreeSet<u32> {
        let there = self.contents.iter().filter(|it| it.is_there).flat_map(|it| &it.numbers);
        let there: BTreeSet<u32> = there.map(|(number, ..)| *number).collect();
        (1..=self.n).filter(|number| !there.contains(number)).collect()
    }

    /// What a gap says, for each content that its places may mean: inodes are given again.
    fn between(&self, gap: &Gap) -> Vec<Between> {
        let contents = |inode: u64| self.contents.iter().filter(move |content| content.inode == inode);
        let mut told = Vec::new();
        let (offset, inode) = place(&gap.from).unwrap_or_else(|| panic!("no place in {gap:?}"));
        for content in contents(inode) {
            let read = content.numbers.iter().take_while(|(.., end)| *end <= offset).last();
            let after = read.map_or(content.begun_after, |(number, ..)| *number);
            match place(&gap.to) {
                None => told.push(Between { after, before: u32::MAX }),
                Some((_, inode)) => told.extend(contents(inode).map(|content| {
                    let before = content.numbers.first().map_or(u32::MAX, |(number, ..)| *number);
                    Between { after, before }
                })),
            }
        }
        told
    }
}

/// Offset and inode of `byte 3 of inode 7`.
fn place(text: &str) -> Option<(u64, u64)> {
    let (offset, inode) = text.strip_prefix("byte ")?.split_once(" of inode ")?;
    Some((offset.parse().ok()?, inode.parse().ok()?))
}

stories!(whatever_happens_to_a_file_its_errors_are_counted_once_or_lie_in_a_gap);

async fn whatever_happens_to_a_file_its_errors_are_counted_once_or_lie_in_a_gap(db: Db) {
    let mut trail = Trail::new(seed());
    let mut log = Log::new(fastrand::Rng::with_seed(seed()));
    let watched = format!(
        "[docker]\nenabled = false\n[[file]]\npaths = [\"{}\"]\nservice = \"shop\"\nfrom_start = true\n",
        log.path(NAME).display()
    );
    trail.note(log.write().await);
    let mut daemon = Daemon::start(db, &watched).await;
    // The file has to be found before it loses its name.
    daemon.has_counted(log.n).await;
    for _ in 0..n_actions(SHORT) {
        let step = match log.random.u8(0..40) {
            0..=15 => log.write().await,
            16..=18 => log.rename().await,
            // What nobody ever saw leaves no trace when it goes: then not even a gap can tell of it.
            choice @ 19..=22 => {
                let is_seen = match log.first() {
                    Some(first) if daemon.is_running() && log.random.bool() => {
                        daemon.has_counted(first).await;
                        true
                    }
                    Some(_) | None => false,
                };
                match choice {
                    19 | 20 => log.copy_and_truncate(is_seen).await,
                    21 if is_seen => log.truncate(),
                    _ => log.remove(is_seen),
                }
            }
            23..=24 => log.compress(),
            25..=30 => {
                daemon.act(&mut log.random, &mut trail).await;
                continue;
            }
            _ => {
                // The moment is the experiment: nothing is waited for.
                let pause = Duration::from_millis(log.random.u64(0..120));
                sleep(pause).await;
                format!("pause {pause:?}")
            }
        };
        trail.note(step);
    }
    trail.note(log.write().await);
    let (counted, gaps) = daemon.end(log.n, &mut trail).await;
    log.tell(&mut trail);
    let told: Vec<Between> = gaps.iter().flat_map(|gap| log.between(gap)).collect();
    let counts = counted.iter().map(|(number, counted)| (*number, counted.count)).collect();
    check(&counts, log.n, &log.lost(), &told);
    const REASONS: [&str; 4] = [
        "rotated away before it was read",
        "rotated away or truncated before it was read",
        "truncated before what was written last was read",
        "copied and cut: what was written between the two is lost",
    ];
    for gap in gaps {
        assert!(REASONS.contains(&gap.reason.as_str()), "{gap:?}");
    }
}
