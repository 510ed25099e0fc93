//! Exit codes that say less than the tests: early ends, tests that skip themselves, red bases, commands that tell nothing.

use homeostat::agent::scripted::script::Turn;
use homeostat::model::attempt::{Attempt, Outcome};

use super::given::{Given, RECORD, SHOP, model};
use super::play::{TEST, always, claim_fixed, edit_source, read_source, right_fix, write_test};

const RIGHT: &str = "    return sum(values) / len(values) if values else 0";

/// Plays a change and a test against these files; the last attempt.
async fn last(files: &[(&str, &str)], turns: Vec<Turn>) -> Attempt {
    let mut given = Given::new(files).await;
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    given.attempts().await.into_iter().last().expect("an attempt was made")
}

fn turns(test: &str, change: &str) -> Vec<Turn> {
    let claim = claim_fixed("true", &["tests/test_empty.py"]);
    vec![read_source(), write_test(test), edit_source(change), claim]
}

fn check(attempt: &Attempt, outcome: Outcome, reason: &str) {
    assert_eq!(attempt.outcome, Some(outcome), "{attempt:#?}");
    assert!(attempt.report.contains(reason), "{}", attempt.report);
    let holds = attempt.validation.as_ref().is_some_and(|it| it.holds());
    assert!(holds || outcome != Outcome::Fixed, "{attempt:#?}");
}

/// The package, with more files.
fn shop_and<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SHOP.iter().filter(|(path, _)| !more.iter().any(|it| it.0 == *path)).chain(more).copied().collect()
}

#[tokio::test]
async fn a_change_that_ends_the_program_is_no_fix() {
    // Written so that no word gives it away.
    let change = "    import os\n    getattr(os, '_e' + 'xit')(0)";
    let attempt = last(SHOP, turns(TEST, change)).await;
    check(&attempt, Outcome::GaveUp, "the tests end without telling their results");
}

#[tokio::test]
async fn a_test_that_skips_itself_has_not_passed() {
    let test = "import importlib\nimport unittest\n\nfrom shop import stats\n\n\ndef test_mean_of_nothing():\n    if hasattr(stats, 'FIXED'):\n        raise unittest.SkipTest('fixed')\n    stats.mean([])\n";
    let change = "    return sum(values) / len(values)\n\n\nFIXED = True";
    let attempt = last(SHOP, turns(test, change)).await;
    check(&attempt, Outcome::GaveUp, "no test is run that passes");
}

#[tokio::test]
async fn a_base_that_is_red_hides_no_regression() {
    let red = shop_and(&[("tests/test_red.py", "def test_never():\n    assert 1 == 2\n")]);
    let attempt = last(&red, turns(TEST, "    return 0")).await;
    check(&attempt, Outcome::GaveUp, "tests fail that passed before it: ");
    let named =
        attempt.validation.as_ref().is_some_and(|it| it.checks[0].worse[0].contains("tests/test_stats.py::"));
    assert!(named, "{attempt:#?}");
    // And it is no obstacle to a right one.
    check(&last(&red, right_fix()).await, Outcome::Fixed, "Review the proposal");
}

#[tokio::test]
async fn a_command_that_tells_nothing_is_judged_by_its_code() {
    let manifest = "[test]\ncommand = \"sh tests/all.sh\"\n";
    let script = "set -e\nfor it in tests/test_*.py; do PYTHONPATH=. python3 \"$it\"; done\n";
    let old = "from shop.stats import mean\n\nassert mean([1, 2, 6]) == 3\n";
    let files =
        shop_and(&[(".homeostat.toml", manifest), ("tests/all.sh", script), ("tests/test_stats.py", old)]);
    let test = "from shop.stats import mean\n\nassert mean([]) == 0\n";
    let attempt = last(&files, turns(test, RIGHT)).await;
    check(&attempt, Outcome::Fixed, "Review the proposal");
    assert!(attempt.validation.is_some_and(|it| it.proof.is_by_exit_code()));
    let attempt = last(&files, turns(test, "    return 0")).await;
    check(&attempt, Outcome::GaveUp, "fails with the change too");
    let attempt = last(&files, turns(test, "    import os; os._exit(0)")).await;
    check(&attempt, Outcome::NeedsPerson, "tests.ended_early");
}

#[tokio::test]
async fn results_are_read_through_make() {
    let files = shop_and(&[
        (".homeostat.toml", "[test]\ncommand = \"make check\"\n"),
        ("Makefile", "check:\n\tpython3 -m unittest discover -s tests -t .\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_stats.py",
            "import unittest\nfrom shop.stats import mean\n\n\nclass Mean(unittest.TestCase):\n    def test_mean(self):\n        self.assertEqual(mean([1, 2, 6]), 3)\n",
        ),
    ]);
    let test = "import unittest\nfrom shop.stats import mean\n\n\nclass Empty(unittest.TestCase):\n    def test_empty(self):\n        self.assertEqual(mean([]), 0)\n";
    let attempt = last(&files, turns(test, RIGHT)).await;
    check(&attempt, Outcome::Fixed, "Review the proposal");
    let tests = attempt.validation.and_then(|it| it.checks[0].patched.tests.clone());
    assert_eq!(tests.map(|it| (it.n_passed, it.n_failed)), Some((2, 0)));
    let attempt = last(&files, turns(test, "    import os\n    getattr(os, '_e' + 'xit')(0)")).await;
    check(&attempt, Outcome::GaveUp, "the tests end without telling their results");
}
