//! Which paths are tests and what belongs to them, by the habits of each language.

/// Folders whose files are tests or serve them.
const FOLDERS: &[&str] = &[
    "test",
    "tests",
    "testing",
    "testdata",
    "test_data",
    "__tests__",
    "__fixtures__",
    "__snapshots__",
    "__mocks__",
    "spec",
    "specs",
    "e2e",
    "androidTest",
];

/// Whether a file is a test, or a fixture of tests.
pub fn is_test_path(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    parts.iter().any(|part| FOLDERS.contains(part)) || is_test_name(name)
}

fn is_test_name(name: &str) -> bool {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    match ending {
        "py" => {
            matches!(stem, "test" | "tests" | "conftest")
                || stem.starts_with("test_")
                || stem.ends_with("_test")
                || stem.ends_with("_tests")
        }
        "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" => {
            stem == "test" || stem.ends_with(".test") || stem.ends_with(".spec") || stem.ends_with("_test")
        }
        "go" => stem.ends_with("_test"),
        "rs" => matches!(stem, "tests" | "test") || stem.ends_with("_test") || stem.ends_with("_tests"),
        "java" | "kt" | "groovy" | "scala" => {
            ["Test", "Tests", "IT", "Spec", "TestCase"].iter().any(|end| stem.ends_with(end))
                || stem.strip_prefix("Test").is_some_and(|rest| rest.starts_with(char::is_uppercase))
        }
        "cs" | "php" => ["Test", "Tests"].iter().any(|end| stem.ends_with(end)),
        "rb" => stem.ends_with("_test") || stem.ends_with("_spec") || stem.starts_with("test_"),
        "ex" | "exs" => stem.ends_with("_test"),
        "snap" => true,
        _ => false,
    }
}

/// Whether a file says how tests are run: who changes it can make any test pass.
pub fn is_runner_config(path: &str) -> bool {
    const NAMES: &[&str] = &[
        "conftest.py",
        "pytest.ini",
        "pytest.toml",
        ".pytest.ini",
        ".pytest.toml",
        "tox.ini",
        "setup.cfg",
        "setup.py",
        "noxfile.py",
        "pyproject.toml",
        "sitecustomize.py",
        "usercustomize.py",
        "package.json",
        "tsconfig.json",
        "karma.conf.js",
        "Makefile",
        "makefile",
        "GNUmakefile",
        "Cargo.toml",
        "rust-toolchain",
        "rust-toolchain.toml",
        "build.rs",
        "go.mod",
        "go.work",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "settings.gradle",
        "settings.gradle.kts",
        "gradle.properties",
        "mvnw",
        "gradlew",
        "Rakefile",
        ".rspec",
        "phpunit.xml",
        "phpunit.xml.dist",
        ".coveragerc",
    ];
    let name = path.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&name)
        || stands_in_for_runner(path)
        || name.ends_with(".pth")
        || path.starts_with(".cargo/")
        || path.starts_with(".mvn/")
        || ["jest.", "vitest.", "babel.", "vite.", "webpack.", "playwright.", "cypress."]
            .iter()
            .any(|start| name.starts_with(start) && name.contains("config"))
        || name.starts_with(".mocharc")
        || name.starts_with(".babelrc")
}

/// Whether a file is found in the place of what runs the tests: Python looks into the current folder first, so that a module of the
/// name of the runner, or of what it is made of, is the runner; what is in `node_modules` is the runner, or is loaded by it.
fn stands_in_for_runner(path: &str) -> bool {
    const MODULES: &[&str] =
        &["pytest", "_pytest", "pluggy", "iniconfig", "unittest", "nose", "nose2", "doctest"];
    // Names that projects use for modules of their own too; only at the top do they stand before Python's.
    const OF_PYTHON: &[&str] = &[
        "argparse",
        "ast",
        "builtins",
        "importlib",
        "inspect",
        "runpy",
        "site",
        "sys",
        "traceback",
        "warnings",
    ];
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let module = |part: &str, names: &[&str]| names.contains(&part.strip_suffix(".py").unwrap_or(part));
    path.split('/').any(|part| part == "node_modules")
        || (path.ends_with(".py")
            && (path.split('/').any(|part| module(part, MODULES))
                || (module(first, OF_PYTHON) && (rest.is_empty() || rest == "__init__.py"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_tests_by_habit() {
        for test in [
            "tests/test_a.py",
            "test_a.py",
            "shop/orders_test.py",
            "conftest.py",
            "src/__tests__/a.js",
            "src/a.test.tsx",
            "src/a.spec.ts",
            "pkg/a_test.go",
            "pkg/testdata/in.json",
            "tests/api.rs",
            "src/orders/tests.rs",
            "src/test/java/x/Orders.java",
            "src/x/OrdersTest.java",
            "src/x/OrdersIT.java",
            "spec/orders_spec.rb",
            "tests/fixtures/rates.json",
        ] {
            assert!(is_test_path(test), "{test}");
        }
        for source in [
            "shop/orders.py",
            "src/testing_tools.rs",
            "src/latest.py",
            "src/contest.js",
            "pkg/attest.go",
            "src/x/Testament.java",
            "fixtures/initial.json",
            "docs/test.md",
            "Makefile",
        ] {
            assert!(!is_test_path(source), "{source}");
        }
    }

    #[test]
    fn tells_what_runs_tests() {
        for config in
            ["conftest.py", "tests/conftest.py", "pyproject.toml", "web/jest.config.ts", ".cargo/config.toml"]
        {
            assert!(is_runner_config(config), "{config}");
        }
        for module in [
            "pytest.py",
            "pytest.toml",
            "api/_pytest/main.py",
            "unittest/__init__.py",
            "traceback.py",
            "importlib/__init__.py",
            "node_modules/.bin/jest",
            "web/node_modules/mocha/index.js",
            "rust-toolchain.toml",
        ] {
            assert!(is_runner_config(module), "{module}");
        }
        for other in [
            "config.py",
            "src/build.py",
            "jest.md",
            "shop/warnings.py",
            "docs/pytest.md",
            "shop/ast/nodes.py",
        ] {
            assert!(!is_runner_config(other), "{other}");
        }
    }
}
