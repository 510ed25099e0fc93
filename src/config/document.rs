//! A TOML document that is read key by key and remembers what was wrong and what was never asked for.
//!
//! serde stops at the first error and loses the place of a value; here every problem is collected with its line and
//! key, so that one run of `homeostat check` shows all of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, ProblemKind};
use crate::base::redact::Redactor;

/// A parsed file and the problems found in it so far.
#[derive(Debug)]
pub(super) struct Document<'a> {
    file: &'a Path,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Document<'a> {
    /// Parses `text`; syntax errors become problems and what could be read is read.
    pub(super) fn parse(file: &'a Path, text: &'a str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { file, text, root, problems: RefCell::default() };
        for error in errors {
            let line = error.span().map(|span| document.line(&span));
            let problem = Problem {
                file: file.to_owned(),
                line,
                key: String::new(),
                message: error.message().replace('\n', ", "),
                hint: "see https://toml.io for the syntax".to_owned(),
                kind: ProblemKind::Config,
            };
            document.problems.borrow_mut().push(problem);
        }
        document
    }

    /// The table of the whole file.
    pub(super) fn root(&self) -> Section<'_> {
        Section {
            document: self,
            table: Some(self.root.get_ref()),
            path: String::new(),
            span: None,
            asked: RefCell::default(),
            is_open: Cell::default(),
        }
    }

    /// Whether anything was wrong so far.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.borrow().is_empty()
    }

    /// All problems, in the order of their lines; those of other files come after those of this one.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by(|a, b| a.place(self.file).cmp(&b.place(self.file)));
        // A section that several parts read tells of the same mistake once for each.
        problems.dedup();
        problems
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let end = span.start.min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// What people write into a wrong place may be a secret: nothing that looks like one is repeated.
    fn push(&self, span: Option<&Range<usize>>, key: String, message: String, hint: String) {
        let line = span.map(|span| self.line(span));
        let harmless = |text: String| Redactor::builtin().redact(&text).into_string();
        let (key, message, hint) = (harmless(key), harmless(message), harmless(hint));
        let problem =
            Problem { file: self.file.to_owned(), line, key, message, hint, kind: ProblemKind::Config };
        self.problems.borrow_mut().push(problem);
    }
}

/// One table of the document, or a table that is not there and has only defaults.
///
/// Every key must be asked for once; [`Section::finish`] reports those that were not: they are unknown.
#[derive(Debug)]
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    table: Option<&'d DeTable<'d>>,
    path: String,
    span: Option<Range<usize>>,
    asked: RefCell<BTreeSet<&'static str>>,
    /// Whether its keys are names of other things.
    is_open: Cell<bool>,
}

/// A value with its place, for checks that come after reading.
#[derive(Debug, Clone)]
pub(super) struct Found<T> {
    pub(super) value: T,
    span: Range<usize>,
}

impl<'d> Section<'d> {
    fn entry(&self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.asked.borrow_mut().insert(key);
        self.table?.get(key)
    }

    /// The dotted path of `key` in this section.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reads a value with `convert`, whose error says what was expected.
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<Found<T>> {
        let entry = self.entry(key)?;
        match convert(entry.get_ref()) {
            Ok(value) => Some(Found { value, span: entry.span() }),
            Err(expected) => {
                let message = format!("{} is not allowed here", shown(entry.get_ref()));
                self.document.push(Some(&entry.span()), self.key(key), message, expected);
                None
            }
        }
    }

    /// Reports a problem with a value that was read, else with the key, else with the section that lacks it.
    pub(super) fn wrong<T>(
        &self,
        key: &str,
        at: Option<&Found<T>>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let of_key = || self.table.and_then(|table| table.get(key)).map(Spanned::span);
        let span = at.map(|found| found.span.clone()).or_else(of_key).or_else(|| self.span.clone());
        self.document.push(span.as_ref(), self.key(key), message.into(), hint.into());
    }

    /// Adds a problem of another file, named by this section.
    pub(super) fn add(&self, problem: Problem) {
        self.document.problems.borrow_mut().push(problem);
    }

    /// The line of `key`, if the file has it.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        self.table?.get(key).map(|entry| self.document.line(&entry.span()))
    }

    /// Whether the file has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the table itself is in the file.
    pub(super) const fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// The file, for problems that are made later.
    pub(super) fn file(&self) -> PathBuf {
        self.document.file.to_owned()
    }

    /// The table under `key`; an empty one if it is not there.
    pub(super) fn section(&self, key: &'static str) -> Section<'d> {
        let path = self.key(key);
        let entry = self.entry(key);
        let table = entry.and_then(|entry| {
            let table = entry.get_ref().as_table();
            if table.is_none() {
                let message = format!("{} is not allowed here", shown(entry.get_ref()));
                self.document.push(
                    Some(&entry.span()),
                    path.clone(),
                    message,
                    format!("write a table: `[{path}]`"),
                );
            }
            table
        });
        Section {
            document: self.document,
            table,
            path,
            span: entry.map(Spanned::span),
            asked: RefCell::default(),
            is_open: Cell::default(),
        }
    }

    /// The tables of the array `[[key]]`.
    pub(super) fn sections(&self, key: &'static str) -> Vec<Section<'d>> {
        let path = self.key(key);
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let tables: Option<Vec<_>> = entry.get_ref().as_array().and_then(|array| {
            array.iter().map(|item| item.get_ref().as_table().map(|table| (table, item.span()))).collect()
        });
        let Some(tables) = tables else {
            let message = format!("{} is not allowed here", shown(entry.get_ref()));
            self.document.push(
                Some(&entry.span()),
                path.clone(),
                message,
                format!("write tables: `[[{path}]]`"),
            );
            return Vec::new();
        };
        let tables = tables.into_iter().enumerate();
        tables
            .map(|(idx, (table, span))| Section {
                document: self.document,
                table: Some(table),
                path: format!("{path}[{}]", idx + 1),
                span: Some(span),
                asked: RefCell::default(),
                is_open: Cell::default(),
            })
            .collect()
    }

    /// All keys with their texts, of a table whose keys are not known beforehand; it then has no unknown one. Other values are told of.
    pub(super) fn each_text(&self) -> Vec<(String, Found<String>)> {
        self.is_open.set(true);
        let mut texts = Vec::new();
        for (name, entry) in self.table.into_iter().flatten() {
            let name = name.get_ref().as_ref();
            match entry.get_ref().as_str() {
                Some(text) => {
                    texts.push((name.to_owned(), Found { value: text.to_owned(), span: entry.span() }))
                }
                None => {
                    let message = format!("{} is not allowed here", shown(entry.get_ref()));
                    self.document.push(
                        Some(&entry.span()),
                        self.key(name),
                        message,
                        "expected a text".to_owned(),
                    );
                }
            }
        }
        texts
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let asked = self.asked.borrow();
        for (name, _) in self.table.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if self.is_open.get() || asked.contains(key) {
                continue;
            }
            let nearest = asked.iter().map(|known| (strsim::jaro_winkler(known, key), known));
            let nearest = nearest.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = match nearest {
                Some((_, known)) => format!("did you mean `{known}`?"),
                None => format!("known keys here: {}", asked.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.document.push(Some(&name.span()), self.key(key), "unknown key".to_owned(), hint);
        }
    }
}

/// A value as it is told of in a message: its type, and the beginning of its text.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.is_empty() => "an empty text".to_owned(),
        DeValue::String(text) => {
            // Before it is cut: half a secret is not seen as one.
            let text = Redactor::builtin().redact(text).into_string();
            format!("the text `{}`", text.chars().take(60).collect::<String>())
        }
        DeValue::Integer(number) => format!("the number `{}`", number.as_str()),
        DeValue::Float(number) => format!("the number `{}`", number.as_str()),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
