//! The files that declare dependencies, as they are on the base branch, and what can be told of them without running anything.

use super::super::project::{PackageManager, Packages};
use crate::repo::{EntryKind, Mirror, RepoError, TreeEntry};

/// Largest single file; lock files are long.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Most bytes of all of them.
const MAX_BYTES: u64 = 64 << 20;

/// Paths, relative to the repository, with their contents, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Manifests {
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Manifests {
    /// Reads the files of `packages`. A link among them, or one that is too large, is left out: the package manager will miss it.
    pub(super) async fn read(
        mirror: &Mirror,
        entries: &[TreeEntry],
        packages: &Packages,
    ) -> Result<Self, RepoError> {
        let mut files = Vec::new();
        let mut n_bytes = 0;
        for entry in entries {
            let is_file = match entry.kind {
                EntryKind::File | EntryKind::Executable => true,
                EntryKind::Symlink | EntryKind::Submodule => false,
            };
            let is_wanted = is_file && packages.files.binary_search(&entry.path).is_ok();
            if !is_wanted || entry.n_bytes > MAX_FILE_BYTES || n_bytes + entry.n_bytes > MAX_BYTES {
                continue;
            }
            n_bytes += entry.n_bytes;
            files.push((entry.path.clone(), mirror.content(entry).await?));
        }
        files.sort();
        Ok(Self { files })
    }

    /// Cargo wants to see that the sources are there, but not what is in them.
    pub(super) fn with_names(mut self, entries: &[TreeEntry], packages: &Packages) -> Self {
        if packages.manager == PackageManager::Cargo {
            let start =
                if packages.folder.is_empty() { String::new() } else { format!("{}/", packages.folder) };
            let sources = entries.iter().map(|entry| &entry.path);
            let sources = sources.filter(|path| path.starts_with(&start) && path.ends_with(".rs"));
            self.files.extend(sources.map(|path| (path.clone(), Vec::new())));
            self.files.sort();
        }
        self
    }

    fn texts(&self, is_wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
        let wanted = self.files.iter().filter(move |(path, _)| is_wanted(name_of(path)));
        wanted.map(|(_, content)| String::from_utf8_lossy(content))
    }

    fn has_line(&self, is_wanted: impl Fn(&str) -> bool, fits: impl Fn(&str) -> bool) -> bool {
        self.texts(is_wanted).any(|text| text.lines().any(|line| fits(line.trim())))
    }

    /// Whether nothing at all is declared.
    pub(super) fn is_empty(&self, manager: PackageManager) -> bool {
        let any = |_: &str| true;
        let has_any = match manager {
            PackageManager::Pip => self.has_line(any, |line| !line.is_empty() && !line.starts_with('#')),
            PackageManager::Npm | PackageManager::Pnpm | PackageManager::Yarn => {
                self.texts(|name| name == "package.json").any(|text| names_packages(&text))
            }
            PackageManager::Cargo => {
                let is_foreign = |line: &str| line.starts_with("source = ");
                let is_section = |line: &str| line.starts_with('[') && line.contains("dependencies");
                if self.files.iter().any(|(path, _)| name_of(path) == "Cargo.lock") {
                    self.has_line(|name| name == "Cargo.lock", is_foreign)
                } else {
                    self.has_line(any, is_section)
                }
            }
            PackageManager::GoModules => {
                self.has_line(|name| name == "go.mod", |line| line.starts_with("require"))
            }
            PackageManager::Bundler => {
                self.has_line(|name| name == "Gemfile", |line| line.starts_with("gem"))
            }
            PackageManager::Uv
            | PackageManager::Poetry
            | PackageManager::Maven
            | PackageManager::Gradle
            | PackageManager::Composer
            | PackageManager::Nuget => !self.files.is_empty(),
        };
        !has_any
    }

    /// A line by which pip would run code of a package, with its file, if there is one: an option that turns builds on, sources of a
    /// version control, archives that are no wheels, folders.
    pub(super) fn runs_code(&self) -> Option<(String, String)> {
        self.files.iter().find_map(|(path, content)| {
            let text = String::from_utf8_lossy(content).replace("\\\n", " ").replace("\\\r\n", " ");
            let line = text.lines().map(str::trim).find(|line| builds(line))?;
            Some((path.clone(), line.chars().take(80).collect()))
        })
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Whether a `package.json` asks for packages or has parts that may.
fn names_packages(text: &str) -> bool {
    let package: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let is_filled = |key: &&str| package[*key].as_object().is_some_and(|it| !it.is_empty());
    ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"].iter().any(is_filled)
}

/// <https://pip.pypa.io/en/stable/reference/requirements-file-format/>
fn builds(line: &str) -> bool {
    // An anchor of an address is no comment: those begin after a blank.
    let line = line.split(" #").next().unwrap_or_default();
    if line.is_empty() || line.starts_with('#') {
        return false;
    }
    // Long options may be shortened as long as they are clear.
    let options = ["-e", "--e", "--no-bi", "--gl", "--inst", "--conf"];
    let is_option = |word: &str| options.iter().any(|start| word.starts_with(start));
    if line.split_whitespace().any(|word| is_option(word) && !word.starts_with("--ex")) {
        return true;
    }
    if line.starts_with('-') {
        return false;
    }
    let is_folder = line.starts_with(['.', '/', '~']);
    let requirement = line.split([';', ' ']).next().unwrap_or_default();
    let address = match line.split_once('@') {
        Some((_, address)) if address.contains(':') => address.split_whitespace().next().unwrap_or_default(),
        _ => requirement,
    };
    let is_address = address.contains("://") || address.starts_with("file:");
    let file = address.split(['#', '?', ';']).next().unwrap_or_default();
    let is_archive = [".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz"].iter().any(|it| file.ends_with(it));
    is_folder || (is_address && !file.ends_with(".whl")) || is_archive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Manifests {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        Manifests { files: files.collect() }
    }

    #[test]
    fn nothing_declared_is_nothing_to_install() {
        use PackageManager::{Bundler, Cargo, GoModules, Npm, Pip};
        let check = |manager, path, text, expected| {
            assert_eq!(of(&[(path, text)]).is_empty(manager), expected, "{path} {text}");
        };
        check(Pip, "requirements.txt", "# none yet\n\n", true);
        check(Pip, "requirements.txt", "flask==3.0\n", false);
        check(Npm, "package.json", r#"{"name": "x", "dependencies": {}}"#, true);
        check(Npm, "package.json", r#"{"devDependencies": {"jest": "29"}}"#, false);
        check(Cargo, "Cargo.lock", "[[package]]\nname = \"own\"\n", true);
        check(Cargo, "Cargo.lock", "[[package]]\nsource = \"registry+x\"\n", false);
        check(Cargo, "Cargo.toml", "[package]\n", true);
        check(Cargo, "Cargo.toml", "[dev-dependencies]\nx = \"1\"\n", false);
        check(GoModules, "go.mod", "module x\n\ngo 1.19\n", true);
        check(GoModules, "go.mod", "module x\nrequire y v1.0.0\n", false);
        check(Bundler, "Gemfile", "source 'https://x'\n", true);
        check(Bundler, "Gemfile", "gem 'rack'\n", false);
    }

    #[test]
    fn lines_that_make_pip_run_code_are_seen() {
        let check = |line: &str, expected: bool| {
            let found = of(&[("requirements.txt", &format!("# head\n{line}\n"))]).runs_code().is_some();
            assert_eq!(found, expected, "{line}");
        };
        for harmless in [
            "flask==3.0.1 --hash=sha256:00",
            "flask[async]>=2 ; python_version > '3.8'  # a comment -e",
            "--index-url http://127.0.0.1/simple",
            "--extra-index-url http://127.0.0.1/simple",
            "--only-binary :all:",
            "--prefer-binary",
            "-r base.txt",
            "x @ https://a.test/x-1.0-py3-none-any.whl#sha256=00",
            "https://a.test/x-1.0-py3-none-any.whl",
            "# -e git+https://a.test/x",
        ] {
            check(harmless, false);
        }
        for code in [
            "--no-binary :all:",
            "--no-bin=:all:",
            "-e .",
            "-e git+https://a.test/x",
            "--editable ./x",
            "x --global-option=build",
            "x --config-settings a=b",
            "git+https://a.test/x.git",
            "x @ git+https://a.test/x.git@main",
            "x @ https://a.test/x-1.0.tar.gz",
            "https://a.test/x.zip",
            "./x",
            "../x",
            "x @ file:///etc/x",
            "x-1.0.tar.gz",
            "x --no-bin\\\nary=x",
        ] {
            check(code, true);
        }
    }
}
