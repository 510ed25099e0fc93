//! How each package manager installs from a lock file, with the scripts of packages off.

use super::super::project::{PackageManager, Packages};
use super::manifests::Manifests;

/// Where the files that declare dependencies are put, as they stand in the repository.
pub(super) const IN: &str = "/sandbox/in";

/// What a recipe leaves its work in.
pub(super) const OUT: &str = "/sandbox/out";

/// How to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recipe {
    /// For `sh`, run where the manifests of the project's folder are; fills [`OUT`].
    pub(super) script: String,
    pub(super) env: Vec<(&'static str, &'static str)>,
    /// Where [`OUT`] stands in the snapshot.
    pub(super) to: &'static str,
    /// Set for everything that runs in the snapshot.
    pub(super) set: Vec<(&'static str, &'static str)>,
    /// Comes first in its `PATH`.
    pub(super) path: Vec<&'static str>,
}

/// What pip makes is a user's site: after the image's own packages in the search, before nothing of the standard library.
const PYTHON: &str = "/opt/homeostat/python";

/// Node looks for packages in `node_modules` of every folder up to the root.
const NODE: &str = "/node_modules";

/// `runs_scripts` is whether code of packages may run. In words why it cannot be done.
pub(super) fn recipe(
    packages: &Packages,
    manifests: &Manifests,
    runs_scripts: bool,
) -> Result<Recipe, String> {
    match packages.manager {
        PackageManager::Pip => pip(packages, manifests, runs_scripts),
        PackageManager::Uv => {
            let export =
                "uv export --quiet --frozen --no-emit-project --format requirements-txt -o /tmp/locked.txt";
            Ok(python(&format!("{export} && {} -r /tmp/locked.txt", pip_install(runs_scripts))))
        }
        PackageManager::Poetry => {
            let export =
                "poetry export --no-interaction --all-groups --format requirements.txt -o /tmp/locked.txt";
            Ok(python(&format!("{export} && {} -r /tmp/locked.txt", pip_install(runs_scripts))))
        }
        PackageManager::Npm => Ok(node(&npm(packages, runs_scripts))),
        PackageManager::Pnpm => {
            let scripts = if runs_scripts { "" } else { " --ignore-scripts" };
            let frozen = if packages.lock.is_some() { " --frozen-lockfile" } else { "" };
            Ok(node(&format!(
                "pnpm install{frozen}{scripts} --ignore-pnpmfile --node-linker=hoisted --store-dir /tmp/store --package-import-method=copy"
            )))
        }
        PackageManager::Yarn => {
            let scripts = if runs_scripts { "" } else { " --ignore-scripts" };
            let mode = if runs_scripts { "" } else { " --mode=skip-build" };
            Ok(node(&format!(
                "case $(yarn --version) in 1.*) yarn install --frozen-lockfile{scripts} --non-interactive --no-progress --cache-folder /tmp/yarn;; *) yarn install --immutable{mode};; esac"
            )))
        }
        PackageManager::Cargo => {
            let locked = if packages.lock.is_some() { " --locked" } else { "" };
            Ok(Recipe {
                script: format!("cargo fetch{locked}"),
                env: vec![("CARGO_HOME", OUT), ("CARGO_NET_OFFLINE", "false"), ("CARGO_NET_RETRY", "2")],
                to: "/opt/homeostat/cargo",
                set: vec![("CARGO_HOME", "/opt/homeostat/cargo")],
                path: Vec::new(),
            })
        }
        PackageManager::GoModules => Ok(Recipe {
            script: "go mod download".to_owned(),
            env: vec![
                ("GOMODCACHE", OUT),
                ("GOPROXY", "https://proxy.golang.org"),
                ("GOFLAGS", "-modcacherw"),
            ],
            to: "/opt/homeostat/go",
            set: vec![("GOMODCACHE", "/opt/homeostat/go")],
            path: Vec::new(),
        }),
        PackageManager::Bundler => Ok(bundler(runs_scripts)),
        PackageManager::Maven | PackageManager::Gradle | PackageManager::Composer | PackageManager::Nuget => {
            Err(format!(
                "homeostat does not install dependencies with `{}`: they have to be in the image",
                packages.manager
            ))
        }
    }
}

fn pip(packages: &Packages, manifests: &Manifests, runs_scripts: bool) -> Result<Recipe, String> {
    if !runs_scripts && let Some((path, line)) = manifests.runs_code() {
        return Err(format!(
            "`{line}` in `{path}` makes pip run code of a package, and `[sandbox.dependencies] scripts` is off"
        ));
    }
    let in_folder = |path: &str| match packages.folder.as_str() {
        "" => path.to_owned(),
        folder => path.strip_prefix(folder).map_or(path, |rest| rest.trim_start_matches('/')).to_owned(),
    };
    let is_locked = packages.lock.as_deref().is_some_and(|lock| lock.ends_with(".lock"));
    let mut arguments = String::new();
    for (path, _) in &manifests.files {
        let name = in_folder(path);
        // Those below are named by others, constraints are no requirements, and a lock file stands for what it was made of.
        let is_constraint = name.starts_with("constraints");
        if name.contains('/') || is_constraint || (is_locked && name == "requirements.txt") {
            continue;
        }
        arguments.push_str(&format!(" -r {name}"));
    }
    Ok(python(&format!("{}{arguments}", pip_install(runs_scripts))))
}

fn pip_install(runs_scripts: bool) -> String {
    let binary = if runs_scripts { "" } else { " --only-binary :all:" };
    format!(
        "python3 -m pip install --user{binary} --no-input --no-cache-dir --disable-pip-version-check --no-warn-script-location"
    )
}

fn python(script: &str) -> Recipe {
    Recipe {
        script: format!("{script} && mkdir -p {OUT}"),
        env: vec![
            ("PYTHONUSERBASE", OUT),
            ("PIP_BREAK_SYSTEM_PACKAGES", "1"),
            ("PIP_PROGRESS_BAR", "off"),
            ("PIP_RETRIES", "2"),
            ("PIP_CONFIG_FILE", "/dev/null"),
        ],
        to: PYTHON,
        set: vec![("PYTHONUSERBASE", PYTHON)],
        path: vec!["/opt/homeostat/python/bin"],
    }
}

fn npm(packages: &Packages, runs_scripts: bool) -> String {
    let command = if packages.lock.is_some() { "ci" } else { "install --no-package-lock" };
    let scripts = if runs_scripts { "" } else { " --ignore-scripts" };
    format!("npm {command}{scripts} --no-audit --no-fund --no-progress --cache /tmp/npm")
}

fn node(script: &str) -> Recipe {
    Recipe {
        script: format!("{script} && mkdir -p node_modules && mv node_modules {OUT}"),
        env: vec![
            ("NPM_CONFIG_OFFLINE", "false"),
            ("NPM_CONFIG_FETCH_RETRIES", "2"),
            ("NPM_CONFIG_FETCH_RETRY_MINTIMEOUT", "1000"),
            ("NPM_CONFIG_FETCH_RETRY_MAXTIMEOUT", "5000"),
            ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
            ("YARN_ENABLE_SCRIPTS", "false"),
            ("YARN_NODE_LINKER", "node-modules"),
            ("YARN_ENABLE_GLOBAL_CACHE", "false"),
        ],
        to: NODE,
        set: Vec::new(),
        path: vec!["/node_modules/.bin"],
    }
}

/// A gem that is compiled runs its own code while it is installed; all others are only unpacked.
fn bundler(runs_scripts: bool) -> Recipe {
    let look = r#"for gem in vendor/cache/*.gem; do
  [ -e "$gem" ] || continue
  ! gem specification "$gem" extensions | grep -q '^- ' || { echo "$gem is compiled when it is installed, and scripts are off"; exit 3; }
done"#;
    let look = if runs_scripts { "true" } else { look };
    let fetch = "bundle config set --local path /sandbox/out && bundle cache --no-install";
    Recipe {
        script: format!("set -e\n{fetch}\n{look}\nbundle install --local --retry 2\nmkdir -p {OUT}"),
        env: vec![
            ("BUNDLE_FROZEN", "true"),
            ("BUNDLE_SILENCE_ROOT_WARNING", "1"),
            ("BUNDLE_USER_HOME", "/tmp/bundle"),
        ],
        to: "/opt/homeostat/gems",
        set: vec![("BUNDLE_PATH", "/opt/homeostat/gems"), ("BUNDLE_USER_HOME", "/tmp/bundle")],
        path: Vec::new(),
    }
}
