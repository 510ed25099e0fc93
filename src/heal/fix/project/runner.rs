//! The commands of test runners.
//!
//! A failure must show its trace in the runtime's own form, so that it can be compared with the issue's; [`Runner::ENVIRONMENT`]
//! asks for that without changing a project's own command. What a check needs besides, so that each test is named, stands in
//! [`Runner::TELLING`]; the agent's own runs do without, since it would only be told more than it asked for.

use super::super::results::Form;
use super::detect::is_python_test;

/// What runs a project's tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// The repository's own words; `files` has a place `{files}`.
    Given {
        command: String,
        files: Option<String>,
    },
    Pytest,
    /// Python's own, started in this folder.
    Unittest {
        start: Option<String>,
    },
    /// `node --test`, with the project's own script for the whole. Its older form of output, TAP, shows no trace.
    NodeTest {
        script: bool,
    },
    /// A runner in `node_modules/.bin`, with the project's own script for the whole.
    NodeModule {
        program: &'static str,
    },
    /// `npm test`, of which nothing more is known.
    NpmScript,
    Cargo,
    Go,
    Maven {
        wrapper: bool,
    },
    Gradle {
        wrapper: bool,
    },
    /// With the gems of the lock file alone, if there is one.
    Rspec {
        bundle: bool,
    },
    /// Minitest or test-unit; the whole by the project's own Rake task, if it has one.
    Minitest {
        rake: bool,
        bundle: bool,
    },
    /// That of the project's dependencies, else the image's.
    Phpunit,
    Dotnet,
    Make,
    /// A script of the shell that runs all tests.
    Script {
        path: &'static str,
    },
}

impl Runner {
    /// Set for every run: traces whole and in plain text, no colours, nothing waited for, nothing left behind.
    pub const ENVIRONMENT: &[(&str, &str)] = &[
        ("CI", "1"),
        ("NO_COLOR", "1"),
        ("TERM", "dumb"),
        ("PYTEST_ADDOPTS", "--tb=native -p no:cacheprovider --color=no"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("RUST_BACKTRACE", "1"),
        ("CARGO_TERM_COLOR", "never"),
    ];

    /// Put before the command of a check: asks the runners that listen to the environment for a line per test, whatever calls them.
    pub(in super::super) const TELLING: &str = "export PYTEST_ADDOPTS=\"${PYTEST_ADDOPTS-} -rfEsxXp\" GOFLAGS=\"${GOFLAGS-} -v\" TESTOPTS=\"${TESTOPTS--v}\"";

    /// How its results are told; `None` where nothing is known of the command, so that any form may be met, or none.
    pub(in super::super) const fn forms(&self) -> Option<&'static [Form]> {
        match self {
            Self::Pytest => Some(&[Form::Pytest]),
            // New tests may be for pytest only.
            Self::Unittest { .. } => Some(&[Form::Unittest, Form::Pytest]),
            Self::NodeTest { .. } => Some(&[Form::NodeSpec, Form::Tap]),
            Self::NodeModule { .. } => Some(&[Form::Jest, Form::Vitest, Form::Mocha, Form::Tap]),
            Self::Cargo => Some(&[Form::Libtest]),
            Self::Go => Some(&[Form::Go]),
            Self::Maven { .. } => Some(&[Form::Surefire]),
            Self::Gradle { .. } => Some(&[Form::Gradle]),
            Self::Rspec { .. } => Some(&[Form::Rspec]),
            Self::Minitest { .. } => Some(&[Form::Minitest, Form::TestUnit]),
            Self::Phpunit => Some(&[Form::Phpunit]),
            Self::Dotnet => Some(&[Form::Dotnet]),
            Self::Given { .. } | Self::NpmScript | Self::Make | Self::Script { .. } => None,
        }
    }

    /// Runs everything.
    pub fn whole(&self) -> String {
        match self {
            Self::Given { command, .. } => command.clone(),
            Self::Pytest => "python3 -m pytest -q".to_owned(),
            Self::Unittest { start: None } => "python3 -m unittest -v".to_owned(),
            Self::Unittest { start: Some(start) } => {
                format!("python3 -m unittest discover -v -s {}", quoted(start))
            }
            Self::NodeTest { script: false } => "node --test --test-reporter=spec".to_owned(),
            Self::NodeTest { script: true } | Self::NodeModule { .. } | Self::NpmScript => {
                "npm test".to_owned()
            }
            Self::Cargo => "cargo test --offline --no-fail-fast".to_owned(),
            Self::Go => "go test ./...".to_owned(),
            Self::Maven { wrapper } => format!("{} -o -B test", maven(*wrapper)),
            Self::Gradle { wrapper } => format!("{} test", gradle(*wrapper)),
            Self::Rspec { bundle } => format!("{}rspec --no-color", bundled(*bundle)),
            Self::Minitest { rake: true, bundle } => format!("{}rake test", bundled(*bundle)),
            Self::Minitest { rake: false, bundle } => {
                let all = r#"Dir["test/**/{test_*,*_test}.rb"].sort.each { |file| require "./#{file}" }"#;
                format!("{}ruby -Ilib -Itest -e '{all}'", bundled(*bundle))
            }
            Self::Phpunit => PHPUNIT.to_owned(),
            Self::Dotnet => DOTNET.to_owned(),
            Self::Make => "make test".to_owned(),
            Self::Script { path } => format!("sh {path}"),
        }
    }

    /// Runs the tests of these files, relative to the project's folder; `None` where the runner cannot, or none of them is a test.
    pub fn only(&self, files: &[String]) -> Option<String> {
        let with = |command: &str, fitting: Vec<String>| {
            (!fitting.is_empty()).then(|| format!("{command} {}", fitting.join(" ")))
        };
        let ending = |endings: &[&str]| -> Vec<String> {
            let fits = |path: &&String| endings.iter().any(|ending| path.ends_with(ending));
            files.iter().filter(fits).map(|path| quoted(path)).collect()
        };
        match self {
            Self::Given { files: Some(template), .. } => {
                let all: Vec<String> = files.iter().map(|path| quoted(path)).collect();
                (!all.is_empty()).then(|| template.replace("{files}", &all.join(" ")))
            }
            Self::Given { files: None, .. } | Self::NpmScript | Self::Make | Self::Script { .. } => None,
            Self::Pytest => with("python3 -m pytest -q", python_tests(files)),
            Self::Unittest { .. } => with("python3 -m unittest -v", python_tests(files)),
            Self::NodeTest { .. } => with("node --test --test-reporter=spec", ending(NODE_TESTS)),
            Self::NodeModule { program } => with(&format!("node_modules/.bin/{program}"), ending(NODE_TESTS)),
            Self::Cargo => cargo_only(files),
            Self::Go => {
                let mut packages: Vec<String> = files
                    .iter()
                    .filter(|path| path.ends_with("_test.go"))
                    .map(|path| quoted(&format!("./{}", path.rsplit_once('/').map_or("", |it| it.0))))
                    .collect();
                packages.sort();
                packages.dedup();
                with("go test -count=1", packages)
            }
            Self::Maven { wrapper } => {
                let classes = jvm_classes(files);
                (!classes.is_empty()).then(|| {
                    format!(
                        "{} -o -B test -Dtest={} -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false",
                        maven(*wrapper),
                        quoted(&classes.join(","))
                    )
                })
            }
            Self::Gradle { wrapper } => {
                let filters: Vec<String> = jvm_classes(files)
                    .iter()
                    .map(|class| format!("--tests {}", quoted(&format!("*{class}"))))
                    .collect();
                with(&format!("{} test", gradle(*wrapper)), filters)
            }
            Self::Rspec { bundle } => {
                with(&format!("{}rspec --no-color", bundled(*bundle)), ending(&["_spec.rb"]))
            }
            Self::Minitest { bundle, .. } => {
                let files: Vec<String> = files.iter().filter(|path| is_minitest(path)).cloned().collect();
                let required: Vec<String> =
                    files.iter().map(|path| format!("-r {}", quoted(&format!("./{path}")))).collect();
                with(&format!("{}ruby -Ilib -Itest -e ''", bundled(*bundle)), required)
            }
            // It takes one file at a time.
            Self::Phpunit => {
                let tests = ending(&["Test.php"]);
                let each = format!("for file in {}; do {PHPUNIT} $file || failed=1; done", tests.join(" "));
                (!tests.is_empty()).then(|| format!("{each}; exit ${{failed:-0}}"))
            }
            Self::Dotnet => {
                let classes = ending(&[".cs", ".fs", ".vb"]);
                let class = |path: &String| {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    name.rsplit_once('.')
                        .map(|(stem, _)| format!("FullyQualifiedName~{}", stem.trim_matches('\'')))
                };
                let filter: Vec<String> = classes.iter().filter_map(class).collect();
                (!filter.is_empty()).then(|| format!("{DOTNET} --filter {}", quoted(&filter.join("|"))))
            }
        }
    }
}

/// What Composer installed comes before the image's own.
const PHPUNIT: &str = r#"PATH="$PWD/vendor/bin:$PATH" phpunit --colors=never"#;

const DOTNET: &str = "dotnet test --nologo";

const fn bundled(bundle: bool) -> &'static str {
    if bundle { "bundle exec " } else { "" }
}

/// What a Rake task takes by default, by name.
fn is_minitest(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".rb").is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
}

const NODE_TESTS: &[&str] = &[".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".mts", ".cts"];

fn python_tests(files: &[String]) -> Vec<String> {
    files.iter().filter(|path| is_python_test(path)).map(|path| quoted(path)).collect()
}

/// Runs tests in Python that are no more than scripts, one after the other, with what they import from the project's folder.
pub(super) fn scripts(files: &[String]) -> Option<String> {
    let each = python_tests(files).into_iter().map(|path| format!("PYTHONPATH=. python3 {path}"));
    let all: Vec<String> = each.collect();
    (!all.is_empty()).then(|| all.join(" && "))
}

/// Integration tests have a target each; with anything else (tests inside the source) all have to run.
fn cargo_only(files: &[String]) -> Option<String> {
    let mut targets = Vec::new();
    for path in files.iter().filter(|path| path.ends_with(".rs")) {
        let stem = path.strip_prefix("tests/")?.strip_suffix(".rs")?;
        let stem = stem.split_once('/').map_or(stem, |(folder, _)| folder);
        targets.push(format!("--test {}", quoted(stem)));
    }
    targets.dedup();
    (!targets.is_empty()).then(|| format!("cargo test --offline --no-fail-fast {}", targets.join(" ")))
}

fn jvm_classes(files: &[String]) -> Vec<String> {
    let endings = [".java", ".kt", ".groovy", ".scala"];
    let class = |path: &String| {
        let name = path.rsplit('/').next()?;
        endings.iter().find_map(|ending| name.strip_suffix(ending)).map(str::to_owned)
    };
    files.iter().filter_map(class).collect()
}

const fn maven(wrapper: bool) -> &'static str {
    if wrapper { "./mvnw" } else { "mvn" }
}

/// Gradle says nothing of tests that pass unless a build asks for it; this one asks for every build.
fn gradle(wrapper: bool) -> String {
    let program = if wrapper { "./gradlew" } else { "gradle" };
    let events = "allprojects { tasks.withType(Test) { testLogging { events 'passed', 'skipped', 'failed'; exceptionFormat 'full' } } }";
    format!("echo \"{events}\" > /tmp/telling.gradle && {program} --offline -I /tmp/telling.gradle")
}

/// A word for the shell.
pub(in super::super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:@%+".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    // A leading `-` would be taken for an option.
    let word = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: &Runner, files: &[&str], expected: Option<&str>) {
        let files: Vec<String> = files.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(runner.only(&files).as_deref(), expected, "{runner:?} {files:?}");
    }

    #[test]
    fn runs_some_files_where_the_runner_can() {
        let pytest = Runner::Pytest;
        check(&pytest, &["tests/test_a.py", "tests/data.json"], Some("python3 -m pytest -q tests/test_a.py"));
        check(&pytest, &["tests/data.json", "tests/__init__.py"], None);
        let unittest = Runner::Unittest { start: None };
        check(&unittest, &["tests/test_a.py"], Some("python3 -m unittest -v tests/test_a.py"));
        check(
            &Runner::NodeTest { script: true },
            &["test/a b.test.js"],
            Some("node --test --test-reporter=spec 'test/a b.test.js'"),
        );
        check(
            &Runner::NodeModule { program: "jest" },
            &["a.test.ts"],
            Some("node_modules/.bin/jest a.test.ts"),
        );
        check(&Runner::Cargo, &["tests/api.rs"], Some("cargo test --offline --no-fail-fast --test api"));
        check(&Runner::Cargo, &["tests/api.rs", "src/lib.rs"], None);
        check(&Runner::Go, &["a/x_test.go", "a/y_test.go", "z_test.go"], Some("go test -count=1 ./ ./a"));
        check(&Runner::Make, &["tests/a.sh"], None);
        check(
            &Runner::Maven { wrapper: false },
            &["src/test/java/x/ATest.java"],
            Some("mvn -o -B test -Dtest=ATest -DfailIfNoTests=false -Dsurefire.failIfNoSpecifiedTests=false"),
        );
        check(
            &Runner::Minitest { rake: true, bundle: false },
            &["test/cart_test.rb", "test/data.rb"],
            Some("ruby -Ilib -Itest -e '' -r ./test/cart_test.rb"),
        );
        check(
            &Runner::Rspec { bundle: true },
            &["spec/cart_spec.rb", "spec/spec_helper.rb"],
            Some("bundle exec rspec --no-color spec/cart_spec.rb"),
        );
        check(
            &Runner::Phpunit,
            &["tests/CartTest.php", "tests/bootstrap.php"],
            Some(
                r#"for file in tests/CartTest.php; do PATH="$PWD/vendor/bin:$PATH" phpunit --colors=never $file || failed=1; done; exit ${failed:-0}"#,
            ),
        );
        check(
            &Runner::Dotnet,
            &["Shop.Tests/CartTest.cs", "Shop.Tests/TaxTest.cs"],
            Some("dotnet test --nologo --filter 'FullyQualifiedName~CartTest|FullyQualifiedName~TaxTest'"),
        );
        let given = Runner::Given { command: "make check".into(), files: Some("t {files}".into()) };
        check(&given, &["-x.py", "it's.py"], Some(r"t './-x.py' 'it'\''s.py'"));
        check(&Runner::Given { command: "make check".into(), files: None }, &["a.py"], None);
    }
}
