//! From a file to settings.

use std::path::{Path, PathBuf};

use super::changes::{self, SectionHashes};
use super::document::Document;
use super::problem::{Problem, ProblemKind};
use super::settings::Settings;
use crate::base::env;

/// Read when neither `--config` nor `HOMEOSTAT_CONFIG` names a file.
pub const DEFAULT_FILE: &str = "/etc/homeostat/homeostat.toml";

/// Every setting with its default.
pub const DEFAULT_TEXT: &str = include_str!("../../config/default.toml");

/// Reads the config: `file` if given, else the one of the environment, else [`DEFAULT_FILE`] if it exists, else the
/// embedded defaults.
///
/// # Errors
/// All problems, in the order of their lines.
pub fn load(file: Option<&Path>) -> Result<Settings, Vec<Problem>> {
    let (file, text) = read(file)?;
    parse(&file, &text)
}

/// Reads the config as [`load`] does, and gives what could be read of it beside all problems; the examples of the rules are run too.
/// No settings come of a file that cannot be read, or that is no TOML.
pub fn check(file: Option<&Path>) -> (Option<Settings>, Vec<Problem>) {
    let (file, text) = match read(file) {
        Ok(read) => read,
        Err(problems) => return (None, problems),
    };
    let (settings, mut problems) = parse_all(&file, &text);
    let examples = settings.as_ref().map(|settings| settings.rules.check_examples()).unwrap_or_default();
    problems.extend(examples.into_iter().map(Problem::from));
    problems.extend(settings.iter().flat_map(|settings| settings.fingerprints.check_examples()));
    (settings, problems)
}

/// Reads the config in `text`; `file` is named in problems only.
///
/// # Errors
/// All problems, in the order of their lines.
pub fn parse(file: &Path, text: &str) -> Result<Settings, Vec<Problem>> {
    match parse_all(file, text) {
        (Some(settings), problems) if problems.is_empty() => Ok(settings),
        (_, problems) => Err(problems),
    }
}

fn parse_all(file: &Path, text: &str) -> (Option<Settings>, Vec<Problem>) {
    let document = Document::parse(file, text);
    // What follows from a slip in the syntax (a key in the wrong table) would only hide it.
    if document.has_problems() {
        return (None, document.into_problems());
    }
    let root = document.root();
    let mut settings = Settings::read(&root);
    settings.sections = changes::hashes(text);
    root.finish();
    (Some(settings), document.into_problems())
}

/// One hash for each section of a config's text, over the values and secrets it names; what is no TOML has none.
pub fn section_hashes(text: &str) -> SectionHashes {
    changes::hashes(text)
}

fn read(file: Option<&Path>) -> Result<(PathBuf, String), Vec<Problem>> {
    let named = file.map(Path::to_owned).or_else(|| env::path(env::CONFIG));
    let file = match named {
        Some(file) => file,
        None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
        None => return Ok((PathBuf::from("embedded defaults"), DEFAULT_TEXT.to_owned())),
    };
    match std::fs::read_to_string(&file) {
        Ok(text) => Ok((file, text)),
        Err(error) => Err(vec![Problem {
            file,
            line: None,
            key: String::new(),
            message: format!("failed to read the config file: {error}"),
            hint: "name another with --config, or begin with a copy of config/default.toml".to_owned(),
            kind: ProblemKind::Config,
        }]),
    }
}
