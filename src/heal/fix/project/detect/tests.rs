//! Lists of files and the projects they are.

use super::*;
use crate::heal::fix::project::folders;

const NODE: &str = "node --test --test-reporter=spec";

/// A repository of these files; a file may have a content.
fn listing(files: &[(&str, &str)]) -> Listing {
    Listing {
        paths: files.iter().map(|(path, _)| (*path).to_owned()).collect(),
        texts: files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect(),
    }
}

fn detected(listing: &Listing, folder: &str, runtime: Runtime) -> Result<Option<Project>, ManifestError> {
    detect(listing, &folders(&listing.paths, folder, runtime, &[]), runtime)
}

fn check(files: &[(&str, &str)], folder: &str, runtime: Runtime, expected: Option<(Language, &str, &str)>) {
    let project = detected(&listing(files), folder, runtime).unwrap();
    let found = project.as_ref().map(|it| (it.language, it.whole(), it.folder.as_str()));
    let expected = expected.map(|(language, command, folder)| (language, command.to_owned(), folder));
    assert_eq!(found, expected, "{files:?}");
}

#[test]
fn python() {
    let python = Language::Python;
    let message = Runtime::Message;
    check(&[("app.py", ""), ("test_app.py", "")], "", message, Some((python, "python3 -m unittest -v", "")));
    let packaged = [("shop/app.py", ""), ("tests/__init__.py", ""), ("tests/test_app.py", "")];
    check(&packaged, "", message, Some((python, "python3 -m unittest -v", "")));
    let own = "import unittest\n\n\nclass TestApp(unittest.TestCase):\n    def test_f(self):\n        pass\n";
    let plain = [("app.py", ""), ("tests/test_app.py", own)];
    check(&plain, "", message, Some((python, "python3 -m unittest discover -v -s tests", "")));
    for configured in [
        ("test_app.py", "from app import f\n\n\ndef test_f():\n    assert f() == 1\n"),
        ("tests/test_app.py", "class TestApp:\n    def test_f(self):\n        pass\n"),
        ("pytest.ini", ""),
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("setup.cfg", "[tool:pytest]\n"),
        ("tests/conftest.py", ""),
    ] {
        check(&[("app.py", ""), configured], "", message, Some((python, "python3 -m pytest -q", "")));
    }
}

#[test]
fn new_tests_are_run_by_what_finds_them() {
    #[track_caller]
    fn check(files: &[(&str, &str)], test: &str, expected: &str) {
        let project = detected(&listing(files), "", Runtime::Python).unwrap().unwrap();
        assert_eq!(project.only(&["tests/test_new.py".to_owned()], Style::of([test].into_iter())), expected);
    }
    let function = "def test_f():\n    assert f() == 1\n";
    let case =
        "from unittest import TestCase\n\n\nclass TestNew(TestCase):\n    def test_f(self):\n        pass\n";
    let script = "from app import f\n\nassert f() == 1\n";
    let pytest = "python3 -m pytest -q tests/test_new.py";
    let unittest = "python3 -m unittest -v tests/test_new.py";
    let python = "PYTHONPATH=. python3 tests/test_new.py";
    let by_make = [("app.py", ""), ("check.py", ""), ("Makefile", "test:\n\tpython3 check.py\n")];
    for project in [&[("app.py", "")][..], &by_make] {
        check(project, function, pytest);
        check(project, case, unittest);
        check(project, script, python);
    }
    check(&[("app.py", ""), ("pytest.ini", "")], script, pytest);
    let project = detected(&listing(&by_make), "", Runtime::Python).unwrap().unwrap();
    assert_eq!(project.whole(), "make test");
    assert_eq!(project.only(&["a.c".to_owned()], Style::Own), "make test");
}

#[test]
fn node() {
    let node = Language::Node;
    let with = |script: &'static str, expected: &'static str| {
        let package = format!(r#"{{"scripts": {{"test": "{script}"}}}}"#);
        check(&[("package.json", &package)], "", Runtime::Message, Some((node, expected, "")));
    };
    with("node --test", "npm test");
    with("jest --ci", "npm test");
    with("echo \\\"Error: no test specified\\\" && exit 1", NODE);
    check(&[("package.json", "{}")], "", Runtime::Message, Some((node, NODE, "")));
    check(&[("package.json", "not json")], "", Runtime::Message, Some((node, NODE, "")));
    check(&[("a.test.mjs", "")], "", Runtime::Message, Some((node, NODE, "")));
    let jest = [("package.json", r#"{"scripts": {"test": "tsc && jest"}}"#)];
    let project = detected(&listing(&jest), "", Runtime::Node).unwrap().unwrap();
    assert_eq!(project.runner, Runner::NodeModule { program: "jest" });
    assert_eq!(
        project.only(&["src/a.test.ts".to_owned()], Style::Own),
        "node_modules/.bin/jest src/a.test.ts"
    );
}

#[test]
fn compiled_languages_and_make() {
    let any = Runtime::Message;
    let cargo = "cargo test --offline --no-fail-fast";
    check(&[("Cargo.toml", ""), ("src/lib.rs", "")], "", any, Some((Language::Rust, cargo, "")));
    check(&[("go.mod", ""), ("main.go", "")], "", any, Some((Language::Go, "go test ./...", "")));
    check(&[("pom.xml", "")], "", any, Some((Language::Jvm, "mvn -o -B test", "")));
    let gradle = [("build.gradle.kts", ""), ("gradlew", "")];
    let project = detect(&listing(&gradle), &[String::new()], any).unwrap().unwrap();
    assert_eq!(project.runner, Runner::Gradle { wrapper: true });
    check(&[("Makefile", "build test: dep\n\tcc\n")], "", any, Some((Language::Other, "make test", "")));
    for no_rule in ["test := 1\n", "\ttest: x\n", "#test: x\n", "tests: x\n"] {
        check(&[("Makefile", no_rule)], "", any, None);
    }
    check(&[("README.md", "")], "", any, None);
    check(&[("app.sh", ""), ("tests/run.sh", "")], "", any, Some((Language::Other, "sh tests/run.sh", "")));
    check(&[("test.js", "")], "", any, Some((Language::Node, NODE, "")));
}

#[test]
fn ruby_php_and_dotnet() {
    let any = Runtime::Message;
    let whole = |runner: Runner| runner.whole();
    let minitest = whole(Runner::Minitest { rake: false, bundle: false });
    check(&[("cart.rb", ""), ("test/cart_test.rb", "")], "", any, Some((Language::Ruby, &minitest, "")));
    let rake = [("Rakefile", "Rake::TestTask.new\n"), ("lib/cart.rb", ""), ("Gemfile.lock", "")];
    check(&rake, "", any, Some((Language::Ruby, "bundle exec rake test", "")));
    let specs = [("Gemfile", ""), ("spec/cart_spec.rb", "")];
    check(&specs, "", any, Some((Language::Ruby, "rspec --no-color", "")));
    let phpunit = whole(Runner::Phpunit);
    check(&[("composer.json", "{}")], "", any, Some((Language::Php, &phpunit, "")));
    check(&[("src/Cart.php", ""), ("tests/CartTest.php", "")], "", any, Some((Language::Php, &phpunit, "")));
    check(&[("Shop.sln", "")], "", any, Some((Language::Dotnet, "dotnet test --nologo", "")));
}

#[test]
fn make_builds_java_and_what_has_no_runner_of_its_own() {
    let makefile = ("Makefile", "test:\n\tjavac Cart.java\n");
    let files = [makefile, ("Cart.java", ""), ("tools/gen.py", "")];
    check(&files, "", Runtime::Jvm, Some((Language::Jvm, "make test", "")));
    check(&files, "", Runtime::Message, Some((Language::Jvm, "make test", "")));
    let files = [makefile, ("cart.c", ""), ("tools/gen.py", "")];
    check(&files, "", Runtime::Cpp, Some((Language::Other, "make test", "")));
}

#[test]
fn the_language_of_the_error_and_the_folder_of_the_service_come_first() {
    let files = [("package.json", "{}"), ("go.mod", ""), ("worker/go.mod", ""), ("tools/gen.py", "")];
    check(&files, "", Runtime::Node, Some((Language::Node, NODE, "")));
    check(&files, "", Runtime::Go, Some((Language::Go, "go test ./...", "")));
    check(&files, "worker", Runtime::Go, Some((Language::Go, "go test ./...", "worker")));
    check(&files, "/docs/", Runtime::Go, Some((Language::Go, "go test ./...", "")));
    let project = detected(&listing(&files), "worker", Runtime::Go).unwrap().unwrap();
    let tests = ["worker/x/y_test.go".to_owned(), "other/z_test.go".to_owned()];
    assert_eq!(project.only(&tests, Style::Own), "go test -count=1 ./x");
}

#[test]
fn the_repository_has_the_last_word() {
    let manifest =
        "hints = 'Mind the gap.'\n[test]\ncommand = 'make check'\nfiles = 'pytest {files}'\nimage = 'x:1'\n";
    let files = [(PATH, manifest), ("app.py", "")];
    let project = detected(&listing(&files), "", Runtime::Message).unwrap().unwrap();
    assert_eq!(project.whole(), "make check");
    assert_eq!(project.only(&["tests/test_a.py".to_owned()], Style::Own), "pytest tests/test_a.py");
    assert_eq!((project.language, project.image.as_deref()), (Language::Python, Some("x:1")));
    assert_eq!(project.hints.as_deref(), Some("Mind the gap."));
    for (wrong, expected) in [
        ("[test]\ncommand = ' '\n", "`test.command` is empty"),
        ("[test]\nfiles = 'x {files}'\n", "`test.files` is set without `test.command`"),
        ("[test]\ncommand = 'x'\nfiles = 'y'\n", "`test.files` does not contain `{files}`"),
        ("[test\n", "unclosed table, expected `]`"),
    ] {
        let error = detected(&listing(&[(PATH, wrong)]), "", Runtime::Message).unwrap_err();
        assert_eq!(error.0, expected, "{wrong}");
    }
}
