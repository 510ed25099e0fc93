//! Where to read on in the engine's own files: which of them holds a cursor, and what is lost of what comes after it.
//!
//! A cursor of a container's stream is a time and a number at it, with the place in a file as a hint. The hint decides where it still fits;
//! else the files are searched for the time. The two streams stand in the same files and may be at different places.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use super::written;
use crate::base::clock::Timestamp;
use crate::model::cursor::Cursor;
use crate::watch::source::file::reader::Reader;
use crate::watch::source::file::rotation;
use crate::watch::source::lane::{DockerPlace, Loss};

/// Files larger than this are not searched from their beginning.
const LARGE: u64 = 16 << 20;

/// Times in one file are in order but for this: two streams are written at the same time.
const DISORDER: i64 = 10_000_000_000;

/// What is read at once to find a time.
const WINDOW: usize = 256 << 10;

/// A file to read, and up to where each stream of it was taken.
pub(super) type Part = (Reader, [u64; 2]);

/// Files to read in this order, and what is lost of each stream.
#[derive(Debug, Default)]
pub(super) struct LogPlan {
    pub(super) parts: VecDeque<Part>,
    pub(super) losses: [Option<Loss>; 2],
}

/// Where a stream goes on: number of the file, and offset.
type Position = (usize, u64);

/// Plans how to read on after these cursors, stdout's and stderr's.
pub(super) fn plan(path: &Path, cursors: &[Cursor; 2]) -> io::Result<LogPlan> {
    let files = rotation::all(path)?;
    let mut plan = LogPlan::default();
    let mut positions = [(0, 0); 2];
    for (stream, cursor) in cursors.iter().enumerate() {
        (positions[stream], plan.losses[stream]) = locate(&files, stream, cursor)?;
    }
    let first = positions[0].min(positions[1]);
    for (file_idx, mut reader) in files.into_iter().enumerate().skip(first.0) {
        if file_idx == first.0 {
            reader.go_to(first.1);
        }
        let taken_to = positions.map(|(idx, offset)| match file_idx.cmp(&idx) {
            std::cmp::Ordering::Less => u64::MAX,
            std::cmp::Ordering::Equal => offset,
            std::cmp::Ordering::Greater => 0,
        });
        plan.parts.push_back((reader, taken_to));
    }
    Ok(plan)
}

fn locate(files: &[Reader], stream: usize, cursor: &Cursor) -> io::Result<(Position, Option<Loss>)> {
    let Cursor::Docker { nanos, n_at_nanos, log } = *cursor else { return Ok(((0, 0), None)) };
    if let Some(log) = &log {
        for (file_idx, file) in files.iter().enumerate() {
            if log.prefix_len > 0 && file.has_content_of(log)? {
                return Ok(((file_idx, log.offset), None));
            }
        }
    }
    let mut firsts = Vec::with_capacity(files.len());
    for file in files {
        firsts.push(first_time(file)?);
    }
    let holder = firsts.iter().rposition(|first| first.is_some_and(|first| first <= nanos));
    let Some(file_idx) = holder else {
        // A cursor that stands for a beginning has nothing before it.
        let first = firsts.iter().flatten().next();
        let is_lost = log.is_some() || n_at_nanos > 0;
        let loss = first.filter(|_| is_lost).map(|first| Loss {
            from: time(nanos),
            to: time(*first),
            reason: "rotated away before it was read".to_owned(),
            of_stream: Some(stream),
        });
        return Ok(((0, 0), loss));
    };
    let offset = search(&files[file_idx], stream, DockerPlace { nanos, n_at_nanos })?;
    Ok(((file_idx, offset), None))
}

pub(super) fn time(nanos: i64) -> String {
    Timestamp::from_nanosecond(nanos.into()).map_or_else(|_| nanos.to_string(), |it| it.to_string())
}

/// When the first line of a file was logged.
fn first_time(file: &Reader) -> io::Result<Option<i64>> {
    let window = window(file, 0)?;
    let mut lines = window.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    Ok(lines.find_map(|line| written::look(line).map(|it| it.nanos)))
}

/// Where the first line of the stream begins that comes after the place, or the end of what is there.
fn search(file: &Reader, stream: usize, place: DockerPlace) -> io::Result<u64> {
    let mut offset = before(file, place.nanos.saturating_sub(DISORDER))?;
    let mut n_left = place.n_at_nanos;
    // Parts of one line count once.
    let mut is_within_line = false;
    loop {
        let window = window(file, offset)?;
        let Some(len) = memchr::memrchr(b'\n', &window).map(|it| it + 1) else {
            return Ok(offset + if window.len() == WINDOW { WINDOW as u64 } else { 0 });
        };
        for line in window[..len].split_inclusive(|byte| *byte == b'\n') {
            if let Some(look) = written::look(line).filter(|it| it.stream == stream) {
                let is_part_of_last = std::mem::replace(&mut is_within_line, !look.is_whole);
                let is_taken =
                    look.nanos < place.nanos || look.nanos == place.nanos && (n_left > 0 || is_part_of_last);
                if !is_taken {
                    return Ok(offset);
                }
                if look.nanos == place.nanos && !is_part_of_last {
                    n_left -= 1;
                }
            }
            offset += line.len() as u64;
        }
    }
}

/// A line's beginning before which everything was logged before this time.
fn before(file: &Reader, nanos: i64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.len()?);
    while high - low > LARGE {
        let middle = low + (high - low) / 2;
        let window = window(file, middle)?;
        let Some(start) = memchr::memchr(b'\n', &window).map(|it| it + 1) else { break };
        match written::look(&window[start..]) {
            Some(look) if look.nanos < nanos => low = middle + start as u64,
            Some(_) => high = middle,
            None => break,
        }
    }
    Ok(low)
}

fn window(file: &Reader, offset: u64) -> io::Result<Vec<u8>> {
    let mut window = vec![0; WINDOW];
    let mut n_read = 0;
    while n_read < window.len() {
        match file.read_at(&mut window[n_read..], offset + n_read as u64)? {
            0 => break,
            n => n_read += n,
        }
    }
    window.truncate(n_read);
    Ok(window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cursor::FilePlace;

    const SECOND: i64 = 1_000_000_000;
    const START: i64 = 1_767_348_000 * SECOND;

    fn line(stream: usize, second: i64, text: &str) -> String {
        let time = Timestamp::from_nanosecond((START + second * SECOND).into()).unwrap();
        format!(
            "{{\"log\":\"{text}\\n\",\"stream\":\"{}\",\"time\":\"{time}\"}}\n",
            ["stdout", "stderr"][stream]
        )
    }

    fn cursor(second: i64, n_at_nanos: u32, log: Option<FilePlace>) -> Cursor {
        Cursor::Docker { nanos: START + second * SECOND, n_at_nanos, log }
    }

    /// The texts of each stream that are read on, and whether each has a loss.
    fn check(path: &Path, cursors: [Cursor; 2], expected: [&[&str]; 2], losses: [bool; 2]) {
        let mut plan = plan(path, &cursors).unwrap();
        let mut texts = [Vec::new(), Vec::new()];
        while let Some((mut reader, taken_to)) = plan.parts.pop_front() {
            let mut offset = reader.place().offset;
            while let Some(block) = reader.next_block().unwrap() {
                for line in block.text.split_inclusive(|byte| *byte == b'\n') {
                    let json: serde_json::Value = serde_json::from_slice(line).unwrap();
                    let stream = usize::from(json["stream"] == "stderr");
                    if offset >= taken_to[stream] {
                        texts[stream].push(json["log"].as_str().unwrap().trim_end().to_owned());
                    }
                    offset += line.len() as u64;
                }
            }
        }
        assert_eq!(texts, expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()));
        assert_eq!(plan.losses.map(|it| it.is_some()), losses);
    }

    #[test]
    fn each_stream_goes_on_behind_its_own_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x-json.log");
        let old = [line(0, 1, "a"), line(1, 2, "A"), line(0, 3, "b"), line(0, 3, "c")].concat();
        std::fs::write(folder.path().join("x-json.log.1"), &old).unwrap();
        std::fs::write(&path, [line(1, 5, "B"), line(0, 6, "d"), line(1, 7, "C")].concat()).unwrap();
        check(
            &path,
            [cursor(0, 0, None), cursor(0, 0, None)],
            [&["a", "b", "c", "d"], &["A", "B", "C"]],
            [false; 2],
        );
        check(&path, [cursor(3, 1, None), cursor(2, 0, None)], [&["c", "d"], &["A", "B", "C"]], [false; 2]);
        check(&path, [cursor(3, 2, None), cursor(2, 1, None)], [&["d"], &["B", "C"]], [false; 2]);
        check(&path, [cursor(6, 1, None), cursor(8, 0, None)], [&[], &[]], [false; 2]);
        // The hint decides, also in a file with another name.
        let mut reader = Reader::open(&folder.path().join("x-json.log.1")).unwrap();
        reader.go_to((line(0, 1, "a") + &line(1, 2, "A")).len() as u64);
        let hint = cursor(999, 0, Some(reader.place()));
        check(&path, [hint.clone(), hint.clone()], [&["b", "c", "d"], &["B", "C"]], [false; 2]);
        // Rotated away: what lay between is lost.
        std::fs::remove_file(folder.path().join("x-json.log.1")).unwrap();
        check(&path, [cursor(3, 1, None), cursor(0, 0, None)], [&["d"], &["B", "C"]], [true, false]);
    }

    #[test]
    fn a_time_is_found_in_a_large_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x-json.log");
        let text: String = (0..300_000).map(|n| line(0, n / 7, &format!("order {n}"))).collect();
        assert!(text.len() as u64 > LARGE);
        std::fs::write(&path, &text).unwrap();
        let mut plan = plan(&path, &[cursor(40_000, 3, None), cursor(40_000, 0, None)]).unwrap();
        let (mut reader, taken_to) = plan.parts.pop_front().unwrap();
        let block = reader.next_block().unwrap().unwrap();
        assert!(String::from_utf8_lossy(&block.text).starts_with("{\"log\":\"order 280003\\n"));
        assert_eq!(taken_to[0], text.find("order 280003\\n").unwrap() as u64 - 8);
        assert_eq!(taken_to[1], text.len() as u64);
    }
}
