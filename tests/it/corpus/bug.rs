//! A bug of the corpus: its repository, its program, its scripts and how they must end.

#![expect(clippy::unwrap_used, reason = "a corpus that cannot be read must fail")]

use std::fs;
use std::path::{Path, PathBuf};

use homeostat::agent::scripted::script::Script;
use serde::Deserialize;

/// `bug.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bug {
    #[serde(skip)]
    folder: PathBuf,
    /// Of its program.
    pub(crate) language: String,
    /// Where the program runs.
    pub(crate) image: String,
    /// The program, run by `sh` in the folder of the repository.
    pub(crate) run: String,
    /// Stands in the record that it logs.
    pub(crate) logs: String,
    #[serde(rename = "script")]
    pub(crate) cases: Vec<Case>,
}

/// A script and how it must end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// `scripts/<name>.json`
    pub(crate) name: String,
    /// What is special about it, for people.
    #[serde(default, rename = "what")]
    _what: String,
    /// Outcome of its only attempt.
    pub(crate) outcome: String,
    pub(crate) proposed: Proposed,
    /// Rules that must have been met; others may be too.
    #[serde(default)]
    pub(crate) rules: Vec<String>,
    /// Stands in the attempt's report.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// The base branch: `main`, with the files of `branches/<branch>` on top of it.
    #[serde(default = "main")]
    pub(crate) branch: String,
    /// The branch whose commit logged the error, where the service says it.
    #[serde(default)]
    pub(crate) revision: Option<String>,
}

/// What comes of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proposed {
    Ready,
    Draft,
    No,
}

fn main() -> String {
    "main".to_owned()
}

/// Where the corpus is.
fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bugs")
}

/// The folders of the corpus, sorted.
pub(crate) fn names() -> Vec<String> {
    let folders = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap()).filter(|it| it.path().is_dir());
    let mut names: Vec<String> = folders.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Bug {
    pub(crate) fn read(name: &str) -> Self {
        let folder = corpus().join(name);
        let text = fs::read_to_string(folder.join("bug.toml")).unwrap();
        let bug: Self = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}/bug.toml: {error}"));
        Self { folder, ..bug }
    }

    /// The files of the base branch (path, text), sorted.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        files_below(&self.folder.join("repo"))
    }

    /// The branches besides `main`, each with the files that it changes.
    pub(crate) fn branches(&self) -> Vec<(String, Vec<(String, String)>)> {
        let Ok(branches) = fs::read_dir(self.folder.join("branches")) else { return Vec::new() };
        let branches = branches.map(|entry| entry.unwrap());
        branches.map(|it| (it.file_name().into_string().unwrap(), files_below(&it.path()))).collect()
    }

    /// The recorded model of a case, for conversations in which `when` stands.
    pub(crate) fn script(&self, case: &Case, when: &str) -> Script {
        let file = self.folder.join("scripts").join(format!("{}.json", case.name));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let script = Script::from_json(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Script { when: when.to_owned(), ..script }
    }

    /// Scripts that no case names.
    pub(crate) fn forgotten(&self) -> Vec<String> {
        let scripts = fs::read_dir(self.folder.join("scripts")).unwrap();
        let names = scripts.map(|it| it.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !self.cases.iter().any(|case| *name == format!("{}.json", case.name))).collect()
    }
}

fn files_below(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
