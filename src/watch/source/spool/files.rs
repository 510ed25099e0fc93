//! The segments of a spool on disk. Blocking; one writer, one reader.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::batch::{BatchId, Head};
use super::record::{Parsed, Record};

/// A segment that has grown to this is followed by the next one.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Read at a time.
const READ_BYTES: usize = 256 << 10;

/// The writer's end.
#[derive(Debug)]
pub(super) struct Writer {
    folder: PathBuf,
    /// The last segment, where it begins, and its length.
    file: File,
    start: u64,
    len: u64,
    /// No other writer while this one lives, in whatever process.
    _lock: File,
}

/// A spool that was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: String,
    pub(super) writer: Writer,
    /// Of the last record.
    pub(super) tick: i64,
    /// Batches in the last segment.
    pub(super) batches: Vec<BatchId>,
    /// The end of the run before, if it ended by itself.
    pub(super) stop: Option<Stop>,
}

/// The end of a run: everything that was taken is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// In nanoseconds since 1970.
    pub at: i64,
    /// Nobody was connected who could have been sending.
    pub is_quiet: bool,
}

/// Name of the file that tells of it.
const STOP: &str = "stop";

/// Notes that a run ends.
///
/// # Errors
/// It cannot be written: then the next run takes this one for killed.
pub fn note_stop(folder: &Path, stop: Stop) -> io::Result<()> {
    let how = if stop.is_quiet { "quiet" } else { "busy" };
    let path = folder.join(STOP);
    fs::write(&path, format!("{} {how}\n", stop.at))?;
    File::open(&path)?.sync_all()?;
    sync_folder(folder)
}

/// Reads the note and removes it: the run that begins now may be killed.
fn take_stop(folder: &Path) -> io::Result<Option<Stop>> {
    let path = folder.join(STOP);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    fs::remove_file(&path)?;
    let words = text.trim().split_once(' ');
    Ok(words.and_then(|(at, how)| Some(Stop { at: at.parse().ok()?, is_quiet: how == "quiet" })))
}

/// Opens a spool, made if there is none.
pub(super) fn open(folder: &Path) -> io::Result<Opened> {
    fs::create_dir_all(folder)?;
    let id = id_of(folder)?;
    let lock = File::open(folder.join("id"))?;
    lock.try_lock()?;
    let start = segments(folder)?.pop().unwrap_or(0);
    let path = segment(folder, start);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let (len, tick, batches) = whole_len(&mut file)?;
    // Nobody was told that what is torn had come.
    file.set_len(len)?;
    file.seek(SeekFrom::Start(len))?;
    file.sync_all()?;
    let stop = take_stop(folder)?;
    sync_folder(folder)?;
    let writer = Writer { folder: folder.to_owned(), file, start, len, _lock: lock };
    Ok(Opened { id, writer, tick, batches, stop })
}

impl Writer {
    /// Where the next record begins.
    pub(super) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Makes some records durable; gives the new end. After an error nothing of them is there.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<u64> {
        if self.len >= SEGMENT_BYTES {
            self.next_segment()?;
        }
        let written = self.file.write_all(records).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Where even this fails the next append begins behind it, which the checksums would show: it is tried again then.
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            return Err(error);
        }
        self.len += records.len() as u64;
        Ok(self.end())
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let start = self.end();
        let path = segment(&self.folder, start);
        self.file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        sync_folder(&self.folder)?;
        self.start = start;
        self.len = 0;
        Ok(())
    }
}

/// A portion of the spool: what was read from a place on.
#[derive(Debug)]
pub(super) struct Portion {
    /// Records with the place after each.
    pub(super) records: Vec<(Record, u64)>,
    /// Where to go on.
    pub(super) place: u64,
    /// A hole before `place`: bytes that are no records, or segments that are gone.
    pub(super) hole: Option<(u64, u64)>,
}

/// Reads some records from `place` on, before `end`.
pub(super) fn read(folder: &Path, place: u64, end: u64) -> io::Result<Portion> {
    let segments = segments(folder)?;
    let Some(start) = segments.iter().rev().find(|start| **start <= place).copied() else {
        // What came before the first segment there is lost.
        let next = segments.first().copied().unwrap_or(end).min(end);
        return Ok(Portion { records: Vec::new(), place: next, hole: Some((place, next)) });
    };
    let next = segments.iter().find(|next| **next > place).copied().unwrap_or(end).min(end);
    let mut file = File::open(segment(folder, start))?;
    file.seek(SeekFrom::Start(place - start))?;
    let mut bytes = Vec::new();
    let mut limit = READ_BYTES as u64;
    loop {
        let want = limit.min(next - place) - bytes.len() as u64;
        let n = (&mut file).take(want).read_to_end(&mut bytes)?;
        let (records, len) = records_of(&bytes, place);
        if !records.is_empty() {
            return Ok(Portion { records, place: place + len as u64, hole: None });
        }
        if n == 0 || bytes.len() as u64 >= next - place || Record::parse(&bytes) == Parsed::Broken {
            return Ok(Portion { records, place: next, hole: Some((place, next)) });
        }
        // One record that is longer than that.
        limit *= 4;
    }
}

fn records_of(bytes: &[u8], place: u64) -> (Vec<(Record, u64)>, usize) {
    let mut records = Vec::new();
    let mut at = 0;
    while let Parsed::Record(record, len) = Record::parse(&bytes[at..]) {
        at += len;
        records.push((*record, place + at as u64));
    }
    (records, at)
}

/// Removes the segments that end before a place. The last one stays.
pub(super) fn remove_before(folder: &Path, place: u64) -> io::Result<()> {
    let segments = segments(folder)?;
    for pair in segments.windows(2) {
        if pair[1] <= place {
            fs::remove_file(segment(folder, pair[0]))?;
        }
    }
    Ok(())
}

/// Where the first segment begins.
pub(super) fn first_place(folder: &Path) -> io::Result<u64> {
    Ok(segments(folder)?.first().copied().unwrap_or(0))
}

fn segment(folder: &Path, start: u64) -> PathBuf {
    folder.join(format!("{start:020}.spool"))
}

/// Where the segments begin, in order.
fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut starts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        starts.extend(
            name.to_str().and_then(|it| it.strip_suffix(".spool")).and_then(|it| it.parse::<u64>().ok()),
        );
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Bytes of the file that are whole records and no part of a write that was broken off, the tick of the last one, and the batches.
fn whole_len(file: &mut File) -> io::Result<(u64, i64, Vec<BatchId>)> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (records, len) = records_of(&bytes, 0);
    let tick = records.last().map_or(0, |(record, _)| record.tick);
    let mut begin = 0;
    let mut ids = Vec::new();
    for (record, end) in &records {
        match Head::of(record) {
            Some(head) if end + head.n_bytes > len as u64 => return Ok((begin, tick, ids)),
            Some(head) => ids.extend(head.ids),
            None => {}
        }
        begin = *end;
    }
    Ok((len as u64, tick, ids))
}

/// What tells this spool from one that was here before and was removed.
fn id_of(folder: &Path) -> io::Result<String> {
    let path = folder.join("id");
    match fs::read_to_string(&path) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id = uuid::Uuid::now_v7().simple().to_string();
    fs::write(&path, &id)?;
    File::open(&path)?.sync_all()?;
    Ok(id)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::record::Item;
    use super::*;

    fn record(text: &str) -> Vec<u8> {
        let item = Item {
            service: "shop".to_owned(),
            label: "shop".to_owned(),
            at: Some(1),
            text: text.as_bytes().to_vec(),
        };
        let mut bytes = Vec::new();
        Record { tick: 1, item }.write(&mut bytes);
        bytes
    }

    /// A write of one batch, as a whole.
    fn write(id: u8, texts: &[&str]) -> Vec<u8> {
        let body: Vec<u8> = texts.iter().flat_map(|text| record(text)).collect();
        let head = Head { ids: vec![BatchId([id; 16])], n_bytes: body.len() as u64 };
        let mut bytes = Vec::new();
        head.record(1).write(&mut bytes);
        [bytes, body].concat()
    }

    #[test]
    fn a_write_that_was_broken_off_is_not_there_and_the_batches_of_the_others_are_known() {
        let first = write(1, &["a", "b"]);
        let second = write(2, &["c", "d", "e"]);
        // What no batch is part of stays as far as it is whole.
        let loose = [record("f"), record("g")].concat();
        for n in 0..=second.len() {
            let folder = tempfile::tempdir().unwrap();
            let torn = [&first, &second[..n]].concat();
            fs::write(segment(folder.path(), 0), torn).unwrap();
            let Opened { writer, batches, .. } = open(folder.path()).unwrap();
            let len = if n == second.len() { first.len() + n } else { first.len() };
            let ids: &[u8] = if n == second.len() { &[1, 2] } else { &[1] };
            let expected: Vec<BatchId> = ids.iter().map(|id| BatchId([*id; 16])).collect();
            assert_eq!((writer.end(), batches), (len as u64, expected), "{n}");
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(segment(folder.path(), 0), [&first, &loose[..loose.len() - 1]].concat()).unwrap();
        let end = open(folder.path()).unwrap().writer.end();
        assert_eq!(end, (first.len() + loose.len() / 2) as u64);
    }
    #[test]
    fn a_stop_is_known_to_the_next_run_only() {
        let folder = tempfile::tempdir().unwrap();
        let stop = || open(folder.path()).unwrap().stop;
        assert_eq!(stop(), None);
        for noted in [Stop { at: 5, is_quiet: true }, Stop { at: -1, is_quiet: false }] {
            note_stop(folder.path(), noted).unwrap();
            assert_eq!((stop(), stop()), (Some(noted), None));
        }
        fs::write(folder.path().join(STOP), "torn").unwrap();
        assert_eq!((stop(), stop()), (None, None));
    }
}
