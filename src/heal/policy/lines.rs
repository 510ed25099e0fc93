//! The added lines of a patch: where each stands, whether it belongs to a test, and what comes below it.

use std::collections::{BTreeMap, BTreeSet};

use super::inline::{is_all_test, test_lines};
use super::language::{Language, code_of};
use super::test_path::is_test_path;
use crate::repo::patch::{Change, FilePatch, Line, Patch};

/// Which lines of the patched files are tests.
#[derive(Debug, Clone, Default)]
pub struct TestLines {
    whole: BTreeSet<String>,
    /// Of Rust sources the lines of test items, counted from 1, after the patch.
    inline: BTreeMap<String, BTreeSet<u32>>,
}

impl TestLines {
    /// Of a patch. `last` gives the text of a file after it; it is asked for Rust sources only.
    pub fn of(patch: &Patch, mut last: impl FnMut(&str) -> Option<String>) -> Self {
        let mut found = Self::default();
        for file in &patch.files {
            if is_test_path(&file.path) {
                found.whole.insert(file.path.clone());
                continue;
            }
            let is_rust = file.path.ends_with(".rs") && file.change != Change::Deleted && !file.is_binary;
            let Some(text) = is_rust.then(|| last(&file.path)).flatten() else { continue };
            if is_all_test(&text) {
                found.whole.insert(file.path.clone());
            } else {
                let lines = test_lines(&text).into_iter().flatten().collect();
                found.inline.insert(file.path.clone(), lines);
            }
        }
        found
    }

    /// Whether the whole file is a test, or serves tests.
    pub fn is_whole(&self, path: &str) -> bool {
        self.whole.contains(path)
    }

    /// Whether this line, as it is after the patch, belongs to a test.
    pub fn has(&self, path: &str, number: u32) -> bool {
        self.whole.contains(path) || self.inline.get(path).is_some_and(|lines| lines.contains(&number))
    }
}

/// What a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Source,
    /// A file of tests that is new, or new test items.
    NewTest,
    /// A file of tests that was there.
    OldTest,
}

/// One line that the patch adds.
#[derive(Debug, Clone)]
pub struct PatchLine<'a> {
    pub path: &'a str,
    /// Counted from 1, after the patch.
    pub number: u32,
    pub place: Place,
    pub language: Language,
    pub text: &'a str,
    /// Without its comment.
    pub code: &'a str,
    /// Code of the line below, where the patch shows it.
    pub below: &'a str,
    /// Whether the patch takes the same line away elsewhere in the file: it is only moved, or stands deeper now.
    pub is_moved: bool,
}

impl PatchLine<'_> {
    /// Whether it belongs to a test.
    pub fn is_test(&self) -> bool {
        self.place != Place::Source
    }

    /// `path:line`.
    pub fn shown(&self) -> String {
        format!("{}:{}", self.path, self.number)
    }
}

/// The added lines of a patch, in order.
#[derive(Debug, Clone)]
pub struct Lines<'a>(pub Vec<PatchLine<'a>>);

impl<'a> Lines<'a> {
    /// Of a patch.
    pub fn of(patch: &'a Patch, tests: &TestLines) -> Self {
        Self(patch.files.iter().flat_map(|file| of_file(file, tests)).collect())
    }

    /// Those of one file.
    pub fn of_path(&self, path: &str) -> impl Iterator<Item = &PatchLine<'a>> {
        self.0.iter().filter(move |line| line.path == path)
    }
}

fn of_file<'a>(file: &'a FilePatch, tests: &TestLines) -> Vec<PatchLine<'a>> {
    let language = Language::of(&file.path);
    let removed: BTreeSet<&str> = file.removed_lines().map(str::trim).collect();
    let mut lines = Vec::new();
    for hunk in &file.hunks {
        // All lines of the side after the patch, with whether they are new.
        let after: Vec<(&str, bool)> = hunk
            .lines
            .iter()
            .filter_map(|line| match line {
                Line::Context(text) => Some((text.as_str(), false)),
                Line::Added(text) => Some((text.as_str(), true)),
                Line::Removed(_) => None,
            })
            .collect();
        for (at, (text, is_new)) in after.iter().enumerate() {
            if !is_new {
                continue;
            }
            let number = hunk.new.0 + u32::try_from(at).unwrap_or(u32::MAX);
            let place = match (tests.has(&file.path, number), file.change) {
                (false, _) => Place::Source,
                (true, Change::Added) => Place::NewTest,
                (true, Change::Modified | Change::Deleted) => Place::OldTest,
            };
            lines.push(PatchLine {
                path: &file.path,
                number,
                place,
                language,
                text,
                code: code_of(language, text),
                is_moved: removed.contains(text.trim()),
                below: after.get(at + 1).map_or("", |(below, _)| code_of(language, below)),
            });
        }
    }
    lines
}
