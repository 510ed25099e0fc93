//! The scan of files: skips what holds nothing, pushes the rest.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use memchr::memmem;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::row::Summary;
use crate::base::clock::Timestamp;
use crate::model::fingerprint::Fingerprint;
use crate::watch::ingest::decode::line::{MAX_LINE_BYTES, readable};
use crate::watch::ingest::decode::{FULL_LINE, Format, Unwrapped, stream_mark};
use crate::watch::ingest::look_back::MAX_LINES;
use crate::watch::ingest::pipeline::{Found, Pipeline, RawLine, StreamState};

/// One record of a file.
#[derive(Debug)]
pub struct FileFound<'s> {
    pub stream: Option<&'s str>,
    /// Its `first_line` is the file's line, counted from 1.
    pub found: Found,
}

/// A scan over files. Holds the totals.
#[derive(Debug)]
pub struct Scan {
    pipeline: Pipeline,
    format: Option<Format>,
    block_bytes: usize,
    n_bytes: u64,
    n_lines: u64,
    n_records: u64,
    issues: HashSet<Fingerprint>,
    elapsed: Duration,
}

impl Scan {
    /// A scan of files of this format; `None`: each file's own, told by its first lines.
    pub fn new(pipeline: Pipeline, format: Option<Format>) -> Self {
        Self {
            pipeline,
            format,
            block_bytes: BLOCK_BYTES,
            n_bytes: 0,
            n_lines: 0,
            n_records: 0,
            issues: HashSet::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// The same with blocks of this many bytes.
    pub fn with_blocks(self, block_bytes: usize) -> Self {
        Self { block_bytes, ..self }
    }

    /// Scans a file, which may be compressed with gzip; `-` is the standard input.
    pub fn path(&mut self, path: &Path, found: &mut dyn FnMut(FileFound<'_>)) -> io::Result<()> {
        if path == Path::new("-") {
            return self.reader(io::stdin().lock(), found);
        }
        self.reader(File::open(path)?, found)
    }

    /// Scans what a reader gives, to its end.
    pub fn reader(&mut self, mut input: impl Read, found: &mut dyn FnMut(FileFound<'_>)) -> io::Result<()> {
        const GZIP: [u8; 2] = [0x1f, 0x8b];
        let mut head = Vec::new();
        input.by_ref().take(GZIP.len() as u64).read_to_end(&mut head)?;
        let is_gzip = head == GZIP;
        let input = Cursor::new(head).chain(input);
        if is_gzip {
            self.text(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, input)), found)
        } else {
            self.text(input, found)
        }
    }

    /// The totals so far.
    pub fn summary(&self) -> Summary {
        Summary::new(self.n_bytes, self.n_lines, self.n_records, self.issues.len(), self.elapsed)
    }

    fn text(&mut self, input: impl Read, found: &mut dyn FnMut(FileFound<'_>)) -> io::Result<()> {
        let start = Instant::now();
        let mut blocks = Blocks::new(input, self.block_bytes);
        let mut count = |file_found: FileFound<'_>| {
            self.n_records += 1;
            self.issues.insert(file_found.found.fingerprinted.levels.identity);
            found(file_found);
        };
        let mut reading = Reading::new(&self.pipeline, &mut count);
        let mut format = self.format;
        let result = loop {
            match blocks.next() {
                Ok(Some(block)) => reading.block(*format.get_or_insert_with(|| Format::of(block)), block),
                Ok(None) => break Ok(()),
                // What was read so far still counts.
                Err(error) => break Err(error),
            }
        };
        reading.finish();
        self.n_lines += reading.n_lines;
        self.n_bytes += blocks.n_bytes();
        self.elapsed += start.elapsed();
        result
    }
}

/// One file while it is read.
struct Reading<'s> {
    pipeline: &'s Pipeline,
    found: &'s mut dyn FnMut(FileFound<'_>),
    streams: Vec<Stream>,
    by_name: HashMap<Option<String>, usize>,
    /// Lines of the file passed so far: the number of the next one, counted from 0.
    n_lines: u64,
    out: Vec<Found>,
}

struct Stream {
    name: Option<String>,
    state: StreamState,
    part: Option<Part>,
}

/// The parts so far of a line that goes on.
struct Part {
    text: Vec<u8>,
    number: u64,
    at: Option<Timestamp>,
}

impl<'s> Reading<'s> {
    fn new(pipeline: &'s Pipeline, found: &'s mut dyn FnMut(FileFound<'_>)) -> Self {
        Self { pipeline, found, streams: Vec::new(), by_name: HashMap::new(), n_lines: 0, out: Vec::new() }
    }

    fn block(&mut self, format: Format, block: &[u8]) {
        let may_skip = can_be_skipped(format, block);
        let mut at = 0;
        while at < block.len() {
            if may_skip && !self.is_open() {
                at = self.skip(format, block, at);
                if at >= block.len() {
                    break;
                }
            }
            let end = memchr::memchr(b'\n', &block[at..]).map_or(block.len(), |it| at + it);
            self.line(format, &block[at..end]);
            at = end + 1;
        }
    }

    /// Whether the next line must be looked at whatever it says.
    fn is_open(&self) -> bool {
        self.streams.iter().any(|stream| stream.state.is_open() || stream.part.is_some())
    }

    /// Goes on to the next candidate at or behind `from` and gives its place, or the block's end.
    fn skip(&mut self, format: Format, block: &[u8], from: usize) -> usize {
        let scanner = self.pipeline.scanner();
        let is_candidate =
            |line: &[u8]| scanner.is_candidate(readable(&format.read(line).text).text.as_bytes());
        let next = scanner
            .candidates(&block[from..])
            .find(|range| is_candidate(&block[from..][range.clone()]))
            .map_or(block.len(), |range| from + range.start);
        let skipped = &block[from..next];
        let first = self.n_lines;
        let has_open_end = !skipped.is_empty() && !skipped.ends_with(b"\n");
        self.n_lines += memchr::memchr_iter(b'\n', skipped).count() as u64 + u64::from(has_open_end);
        match format {
            Format::DockerJson => {
                for name in ["stdout", "stderr"] {
                    self.remember(format, skipped, first, Some(&stream_mark(name)));
                }
            }
            Format::Plain | Format::Cri | Format::Jsonl => self.remember(format, skipped, first, None),
        }
        next
    }

    /// Hands the last lines of what was skipped, of those that hold `mark`, to the look-back of their stream.
    fn remember(&mut self, format: Format, skipped: &[u8], first: u64, mark: Option<&[u8]>) {
        let finder = mark.map(memmem::FinderRev::new);
        let mut rest = skipped;
        let mut number = self.n_lines;
        let mut lines = Vec::with_capacity(MAX_LINES);
        while lines.len() < MAX_LINES && !rest.is_empty() {
            let inside = match &finder {
                None => Some(rest.len() - 1),
                Some(finder) => finder.rfind(rest),
            };
            let Some(inside) = inside else { break };
            let start = memchr::memrchr(b'\n', &rest[..inside]).map_or(0, |it| it + 1);
            let end = memchr::memchr(b'\n', &rest[start..]).map_or(rest.len(), |it| start + it);
            let after = &rest[start..];
            let has_open_end = !after.ends_with(b"\n");
            number -= memchr::memchr_iter(b'\n', after).count() as u64 + u64::from(has_open_end);
            lines.push((number, &rest[start..end]));
            rest = &rest[..start];
        }
        debug_assert!(number >= first, "no more lines than were skipped");
        for (number, line) in lines.into_iter().rev() {
            let Unwrapped { stream, text, at, is_part: _ } = format.read(line);
            let idx = self.stream(stream.as_deref());
            let line = RawLine { bytes: &text, number, at };
            self.pipeline.pass_by(&mut self.streams[idx].state, line);
        }
    }

    fn stream(&mut self, name: Option<&str>) -> usize {
        let name = name.map(str::to_owned);
        if let Some(idx) = self.by_name.get(&name) {
            return *idx;
        }
        self.streams.push(Stream { name: name.clone(), state: self.pipeline.stream(), part: None });
        self.by_name.insert(name, self.streams.len() - 1);
        self.streams.len() - 1
    }

    fn line(&mut self, format: Format, line: &[u8]) {
        let Unwrapped { stream, text, at, is_part } = format.read(line);
        let number = self.n_lines;
        self.n_lines += 1;
        let idx = self.stream(stream.as_deref());
        let stream = &mut self.streams[idx];
        if !is_part && stream.part.is_none() {
            let line = RawLine { bytes: &text, number, at };
            self.pipeline.push_line(&mut stream.state, line, &mut self.out);
            self.emit(idx);
            return;
        }
        let part = stream.part.get_or_insert_with(|| Part { text: Vec::new(), number, at });
        // One byte more than may be kept, so that the line is marked as cut.
        let room = (MAX_LINE_BYTES + 1).saturating_sub(part.text.len());
        part.text.extend_from_slice(&text[..text.len().min(room)]);
        if !is_part {
            self.end_part(idx);
        }
    }

    fn end_part(&mut self, idx: usize) {
        let stream = &mut self.streams[idx];
        let Some(Part { text, number, at }) = stream.part.take() else { return };
        self.pipeline.push_line(&mut stream.state, RawLine { bytes: &text, number, at }, &mut self.out);
        self.emit(idx);
    }

    fn finish(&mut self) {
        for idx in 0..self.streams.len() {
            self.end_part(idx);
            self.pipeline.flush(&mut self.streams[idx].state, &mut self.out);
            self.emit(idx);
        }
    }

    fn emit(&mut self, idx: usize) {
        for mut found in self.out.drain(..) {
            found.first_line += 1;
            (self.found)(FileFound { stream: self.streams[idx].name.as_deref(), found });
        }
    }
}

/// Whether lines of this block may be passed by unread. Docker's only where each is whole and written as the engine
/// writes them: a text that goes on in the next line may hold half a literal.
fn can_be_skipped(format: Format, block: &[u8]) -> bool {
    match format {
        Format::Plain => true,
        Format::DockerJson => {
            // Before the `\n` must not stand another backslash.
            let is_break =
                |at: &usize| block[..*at].iter().rev().take_while(|it| **it == b'\\').count() % 2 == 0;
            let n_whole = memmem::find_iter(block, FULL_LINE).filter(is_break).count();
            n_whole == memchr::memchr_iter(b'\n', block).count() && block.ends_with(b"\n")
        }
        Format::Cri | Format::Jsonl => false,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
