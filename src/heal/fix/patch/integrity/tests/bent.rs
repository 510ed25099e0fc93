//! Existing tests that are changed: what they lose is told apart.

use super::*;

#[test]
fn existing_assertions_that_are_bent_are_told_apart() {
    let removed = "tests.assertion_removed";
    let loosened = "tests.assertion_loosened";
    let rewritten = "tests.expected_rewritten";
    let cases = [
        ("t/test_a.py", "    assert mean([1, 2, 6]) == 3", "    assert mean([1, 2, 6]) == 4", rewritten),
        ("t/test_a.py", "    assert mean([1, 2, 6]) == 3", "    assert mean([1, 2, 6])", loosened),
        ("t/test_a.py", "    assert mean([1, 2, 6]) == 3", "    mean([1, 2, 6])", removed),
        ("t/test_a.py", "    assert mean([1, 2, 6]) == 3", "    pass", removed),
        ("t/test_a.py", "    assert mean([1, 2, 6]) == 3", "    assert mean([1, 2, 6]) in (3, 4)", loosened),
        ("t/test_a.py", "    assert mean(x) == 3", "    assert mean(x) is not None", loosened),
        (
            "t/test_a.py",
            "        self.assertEqual(total(x), 3)",
            "        self.assertTrue(total(x))",
            loosened,
        ),
        (
            "t/test_a.py",
            "        self.assertEqual(total(x), 3)",
            "        self.assertEqual(total(x), 0)",
            rewritten,
        ),
        (
            "t/test_a.py",
            "    with pytest.raises(ValueError):",
            "    with pytest.raises(Exception):",
            loosened,
        ),
        ("a.test.js", "  expect(total(x)).toBe(3);", "  expect(total(x)).toBeDefined();", loosened),
        ("a.test.js", "  expect(total(x)).toEqual([3]);", "  expect(total(x)).toEqual([4]);", rewritten),
        ("a.test.js", "  assert.strictEqual(total(x), 3);", "  assert.ok(total(x));", loosened),
        ("a_test.go", "\tif got := Total(x); got != 3 {", "\tif got := Total(x); got != 4 {", rewritten),
        ("a_test.go", "\tassert.Equal(t, 3, Total(x))", "\tassert.NotNil(t, Total(x))", loosened),
        ("tests/a.rs", "    assert_eq!(total(&x), 3);", "    assert!(total(&x) > 0);", loosened),
        ("tests/a.rs", "    assert_eq!(total(&x), 3);", "    assert_eq!(total(&x), 0);", rewritten),
        (
            "src/test/java/ATest.java",
            "        assertEquals(3, total(x));",
            "        assertTrue(total(x) > 0);",
            loosened,
        ),
        (
            "src/test/java/ATest.java",
            "        assertEquals(3, total(x));",
            "        assertEquals(4, total(x));",
            rewritten,
        ),
        ("ATest.kt", "        assertEquals(3, total(x))", "        assertNotNull(total(x))", loosened),
        ("test/a_test.rb", "    assert_equal 3, total(x)", "    assert total(x)", loosened),
        ("spec/a_spec.rb", "    expect(total(x)).to eq(3)", "    expect(total(x)).to eq(4)", rewritten),
        (
            "tests/ATest.php",
            "        $this->assertSame(3, total($x));",
            "        $this->assertNotNull(total($x));",
            loosened,
        ),
        (
            "tests/ATest.php",
            "        $this->assertSame(3, total($x));",
            "        $this->assertSame(4, total($x));",
            rewritten,
        ),
        ("ATests.cs", "        Assert.Equal(3, Total(x));", "        Assert.NotNull(Total(x));", loosened),
        ("ATests.cs", "        Assert.Equal(3, Total(x));", "        Assert.Equal(4, Total(x));", rewritten),
        ("tests/a.bats", "  [ \"$output\" = 3 ]", "  [ \"$output\" = 4 ]", rewritten),
    ];
    for (path, before, after, expected) in cases {
        check_change(
            path,
            &format!("head\n{before}\ntail\n"),
            &format!("head\n{after}\ntail\n"),
            &[expected],
        );
        check_change(path, &format!("head\n{before}\ntail\n"), "head\ntail\n", &[removed]);
    }
}

#[test]
fn existing_tests_that_go_are_told() {
    let file = "tests.file_removed";
    check(&[("tests/test_a.py", Some("def test_a():\n    assert a() == 1\n"), None)], &[file]);
    check(&[("src/a.py", Some("x\n"), None)], &[]);
    check(&[("tests/data/a.json", Some("{}\n"), None)], &[file]);
    check_change("tests/data/a.json", "1\n2\n", "1\n3\n", &["tests.fixture_changed"]);
    check_change("src/__snapshots__/a.snap", "exports = 1\n", "exports = 2\n", &["tests.fixture_changed"]);
    let gone = ["tests.assertion_removed", "tests.removed"];
    check_change(
        "test_a.py",
        "def test_a():\n    assert a() == 1\n\n\ndef test_b():\n    assert b() == 1\n",
        "def test_a():\n    assert a() == 1\n",
        &gone,
    );
    check_change(
        "a.test.js",
        "it('adds', () => {\n  expect(a()).toBe(1);\n});\n",
        "\n",
        &["tests.assertion_removed", "tests.removed"],
    );
    check_change("a_test.go", "func TestA(t *testing.T) {\n}\nx\n", "x\n", &["tests.removed"]);
    check_change("test_a.py", "def test_a():\n    go()\n", "def check_a():\n    go()\n", &["tests.removed"]);
    check_change(
        "test_a.py",
        "x = 1\n\n\ndef test_a():\n    assert a(x) == 1\n",
        "x = 2\n\n\ndef test_a():\n    assert a(x) == 1\n",
        &["tests.changed"],
    );
    let test = "def test_a():\n    assert a() == 1\n";
    check_change("test_a.py", test, &format!("{test}\n\ndef test_a():\n    pass\n"), &["tests.shadowed"]);
    let inline = "fn a() -> u8 {\n    1\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn of_a() {\n        assert_eq!(super::a(), 1);\n    }\n}\n";
    check_change(
        "src/a.rs",
        inline,
        &inline.replace("a(), 1", "a(), 2").replace("    1\n", "    2\n"),
        &["tests.expected_rewritten"],
    );
    check_change("src/a.rs", inline, &inline.replace("    #[test]\n", ""), &["tests.removed"]);
    check_change("src/a.rs", inline, &inline.replace("    1\n}", "    0 + 1\n}"), &[]);
}

#[test]
fn places_name_the_line() {
    let files = [(
        "tests/test_a.py",
        Some("one\ntwo\n    assert a() == 1\n"),
        Some("one\ntwo\n    assert a() == 2\n"),
    )];
    let places: Vec<String> = found(&files, RECORD, true).into_iter().map(|it| it.place).collect();
    assert_eq!(places, ["tests/test_a.py:3"]);
    let files = [("a.py", Some("one\ntwo\n"), Some("one\nos._exit(0)\ntwo\n"))];
    let shown: Vec<String> = found(&files, RECORD, true).iter().map(Finding::shown).collect();
    assert_eq!(
        shown,
        [
            "`a.py:2`: it may end the program, and a run that ends early looks like one that passes (tests.ended_early)"
        ]
    );
}
