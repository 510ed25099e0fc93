//! The scan of files: their blocks through the engine, and the totals.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use super::blocks::{BLOCK_BYTES, Blocks};
use super::row::Summary;
use crate::model::fingerprint::Fingerprint;
use crate::watch::ingest::decode::Format;
use crate::watch::ingest::engine::{BlockEngine, Input, OddLines};
use crate::watch::ingest::pipeline::{Found, Pipeline};

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
            self.issues.insert(file_found.found.identity.fingerprint);
            found(file_found);
        };
        let mut sink = |stream: Option<&str>, mut found: Found| {
            found.first_line += 1;
            if !found.is_ignored {
                count(FileFound { stream, found });
            }
        };
        let mut engine = BlockEngine::new(self.pipeline.clone(), OddLines::AsText);
        let mut format = self.format;
        let result = loop {
            match blocks.next() {
                Ok(Some(text)) => {
                    let format = *format.get_or_insert_with(|| Format::of(text));
                    engine.block(&Input { format, text, places: None }, &mut sink);
                }
                Ok(None) => break Ok(()),
                // What was read so far still counts.
                Err(error) => break Err(error),
            }
        };
        engine.finish(&mut sink);
        self.n_lines += engine.n_lines();
        self.n_bytes += blocks.n_bytes();
        self.elapsed += start.elapsed();
        result
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
