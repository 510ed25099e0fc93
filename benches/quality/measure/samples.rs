//! Texts to measure with, each with what it is called.

use std::fs;
use std::path::{Path, PathBuf};

use homeostat::watch::join::plain;
use serde_json::Value;

/// A text that must come out as one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    /// What printed it, as its name says.
    pub(crate) runtime: String,
    /// Samples with one label are one identity.
    pub(crate) label: String,
    /// Samples of two bugs are two.
    pub(crate) bug: String,
    pub(crate) lines: Vec<String>,
}

impl Sample {
    /// Blank lines around it are not part of it, but for the one before a Rust panic.
    pub(crate) fn new(runtime: &str, label: &str, text: &str) -> Self {
        let text = text.trim_end();
        let text = if text.starts_with("\nthread '") { text } else { text.trim_start_matches('\n') };
        let lines = text.lines().map(|it| it.trim_end_matches('\r').to_owned()).collect();
        Self { runtime: runtime.to_owned(), label: label.to_owned(), bug: label.to_owned(), lines }
    }

    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|it| it.unwrap().path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "txt" || it == "log"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|it| (name(it), String::from_utf8_lossy(&fs::read(it).unwrap()).into_owned())).collect()
}

/// The project's own: `runtime.bug.variant.log`, or `runtime-what.log`.
pub(crate) fn own(folder: &Path) -> Vec<Sample> {
    files(folder)
        .into_iter()
        .map(|(name, text)| {
            let parts: Vec<&str> = name.splitn(3, '.').collect();
            let (label, bug) = match parts[..] {
                [runtime, bug, _] => (format!("{runtime}.{bug}"), bug_of(&format!("{runtime}.{bug}"))),
                _ => (name.clone(), name.clone()),
            };
            let runtime = bug.split(['.', '-']).next().unwrap_or(&bug).to_owned();
            // A terminal's colours are taken off before anything else sees a line.
            let text: Vec<_> = text.lines().map(plain).collect();
            Sample { bug, ..Sample::new(&runtime, &label, &text.join("\n")) }
        })
        .collect()
}

/// The bug of a sample. Built without backtrace or in another way it is the same, printed alike or not.
fn bug_of(name: &str) -> String {
    match name {
        // Without a backtrace these three panic at one place with one message.
        "rustnone.closure" | "rustnone.worker" => return "rust.lookup".to_owned(),
        // One call, logged in the same function in several forms.
        "pythonlog.braces" | "pythonlog.brackets" | "pythonlog.levelfirst" => {
            return "pythonlog.parse".to_owned();
        }
        "pythonlog.dashes" | "pythonlog.pipes" => return "pythonlog.charge".to_owned(),
        _ => {}
    }
    let (runtime, bug) = name.split_once('.').unwrap();
    let runtime = match runtime {
        "rustnone" | "rustfull" => "rust",
        "cppplain" => "cpp",
        "luajit" => "lua",
        other => other,
    };
    format!("{runtime}.{bug}")
}

/// One text in each file. `ARBITRARY_TEXT` is none, and a text may go on in a second file.
pub(crate) fn texts(folder: &Path) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for (name, text) in files(folder) {
        match name.strip_suffix("_PART2") {
            Some(stem) if samples.last().is_some_and(|it| it.label.strip_suffix("_PART1") == Some(stem)) => {
                let first = samples.last_mut().unwrap();
                first.lines.extend(Sample::new("", "", &text).lines);
            }
            _ if name == "ARBITRARY_TEXT" => {}
            _ => samples.push(Sample::new(name.split(['-', '_']).next().unwrap_or(""), &name, &text)),
        }
    }
    samples
}

/// Lines of JSON with a field `trace`. The label is made of both fields, the runtime is the first.
pub(crate) fn traces(file: &Path, first: &str, second: &str) -> Vec<Sample> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let sample = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| value[name].as_str().map_or_else(|| value[name].to_string(), str::to_owned);
        let (runtime, bug) = (field(first), field(second));
        Sample::new(&runtime, &format!("{runtime}/{bug}"), value["trace"].as_str().unwrap())
    };
    text.lines().map(sample).collect()
}
