//! From a list of files to a project.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest::{Manifest, ManifestError, PATH};
use super::packages::packages;
use super::runner::Runner;
use super::{Language, Project};
use crate::model::trace::Runtime;

/// The files whose content matters, looked for in the folders that may be the project's.
pub const FILES_TO_READ: &[&str] = &[
    PATH,
    "package.json",
    "pyproject.toml",
    "setup.cfg",
    "tox.ini",
    "Makefile",
    "makefile",
    "GNUmakefile",
    "Rakefile",
    "composer.json",
];

/// Whether a file may hold tests in Python, whose content says for which runner they are.
pub fn is_python_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".py")
        .is_some_and(|stem| stem.starts_with("test") || stem.ends_with("_test") || stem.ends_with("_tests"))
}

/// What a project's own command may not run of new tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Of the project, as far as is known.
    Own,
    /// Python's functions and plain classes: unittest finds neither.
    Pytest,
    Unittest,
    /// Statements of Python, with an exit code and no more.
    Script,
}

impl Style {
    /// Of texts of tests in Python.
    pub fn of<'t>(texts: impl Iterator<Item = &'t str> + Clone) -> Self {
        if texts.clone().next().is_none() {
            Self::Own
        } else if texts.clone().any(is_for_pytest) {
            Self::Pytest
        } else if texts.clone().any(|text| text.contains("unittest") || text.contains("TestCase")) {
            Self::Unittest
        } else {
            Self::Script
        }
    }
}

fn is_for_pytest(text: &str) -> bool {
    text.lines().any(|line| {
        let is_class = || {
            line.strip_prefix("class Test")
                .is_some_and(|rest| rest.trim_end().ends_with(':') && !rest.contains('('))
        };
        ["import pytest", "from pytest ", "def test", "async def test"].iter().any(|it| line.starts_with(it))
            || is_class()
    })
}

/// A repository's files as far as they matter here.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    pub paths: BTreeSet<String>,
    /// Content of [`FILES_TO_READ`] and of tests in Python, by path.
    pub texts: BTreeMap<String, String>,
}

impl Listing {
    pub(super) fn has(&self, folder: &str, name: &str) -> bool {
        self.paths.contains(&joined(folder, name))
    }

    fn text(&self, folder: &str, name: &str) -> &str {
        self.texts.get(&joined(folder, name)).map_or("", String::as_str)
    }

    /// Paths below `folder`, relative to it.
    pub(super) fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths.iter().filter_map(move |path| {
            if folder.is_empty() { Some(path.as_str()) } else { path.strip_prefix(folder)?.strip_prefix('/') }
        })
    }
}

/// The project that stands in the first of `folders` (as [`super::folders`] gives them) that holds one, for an error of `runtime`; `None` if
/// nothing says how to test it.
pub fn detect(
    listing: &Listing,
    folders: &[String],
    runtime: Runtime,
) -> Result<Option<Project>, ManifestError> {
    let said = folders.iter().find(|folder| listing.has(folder, PATH));
    let manifest = match said {
        Some(folder) => Manifest::parse(listing.text(folder, PATH))?,
        None => Manifest::default(),
    };
    let found = folders.iter().find_map(|folder| found_in(listing, folder, runtime));
    let (language, runner, folder) = match (manifest.test.command, found) {
        (Some(command), found) => {
            let language = found.map(|(language, ..)| language).or(Language::of_runtime(runtime));
            let runner = Runner::Given { command, files: manifest.test.files };
            (language.unwrap_or(Language::Other), runner, said.cloned().unwrap_or_default())
        }
        (None, Some(found)) => found,
        (None, None) => return Ok(None),
    };
    Ok(Some(Project {
        language,
        packages: packages(listing, &folder, language),
        folder,
        runner,
        hints: manifest.hints,
        image: manifest.test.image,
    }))
}

type Found = (Language, Runner, String);

/// In the order of how much a file says.
const ORDER: [Language; 8] = [
    Language::Rust,
    Language::Go,
    Language::Jvm,
    Language::Php,
    Language::Ruby,
    Language::Dotnet,
    Language::Node,
    Language::Python,
];

/// The language of the error first.
fn found_in(listing: &Listing, folder: &str, runtime: Runtime) -> Option<Found> {
    let first = Language::of_runtime(runtime);
    let languages = first.into_iter().chain(ORDER.into_iter().filter(|it| Some(*it) != first));
    let found = |language| Some((language, runner_of(listing, folder, language)?, folder.to_owned()));
    languages.chain([Language::Other]).find_map(found)
}

fn runner_of(listing: &Listing, folder: &str, language: Language) -> Option<Runner> {
    match language {
        Language::Python => python(listing, folder),
        Language::Node => node(listing, folder),
        Language::Rust => listing.has(folder, "Cargo.toml").then_some(Runner::Cargo),
        Language::Go => listing.has(folder, "go.mod").then_some(Runner::Go),
        Language::Jvm => jvm(listing, folder),
        Language::Ruby => ruby(listing, folder),
        Language::Php => php(listing, folder),
        Language::Dotnet => {
            let is_home = |path: &str| !path.contains('/') && language.is_at_home(path);
            listing.below(folder).any(is_home).then_some(Runner::Dotnet)
        }
        Language::Other => make(listing, folder),
    }
}

/// pytest where it is configured or a test can only be for it; else Python's own runner.
fn python(listing: &Listing, folder: &str) -> Option<Runner> {
    let names =
        ["pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "Pipfile", "tox.ini", "pytest.ini"];
    let has_source =
        || listing.below(folder).any(|path| path.ends_with(".py") && path.matches('/').count() <= 2);
    if !names.iter().any(|name| listing.has(folder, name)) && !has_source() {
        return None;
    }
    let is_configured = listing.has(folder, "pytest.ini")
        || listing.text(folder, "pyproject.toml").contains("[tool.pytest")
        || listing.text(folder, "setup.cfg").contains("[tool:pytest]")
        || listing.text(folder, "tox.ini").contains("[pytest]")
        || listing.below(folder).any(|path| path == "conftest.py" || path.ends_with("/conftest.py"));
    let has_tests_for_it = || {
        listing.below(folder).any(|path| {
            is_python_test(path)
                && is_for_pytest(listing.texts.get(&joined(folder, path)).map_or("", |it| it))
        })
    };
    if is_configured || has_tests_for_it() {
        return Some(Runner::Pytest);
    }
    if !listing.below(folder).any(is_python_test)
        && let Some(make) = make(listing, folder)
    {
        return Some(make);
    }
    // Discovery enters packages only: a plain folder of tests must be named.
    let start = ["tests", "test"].into_iter().find(|name| {
        let inside = format!("{name}/");
        listing.below(folder).any(|path| path.starts_with(&inside))
            && !listing.has(folder, &format!("{name}/__init__.py"))
    });
    Some(Runner::Unittest { start: start.map(str::to_owned) })
}

fn node(listing: &Listing, folder: &str) -> Option<Runner> {
    if !listing.has(folder, "package.json") {
        let is_test = |path: &str| {
            let stem = [".js", ".mjs", ".cjs"].iter().find_map(|ending| path.strip_suffix(ending));
            stem.is_some_and(|stem| stem.ends_with(".test") || stem == "test" || stem.starts_with("test/"))
        };
        let has_tests = listing.below(folder).any(is_test);
        return has_tests.then_some(Runner::NodeTest { script: false });
    }
    let package: serde_json::Value =
        serde_json::from_str(listing.text(folder, "package.json")).unwrap_or_default();
    let script = package["scripts"]["test"].as_str().unwrap_or_default();
    // What `npm init` writes.
    if script.is_empty() || script.contains("no test specified") {
        return Some(Runner::NodeTest { script: false });
    }
    if script.contains("node --test") || script.contains("node:test") {
        return Some(Runner::NodeTest { script: true });
    }
    let known = ["jest", "vitest", "mocha"].into_iter().find(|program| {
        script.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == *program)
    });
    Some(match known {
        Some("vitest") => Runner::NodeModule { program: "vitest run" },
        Some(program) => Runner::NodeModule { program },
        None => Runner::NpmScript,
    })
}

fn jvm(listing: &Listing, folder: &str) -> Option<Runner> {
    if listing.has(folder, "pom.xml") {
        return Some(Runner::Maven { wrapper: listing.has(folder, "mvnw") });
    }
    let is_gradle = ["build.gradle", "build.gradle.kts"].iter().any(|name| listing.has(folder, name));
    if is_gradle {
        return Some(Runner::Gradle { wrapper: listing.has(folder, "gradlew") });
    }
    // Plain `javac`, by make.
    let is_source = |path: &str| [".java", ".kt", ".scala"].iter().any(|ending| path.ends_with(ending));
    listing.below(folder).any(is_source).then(|| make(listing, folder)).flatten()
}

/// RSpec where there are specs, Rake where it has tests, else the tests' files themselves.
fn ruby(listing: &Listing, folder: &str) -> Option<Runner> {
    let has_source =
        || listing.below(folder).any(|path| path.ends_with(".rb") && path.matches('/').count() <= 2);
    let is_home = |path: &str| !path.contains('/') && Language::Ruby.is_at_home(path);
    if !listing.below(folder).any(is_home) && !has_source() {
        return None;
    }
    let bundle = listing.has(folder, "Gemfile.lock");
    if listing.has(folder, ".rspec") || listing.below(folder).any(|path| path.ends_with("_spec.rb")) {
        return Some(Runner::Rspec { bundle });
    }
    let rakefile = listing.text(folder, "Rakefile");
    let has_task = ["TestTask", "task :test", "task test:", "task 'test'", "task \"test\""];
    let rake = has_task.iter().any(|words| rakefile.contains(words));
    Some(Runner::Minitest { rake, bundle })
}

fn php(listing: &Listing, folder: &str) -> Option<Runner> {
    let is_home = ["composer.json", "phpunit.xml", "phpunit.xml.dist"];
    let has_tests = || listing.below(folder).any(|path| path.ends_with("Test.php"));
    (is_home.iter().any(|name| listing.has(folder, name)) || has_tests()).then_some(Runner::Phpunit)
}

/// `make test` if there is such a rule, else a script of that name.
fn make(listing: &Listing, folder: &str) -> Option<Runner> {
    let makefile = ["GNUmakefile", "makefile", "Makefile"].iter().find(|name| listing.has(folder, name));
    if makefile.is_some_and(|name| has_target(listing.text(folder, name), "test")) {
        return Some(Runner::Make);
    }
    let script = SCRIPTS.iter().find(|name| listing.has(folder, name))?;
    Some(Runner::Script { path: script })
}

/// Scripts that run all tests.
const SCRIPTS: &[&str] = &[
    "test.sh",
    "tests.sh",
    "run_tests.sh",
    "run-tests.sh",
    "tests/run.sh",
    "tests/all.sh",
    "tests/test.sh",
    "tests/run_tests.sh",
    "test/run.sh",
    "test/all.sh",
    "test/test.sh",
];

/// Whether a makefile has a rule for `target`.
fn has_target(makefile: &str, target: &str) -> bool {
    makefile.lines().any(|line| {
        line.split_once(':').is_some_and(|(targets, rest)| {
            !line.starts_with([' ', '\t', '#'])
                && !rest.starts_with('=')
                && targets.split_whitespace().any(|it| it == target)
        })
    })
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests;
