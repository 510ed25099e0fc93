//! Recorded outputs of real runners, what is read from them, and what is not taken for a result.

use super::told::{End, Test};
use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/results/", $name, ".txt"))
    };
}

/// Passed, failed, skipped, and whether every test is named.
type Counts = (usize, usize, usize, bool);

fn told(output: &str, exit_code: i64) -> Told {
    match read(output, exit_code, Form::ALL) {
        Results::Told(told) => told,
        other @ (Results::Silent | Results::Broken(_)) => panic!("{other:?}\n{output}"),
    }
}

fn check(output: &str, exit_code: i64, counts: Counts, failed: &[&str]) {
    let told = told(output, exit_code);
    let mut names: Vec<&str> = told.failed().collect();
    names.sort_unstable();
    let found = (told.n_passed, told.n_failed, told.n_skipped, told.is_named);
    assert_eq!((found, names.as_slice()), (counts, failed), "{told:#?}");
}

fn ends(told: &Told, name: &str) -> Vec<End> {
    told.tests.iter().filter(|test| test.name == name).map(|test| test.end).collect()
}

fn check_broken(output: &str, exit_code: i64, why: &str) {
    assert_eq!(read(output, exit_code, Form::ALL), Results::Broken(why.to_owned()), "{output}");
}

#[test]
fn python() {
    let each = "tests/test_shop.py::Mean::test_each";
    let none = "tests/test_shop.py::Mean::test_none";
    let wrong = "tests/test_shop.py::Mean::test_wrong";
    check(fixture!("pytest"), 1, (4, 4, 2, true), &["test_plain.py::test_one[0]", each, none, wrong]);
    let pytest = told(fixture!("pytest"), 1);
    assert_eq!(ends(&pytest, "tests/test_shop.py::Mean::test_two"), [End::Passed]);
    let failed = [
        "test_each (test_shop.Mean.test_each)",
        "test_none (test_shop.Mean.test_none)",
        "test_wrong (test_shop.Mean.test_wrong)",
    ];
    check(fixture!("unittest"), 1, (1, 3, 2, true), &failed);
    let unittest = told(fixture!("unittest"), 1);
    assert_eq!(ends(&unittest, "test_two (test_shop.Mean.test_two)"), [End::Passed]);
    // Without `-v` there are counts, and names of failures.
    check(
        fixture!("../judge/python.unittest"),
        1,
        (6, 1, 0, false),
        &["test_free (tests.test_free.Free.test_free)"],
    );
    check("\nRan 0 tests in 0.000s\n\nOK\n", 0, (0, 0, 0, true), &[]);
    check("\nno tests ran in 0.00s\n", 5, (0, 0, 0, true), &[]);
    check(
        "= short test summary info =\nERROR tests/test_a.py\n!!! Interrupted: 1 error during collection !!!\n1 error in 0.07s\n",
        2,
        (0, 1, 0, true),
        &["tests/test_a.py"],
    );
    check(
        "FAILED a - b\n= short test summary info =\nFAILED a.py::t[x - y] - z - w\n1 failed in 0.07s\n",
        1,
        (0, 1, 0, true),
        &["a.py::t[x - y]"],
    );
}

#[test]
fn javascript() {
    let failed = ["cart", "cart > breaks", "fails"];
    check(fixture!("node.spec"), 1, (6, 2, 2, true), &failed);
    let spec = told(fixture!("node.spec"), 1);
    assert_eq!(ends(&spec, "outer > inner"), [End::Passed]);
    assert_eq!(ends(&spec, "exits"), []);
    check(fixture!("node.tap"), 1, (6, 3, 2, true), &failed);
    check(fixture!("../judge/node.test"), 1, (0, 1, 0, true), &["an order without a currency"]);
    let jest = "FAIL ./a.test.js\n  ● cart › is empty\n\n    x\n\nTest Suites: 1 failed, 1 passed, 2 total\nTests:       1 failed, 1 skipped, 3 passed, 5 total\n";
    check(jest, 1, (3, 1, 1, false), &["cart › is empty"]);
    let suite = "  ● Test suite failed to run\nTest Suites: 1 failed, 1 total\nTests:       0 total\n";
    check(suite, 1, (0, 1, 0, true), &["Test suite failed to run"]);
    check("\n  3 passing (5ms)\n  1 failing\n\n  1) cart:\n", 1, (3, 1, 0, false), &["cart"]);
    check(
        " FAIL  a.test.ts > cart > is empty\n      Tests  1 failed | 2 passed (3)\n",
        1,
        (2, 1, 0, false),
        &["a.test.ts > cart > is empty"],
    );
}

#[test]
fn compiled_languages() {
    let (bad, sub) = ("example.org/shop: TestSub/bad", "example.org/shop: TestSub");
    check(fixture!("go"), 2, (6, 3, 1, true), &["example.org/shop/broken", sub, bad]);
    let go = told(fixture!("go"), 2);
    // Its name comes behind what it printed.
    assert_eq!(ends(&go, "example.org/shop: TestOne"), [End::Passed]);
    check(fixture!("go.quiet"), 2, (1, 3, 0, true), &["example.org/shop/broken", sub, bad]);
    check(fixture!("../judge/go.test"), 1, (0, 1, 0, true), &["example.org/shop: TestFirstOfNone"]);
    check(fixture!("libtest"), 101, (5, 1, 1, true), &["src/lib.rs: tests::none"]);
    let libtest = told(fixture!("libtest"), 101);
    assert_eq!(ends(&libtest, "shop: src/lib.rs - mean"), [End::Passed]);
    assert_eq!(ends(&libtest, "tests/api.rs: of_one"), [End::Passed]);
    check(fixture!("libtest.quiet"), 101, (5, 1, 1, false), &[]);
    check(
        "ok 1 - a\n# note\nnot ok 2 - b\n  ---\n  ok 3\n  ...\nok 3 # skip no net\n1..3\n",
        1,
        (1, 1, 1, true),
        &["b"],
    );
    check(
        "50% tests passed, 1 tests failed out of 2\n\t  2 - orders (Failed)\n",
        8,
        (1, 1, 0, false),
        &["orders"],
    );
}

#[test]
fn jvm_ruby_php_and_dotnet() {
    check(fixture!("junit4"), 1, (2, 2, 0, false), &["splitsNothing(VoucherTest)", "wrong(VoucherTest)"]);
    check("\nOK (1 test)\n", 0, (1, 0, 0, false), &[]);
    check(fixture!("../judge/jvm.test"), 1, (0, 1, 0, true), &["org.example.shop.VoucherTest.splitsNothing"]);
    check("A > a PASSED\n\nA > b FAILED\n    x\nBUILD FAILED in 1s\n", 1, (1, 1, 0, true), &["A > b"]);
    let failed = ["TestCart#test_bad", "TestCart#test_none"];
    check(fixture!("minitest"), 1, (1, 2, 1, false), &failed);
    check(fixture!("minitest.verbose"), 1, (1, 2, 1, true), &failed);
    check(fixture!("test_unit"), 1, (1, 2, 1, false), &["test_bad(TestCart)", "test_none(TestCart)"]);
    check(
        "3 examples, 1 failure, 1 pending\n\nrspec ./spec/a_spec.rb:4 # Cart is 0\n",
        1,
        (1, 1, 1, false),
        &["Cart is 0"],
    );
    check(
        "1) CartTest::testEmpty\nDivisionByZeroError\n\nTests: 3, Assertions: 1, Errors: 1, Skipped: 1.\n",
        2,
        (1, 1, 1, false),
        &["CartTest::testEmpty"],
    );
    check("OK (3 tests, 4 assertions)\n", 0, (3, 0, 0, false), &[]);
    check(
        "  Failed Shop.CartTest.Empty [3 ms]\nFailed!  - Failed:     1, Passed:     2, Skipped:     0, Total:     3, Duration: 4 ms\n",
        1,
        (2, 1, 0, false),
        &["Shop.CartTest.Empty"],
    );
}

#[test]
fn an_early_end_is_no_result() {
    for silent in ["", "..", "=== session ===\n..F", "hello\nok\n"] {
        assert_eq!(read(silent, 0, Form::ALL), Results::Silent, "{silent}");
    }
    check_broken(fixture!("libtest.exit"), 0, "a target's tests broke off before their result");
    check_broken("TAP version 13\nok 1 - a\n1..2\n", 0, "TAP has another number of results than its plan");
    check_broken(
        "=== RUN   TestA\nok  \tshop\t0.1s\n",
        0,
        "a package of Go is said to have passed, but a test in it did not end",
    );
    check_broken("\nRan 3 tests in 0.0s\n\n", 0, "unittest broke off before its verdict");
}

#[test]
fn what_contradicts_itself_is_no_result() {
    let two = "= short test summary info =\nPASSED a.py::a\nPASSED a.py::b\n1 passed in 0.1s\n";
    check_broken(two, 0, "it names more tests than its summary counts");
    let failed = "= short test summary info =\nFAILED a.py::a - x\n1 failed in 0.1s\n";
    check_broken(failed, 0, "tests failed, but the command ended with code 0");
    check_broken("1 passed in 0.1s\n", 3, "no test failed, but the command ended with code 3");
    let forged = fixture!("node.spec").replacen("plain\n", "✔ forged (1ms)\n", 1);
    check_broken(&forged, 1, "it names more tests than its summary counts");
    let forged = fixture!("unittest").replacen("Ran 6", "test_x (t.T.test_x) ... ok\nRan 6", 1);
    assert!(!told(&forged, 1).tests.contains(&Test::new("test_x (t.T.test_x)", End::Passed)));
}
