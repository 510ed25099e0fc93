//! What installs a project's dependencies, from which files: the package manager and its lock file as a value.
//!
//! Only files of the base branch count, and only their names are needed to tell; what is in them is read by whoever installs.

use std::fmt;

use super::Language;
use super::detect::Listing;
use super::place::parent;

/// What installs a project's dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackageManager {
    Pip,
    Uv,
    Poetry,
    Npm,
    Pnpm,
    Yarn,
    Cargo,
    GoModules,
    Maven,
    Gradle,
    Bundler,
    Composer,
    Nuget,
}

impl PackageManager {
    /// Its name, as the program is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Uv => "uv",
            Self::Poetry => "poetry",
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn => "yarn",
            Self::Cargo => "cargo",
            Self::GoModules => "go",
            Self::Maven => "mvn",
            Self::Gradle => "gradle",
            Self::Bundler => "bundle",
            Self::Composer => "composer",
            Self::Nuget => "dotnet",
        }
    }
}

impl fmt::Display for PackageManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The dependencies of a project as its files declare them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packages {
    pub manager: PackageManager,
    /// Where its program is run: relative to the repository, empty for its root. The project's folder or one above it.
    pub folder: String,
    /// The file that names every version, relative to the repository; without one, versions are what the registry has that day.
    pub lock: Option<String>,
    /// Everything the manager reads, `lock` included, relative to the repository, sorted.
    pub files: Vec<String>,
}

/// A manager, its lock files and the files by which a folder is known to be its own.
struct Known {
    manager: PackageManager,
    locks: &'static [&'static str],
    manifests: &'static [&'static str],
    /// Is read as well where it is there.
    others: &'static [&'static str],
}

/// In the order in which they are looked for: those with a lock file of their own before those that share a manifest with them.
const KNOWN: &[(Language, Known)] = &[
    (
        Language::Python,
        Known {
            manager: PackageManager::Uv,
            locks: &["uv.lock"],
            manifests: &["uv.lock"],
            others: &["pyproject.toml", "uv.toml", ".python-version"],
        },
    ),
    (
        Language::Python,
        Known {
            manager: PackageManager::Poetry,
            locks: &["poetry.lock"],
            manifests: &["poetry.lock"],
            others: &["pyproject.toml", "poetry.toml"],
        },
    ),
    (
        Language::Python,
        Known {
            manager: PackageManager::Pip,
            locks: &["requirements.lock", "requirements.txt"],
            manifests: &[
                "requirements.lock",
                "requirements.txt",
                "requirements-dev.txt",
                "dev-requirements.txt",
            ],
            others: &[
                "requirements-test.txt",
                "test-requirements.txt",
                "requirements_dev.txt",
                "requirements_test.txt",
                "constraints.txt",
            ],
        },
    ),
    (
        Language::Node,
        Known {
            manager: PackageManager::Pnpm,
            locks: &["pnpm-lock.yaml"],
            manifests: &["pnpm-lock.yaml"],
            others: &["package.json", "pnpm-workspace.yaml"],
        },
    ),
    (
        Language::Node,
        Known {
            manager: PackageManager::Yarn,
            locks: &["yarn.lock"],
            manifests: &["yarn.lock"],
            others: &["package.json", ".yarnrc.yml"],
        },
    ),
    (
        Language::Node,
        Known {
            manager: PackageManager::Npm,
            locks: &["npm-shrinkwrap.json", "package-lock.json"],
            manifests: &["package.json"],
            others: &[],
        },
    ),
    (
        Language::Rust,
        Known {
            manager: PackageManager::Cargo,
            locks: &["Cargo.lock"],
            manifests: &["Cargo.toml"],
            others: &["rust-toolchain", "rust-toolchain.toml"],
        },
    ),
    (
        Language::Go,
        Known {
            manager: PackageManager::GoModules,
            locks: &["go.sum"],
            manifests: &["go.mod"],
            others: &["go.work", "go.work.sum"],
        },
    ),
    (
        Language::Jvm,
        Known { manager: PackageManager::Maven, locks: &[], manifests: &["pom.xml"], others: &[] },
    ),
    (
        Language::Jvm,
        Known {
            manager: PackageManager::Gradle,
            locks: &["gradle.lockfile"],
            manifests: &["build.gradle", "build.gradle.kts"],
            others: &[
                "settings.gradle",
                "settings.gradle.kts",
                "gradle.properties",
                "gradle/libs.versions.toml",
            ],
        },
    ),
    (
        Language::Ruby,
        Known {
            manager: PackageManager::Bundler,
            locks: &["Gemfile.lock"],
            manifests: &["Gemfile"],
            others: &[".ruby-version"],
        },
    ),
    (
        Language::Php,
        Known {
            manager: PackageManager::Composer,
            locks: &["composer.lock"],
            manifests: &["composer.json"],
            others: &[],
        },
    ),
    (
        Language::Dotnet,
        Known {
            manager: PackageManager::Nuget,
            locks: &["packages.lock.json"],
            manifests: &[],
            others: &["Directory.Packages.props", "Directory.Build.props", "global.json"],
        },
    ),
];

/// What installs the dependencies of a project in `folder`; `None` if nothing is declared.
pub(super) fn packages(listing: &Listing, folder: &str, language: Language) -> Option<Packages> {
    let known = KNOWN.iter().filter(|(of, _)| *of == language).map(|(_, known)| known);
    let known: Vec<&Known> = known.collect();
    // A workspace keeps one lock file above its parts: it is nearer to the truth than a part's own manifest.
    let mut at = folder;
    loop {
        if let Some(known) = known.iter().find(|known| is_locked_in(listing, at, known)) {
            return Some(found(listing, at, language, known));
        }
        if at.is_empty() {
            break;
        }
        at = parent(at);
    }
    let known = known.into_iter().find(|known| is_declared_in(listing, folder, language, known))?;
    Some(found(listing, folder, language, known))
}

fn is_locked_in(listing: &Listing, folder: &str, known: &Known) -> bool {
    known.locks.iter().any(|name| listing.has(folder, name))
}

fn is_declared_in(listing: &Listing, folder: &str, language: Language, known: &Known) -> bool {
    match language {
        Language::Dotnet => own_files(listing, folder).any(|name| language.is_at_home(name)),
        Language::Python
        | Language::Node
        | Language::Rust
        | Language::Go
        | Language::Jvm
        | Language::Ruby
        | Language::Php
        | Language::Other => known.manifests.iter().any(|name| listing.has(folder, name)),
    }
}

fn found(listing: &Listing, folder: &str, language: Language, known: &Known) -> Packages {
    let lock = known.locks.iter().find(|name| listing.has(folder, name)).map(|name| joined(folder, name));
    let names = || known.manifests.iter().chain(known.others).chain(known.locks);
    // Parts of a workspace have manifests of their own below, which the manager wants to see.
    let is_wanted = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_own = names().any(|wanted| path == *wanted);
        let is_part = match language {
            Language::Rust | Language::Node | Language::Go | Language::Jvm | Language::Python => {
                let is_manifest = names().any(|wanted| !wanted.contains('/') && name == *wanted);
                is_manifest && !is_vendored(path)
            }
            Language::Dotnet => {
                (language.is_at_home(name) || names().any(|it| name == *it)) && !is_vendored(path)
            }
            Language::Ruby | Language::Php | Language::Other => false,
        };
        is_own || is_part
    };
    let mut files: Vec<String> =
        listing.below(folder).filter(|path| is_wanted(path)).map(|path| joined(folder, path)).collect();
    files.sort();
    Packages { manager: known.manager, folder: folder.to_owned(), lock, files }
}

/// Whether a path belongs to what was installed or is only tested with.
fn is_vendored(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "node_modules" | "vendor" | "testdata" | "fixtures" | "target"))
}

fn own_files<'a>(listing: &'a Listing, folder: &'a str) -> impl Iterator<Item = &'a str> {
    listing.below(folder).filter(|path| !path.contains('/'))
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        paths: &[&str],
        folder: &str,
        language: Language,
        expected: Option<(PackageManager, &str, Option<&str>, &[&str])>,
    ) {
        let listing =
            Listing { paths: paths.iter().map(|it| (*it).to_owned()).collect(), ..Listing::default() };
        let expected = expected.map(|(manager, folder, lock, files)| Packages {
            manager,
            folder: folder.to_owned(),
            lock: lock.map(str::to_owned),
            files: files.iter().map(|it| (*it).to_owned()).collect(),
        });
        assert_eq!(packages(&listing, folder, language), expected, "{paths:?}");
    }

    #[test]
    fn the_lock_file_says_which_manager_it_is() {
        use Language::{Dotnet, Go, Jvm, Node, Other, Php, Python, Ruby, Rust};
        use PackageManager::{
            Bundler, Cargo, Composer, GoModules, Gradle, Maven, Npm, Nuget, Pip, Pnpm, Poetry, Uv, Yarn,
        };
        let one = |language, manager, files: &'static [&'static str], lock| {
            check(files, "", language, Some((manager, "", lock, files)));
        };
        one(Python, Pip, &["requirements.txt"], Some("requirements.txt"));
        one(Python, Pip, &["requirements-dev.txt"], None);
        one(Python, Pip, &["requirements.lock", "requirements.txt"], Some("requirements.lock"));
        one(Python, Uv, &["pyproject.toml", "uv.lock"], Some("uv.lock"));
        one(Python, Poetry, &["poetry.lock", "pyproject.toml"], Some("poetry.lock"));
        one(Node, Npm, &["package.json"], None);
        one(Node, Npm, &["package-lock.json", "package.json"], Some("package-lock.json"));
        one(Node, Pnpm, &["package.json", "pnpm-lock.yaml"], Some("pnpm-lock.yaml"));
        one(Node, Yarn, &["package.json", "yarn.lock"], Some("yarn.lock"));
        one(Rust, Cargo, &["Cargo.lock", "Cargo.toml"], Some("Cargo.lock"));
        one(Go, GoModules, &["go.mod", "go.sum"], Some("go.sum"));
        one(Jvm, Maven, &["pom.xml"], None);
        one(
            Jvm,
            Gradle,
            &["build.gradle.kts", "gradle.lockfile", "settings.gradle.kts"],
            Some("gradle.lockfile"),
        );
        one(Ruby, Bundler, &["Gemfile", "Gemfile.lock"], Some("Gemfile.lock"));
        one(Php, Composer, &["composer.json", "composer.lock"], Some("composer.lock"));
        one(Dotnet, Nuget, &["Shop.csproj"], None);
        check(&["app.py"], "", Python, None);
        check(&["Makefile"], "", Other, None);
    }

    #[test]
    fn parts_of_a_workspace_share_its_lock() {
        let files = [
            "package-lock.json",
            "package.json",
            "packages/shop/package.json",
            "x/node_modules/y/package.json",
        ];
        let wanted = ["package-lock.json", "package.json", "packages/shop/package.json"];
        let npm = PackageManager::Npm;
        check(&files, "packages/shop", Language::Node, Some((npm, "", Some("package-lock.json"), &wanted)));
        let own = ["go.mod", "go.sum", "worker/go.mod", "worker/go.sum"];
        let wanted = ["worker/go.mod", "worker/go.sum"];
        let go = PackageManager::GoModules;
        check(&own, "worker", Language::Go, Some((go, "worker", Some("worker/go.sum"), &wanted)));
    }
}
