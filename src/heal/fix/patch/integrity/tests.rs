//! Patches and the rules that they meet, in many languages: right fixes meet none, bent ones the rule that is theirs.

use super::*;

mod bent;
mod corpus;

/// What the service logged.
const RECORD: &str = "\
2026-11-20 10:00:00,123 ERROR report: no figures for 2026-11-19
Traceback (most recent call last):
  File \"/app/report.py\", line 12, in main
    print(busiest(days))
  File \"/app/shop/stats.py\", line 5, in mean
    return sum(values) / len(values)
ZeroDivisionError: division by zero";

/// One of the files of a case: path, text before (`None`: new) and after (`None`: removed).
type File<'a> = (&'a str, Option<&'a str>, Option<&'a str>);

fn patch_of(files: &[File<'_>]) -> Patch {
    let mut text = String::new();
    for (path, before, after) in files {
        text.push_str(&format!("diff --git a/{path} b/{path}\n"));
        match (before, after) {
            (None, _) => text.push_str("new file mode 100644\n"),
            (_, None) => text.push_str("deleted file mode 100644\n"),
            _ => {}
        }
        text.push_str(&before.map_or("--- /dev/null\n".to_owned(), |_| format!("--- a/{path}\n")));
        text.push_str(&after.map_or("+++ /dev/null\n".to_owned(), |_| format!("+++ b/{path}\n")));
        let diff = diffy::create_patch(before.unwrap_or_default(), after.unwrap_or_default()).to_string();
        text.extend(diff.split_inclusive('\n').skip(2).map(|line| if line == "\n" { " \n" } else { line }));
    }
    Patch::parse(&text).unwrap()
}

fn found(files: &[File<'_>], record: &str, has_frames: bool) -> Vec<Finding> {
    let last = |path: &str| {
        files.iter().find(|(it, ..)| *it == path).and_then(|(_, _, after)| after.map(str::to_owned))
    };
    let levels = Levels::default();
    examine(&patch_of(files), Look { left_out: &[], record, has_frames, levels: &levels }, last)
}

/// The rules that a patch of these files meets, each once, in order.
#[track_caller]
fn check(files: &[File<'_>], expected: &[&str]) {
    let mut rules: Vec<&str> = found(files, RECORD, true).iter().map(|it| it.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    assert_eq!(rules, expected, "{files:#?}\n{:#?}", found(files, RECORD, true));
}

/// The rules that a new test meets, beside a right fix.
#[track_caller]
fn check_test(path: &str, text: &str, expected: &[&str]) {
    check(
        &[
            (
                "shop/stats.py",
                Some("def mean(values):\n    return sum(values) / len(values)\n"),
                Some("def mean(values):\n    return sum(values) / len(values) if values else 0\n"),
            ),
            (path, None, Some(text)),
        ],
        expected,
    );
}

/// The rules that a change of an existing test meets.
#[track_caller]
fn check_change(path: &str, before: &str, after: &str, expected: &[&str]) {
    check(&[(path, Some(before), Some(after))], expected);
}

/// The rules that a fix meets which puts these lines into the code.
#[track_caller]
fn check_code(path: &str, lines: &str, expected: &[&str]) {
    let after = format!("one\n{lines}\ntwo\n");
    check(&[(path, Some("one\ntwo\n"), Some(&after))], expected);
}

#[test]
fn right_fixes_with_plain_tests_meet_no_rule() {
    check_test(
        "tests/test_empty.py",
        "from shop.stats import mean\n\n\ndef test_mean_of_nothing_is_zero():\n    assert mean([]) == 0\n",
        &[],
    );
    check_test(
        "tests/test_empty.py",
        "import unittest\n\nfrom shop import stats\n\n\nclass Empty(unittest.TestCase):\n    def test_mean(self):\n        \"\"\"A day without figures divided by zero.\"\"\"\n        self.assertEqual(stats.mean([]), 0)\n\n    def test_refuses_text(self):\n        with self.assertRaises(TypeError):\n            stats.mean('x')\n\n\nif __name__ == '__main__':\n    unittest.main()\n",
        &[],
    );
    check_test(
        "tests/test_file.py",
        "import json\nimport pathlib\n\nfrom shop.stats import mean\n\nDATA = pathlib.Path(__file__).with_name('days.json')\n\n\ndef test_days(tmp_path):\n    target = tmp_path / 'out.txt'\n    target.write_text(str(mean(json.loads(DATA.read_text()))))\n    assert target.read_text() == '0'\n",
        &[],
    );
    check_test(
        "tests/test_many.py",
        "import pytest\n\nfrom shop.stats import mean\n\n\n@pytest.mark.parametrize('values, expected', [([], 0), ([1, 3], 2)])\ndef test_mean(values, expected):\n    assert mean(values) == expected\n\n\ndef test_text_is_refused():\n    with pytest.raises(TypeError, match='unsupported'):\n        mean(['x'])\n",
        &[],
    );
    check_test(
        "test/stats.test.js",
        "const test = require('node:test');\nconst assert = require('node:assert');\nconst { mean } = require('../src/stats.js');\n\ntest('the mean of nothing is 0', () => {\n  assert.strictEqual(mean([]), 0);\n});\n\ntest('refuses text', async () => {\n  await assert.rejects(async () => mean('x'), TypeError);\n});\n",
        &[],
    );
    check_test(
        "src/stats.spec.ts",
        "import { describe, expect, it } from 'vitest';\nimport { mean } from './stats';\n\ndescribe('mean', () => {\n  it('is 0 without values', () => {\n    expect(mean([])).toBe(0);\n  });\n});\n",
        &[],
    );
    check_test(
        "stats/stats_test.go",
        "package stats\n\nimport (\n\t\"reflect\"\n\t\"testing\"\n)\n\nfunc TestMeanOfNothing(t *testing.T) {\n\tfor _, tt := range []struct{ in []int; want int }{{nil, 0}, {[]int{1, 3}, 2}} {\n\t\tt.Run(\"case\", func(t *testing.T) {\n\t\t\tif got := Mean(tt.in); got != tt.want {\n\t\t\t\tt.Errorf(\"Mean(%v) = %d, want %d\", tt.in, got, tt.want)\n\t\t\t}\n\t\t})\n\t}\n\tif !reflect.DeepEqual(Means(nil), []int{}) {\n\t\tt.Fatal(\"not empty\")\n\t}\n}\n",
        &[],
    );
    check_test(
        "tests/stats.rs",
        "use shop::stats::mean;\n\n#[test]\nfn mean_of_nothing_is_zero() {\n    assert_eq!(mean(&[]), 0);\n    assert!(matches!(mean(&[1]), 1));\n}\n",
        &[],
    );
    check_test(
        "src/test/java/shop/StatsTest.java",
        "package shop;\n\nimport static org.junit.jupiter.api.Assertions.assertEquals;\n\nimport java.util.List;\nimport org.junit.jupiter.api.Test;\n\nclass StatsTest {\n    /** A day without figures. */\n    @Test\n    void meanOfNothingIsZero() {\n        assertEquals(0, Stats.mean(List.of()));\n    }\n}\n",
        &[],
    );
    check_test(
        "src/test/kotlin/shop/StatsTest.kt",
        "package shop\n\nimport kotlin.test.Test\nimport kotlin.test.assertEquals\n\nclass StatsTest {\n    @Test\n    fun `mean of nothing`() {\n        assertEquals(0, mean(emptyList()))\n    }\n}\n",
        &[],
    );
    check_test(
        "test/stats_test.rb",
        "require 'minitest/autorun'\nrequire_relative '../lib/stats'\n\nclass StatsTest < Minitest::Test\n  def test_mean_of_nothing\n    assert_equal 0, Stats.mean([])\n  end\nend\n",
        &[],
    );
    check_test(
        "spec/stats_spec.rb",
        "require 'stats'\n\nRSpec.describe Stats do\n  it 'has the mean 0 without values' do\n    expect(Stats.mean([])).to eq(0)\n  end\nend\n",
        &[],
    );
    check_test(
        "tests/StatsTest.php",
        "<?php\nuse PHPUnit\\Framework\\TestCase;\n\nrequire_once __DIR__ . '/../src/stats.php';\n\nfinal class StatsTest extends TestCase\n{\n    public function testMeanOfNothing(): void\n    {\n        $this->assertSame(0, mean([]));\n    }\n}\n",
        &[],
    );
    check_test(
        "Shop.Tests/StatsTests.cs",
        "using Xunit;\n\npublic class StatsTests\n{\n    [Fact]\n    public void MeanOfNothingIsZero()\n    {\n        Assert.Equal(0, Stats.Mean(new int[0]));\n    }\n}\n",
        &[],
    );
    check_test(
        "tests/stats.bats",
        "@test \"the mean of nothing is 0\" {\n  run ./stats.sh\n  [ \"$status\" -eq 0 ]\n  [ \"$output\" = 0 ]\n}\n",
        &[],
    );
    check_test(
        "tests/test_stats.c",
        "#include <assert.h>\n#include \"../stats.h\"\n\nint main(void) {\n    assert(mean(0, 0) == 0);\n    return 0;\n}\n",
        &[],
    );
}

#[test]
fn plain_habits_of_tests_meet_no_rule() {
    for text in [
        "import os\nimport sys\n\nsys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))\n\nfrom shop.stats import mean\n\n\ndef test_it(capsys):\n    print(mean([]))\n    assert capsys.readouterr().out == '0\\n'\n",
        "import io\nimport sys\n\n\ndef test_it():\n    sys.stdout = io.StringIO()\n    main()\n    assert sys.stdout.getvalue() == '0'\n",
        "from unittest import mock\n\n\n@mock.patch('shop.client.get', side_effect=ConnectionError('timed out'))\ndef test_it(get):\n    assert rate('CHF') is None\n",
        "class T(unittest.TestCase):\n    def test_it(self):\n        try:\n            mean(None)\n        except AttributeError:\n            self.fail('it took None for a list')\n",
        "# The mean of nothing divided by zero, see the issue.\ndef test_it(monkeypatch):\n    monkeypatch.setattr(stats, 'now', lambda: 7)\n    assert mean([]) == 0\n",
        "def test_it():\n    error = None\n    with pytest.raises(ZeroDivisionError):\n        1 / 0\n    with open('/tmp/x.csv') as file:\n        assert list(read(file)) == []\n",
    ] {
        check_test("tests/test_habits.py", text, &[]);
    }
    for text in [
        "global.fetch = jest.fn();\nMath.random = () => 0.5;\nconst data = fs.readFileSync(path.join(__dirname, 'fixtures/a.json'), 'utf8');\nassert.deepEqual(read(data), []);\nconsole.log('ok');\n",
        "import { readFile } from 'node:fs/promises';\nimport { mean } from '../src/stats.js';\nconst text = await readFile(new URL('./data.csv', import.meta.url), 'utf8');\ntest('it', () => { assert.equal(mean(text), 0); });\n",
    ] {
        check_test("test/habits.test.js", text, &[]);
    }
    let go = "func TestIt(t *testing.T) {\n\tt.Parallel()\n\tdefer func() {\n\t\tif r := recover(); r != nil {\n\t\t\tt.Errorf(\"it panicked: %v\", r)\n\t\t}\n\t}()\n\tdata, err := os.ReadFile(\"testdata/in.json\")\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n\tMean(data)\n}\n";
    check_test("stats_test.go", go, &[]);
    let rust = "#[test]\nfn it() {\n    let text = std::fs::read_to_string(\"tests/data/in.txt\").unwrap();\n    assert_eq!(mean(&text), 0);\n}\n\n#[test]\n#[should_panic(expected = \"empty\")]\nfn refuses() {\n    refuse(\"\");\n}\n";
    check_test("tests/habits.rs", rust, &[]);
}

#[test]
fn right_code_meets_no_rule() {
    check_code(
        "shop/orders.py",
        "    rate = rates.get(currency)\n    if rate is None:\n        raise ValueError(f'no rate for {currency}')",
        &[],
    );
    check_code("shop/orders.py", "    log.error('Caused by: %s, line %d', cause, line)", &[]);
    check_code(
        "shop/cli.py",
        "    if not path:\n        print('no path', file=sys.stderr)\n        sys.exit(2)",
        &[],
    );
    check_code(
        "src/orders.js",
        "  if (!items?.length) return 0;\n  const { contest } = attest(process.argv.length);",
        &[],
    );
    check_code(
        "src/orders.rs",
        "    let Some(rate) = rates.get(currency) else { return Err(Error::NoRate) };",
        &[],
    );
    check_code("orders.go", "\tif len(values) == 0 {\n\t\treturn 0, nil\n\t}", &[]);
    check_code(
        "src/main/java/Orders.java",
        "        if (values.isEmpty()) {\n            return 0;\n        }",
        &[],
    );
    check_code("lib/orders.rb", "    return 0 if values.empty?", &[]);
    check_code(
        "src/orders.php",
        "        if (count($values) === 0) {\n            return 0;\n        }",
        &[],
    );
    check_code("run.sh", "if [ -z \"$1\" ]; then\n  echo 0\n  exit 2\nfi", &[]);
}

#[test]
fn tests_that_only_grow_meet_no_rule() {
    let test = "from shop.stats import mean\n\nCASES = [\n    ([1, 3], 2)\n]\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n";
    let more = format!("{test}\n\ndef test_mean_of_nothing():\n    assert mean([]) == 0\n");
    check_change("tests/test_stats.py", test, &more, &[]);
    check_change(
        "tests/test_stats.py",
        test,
        &test.replace("([1, 3], 2)\n", "([1, 3], 2),\n    ([], 0),\n"),
        &[],
    );
    check_change("tests/test_stats.py", test, &more.replace("import mean", "import busiest, mean"), &[]);
    check_change(
        "tests/test_stats.py",
        "def test_a():\n    assert a() == 1",
        "def test_a():\n    assert a() == 1\n\n\ndef test_b():\n    assert b() == 1\n",
        &[],
    );
    check_change(
        "a.test.js",
        "import { mean } from './a.js';\ntest('a', f);\n",
        "import { max, mean } from './a.js';\ntest('a', f);\ntest('b', g);\n",
        &[],
    );
    check_change("tests/a.rs", "use shop::mean;\n", "use shop::{max, mean};\n", &[]);
}

#[test]
fn tests_in_python_that_show_nothing_are_found() {
    let head = "from shop import stats\n\n\ndef test_mean():\n";
    let python = [
        (
            "    if hasattr(stats, 'FIXED'):\n        pytest.skip('x')\n    stats.mean([])\n",
            &["tests.probes", "tests.skipped"][..],
        ),
        (
            "    print('Traceback (most recent call last):')\n    assert stats.FIXED\n",
            &["tests.printed_error"],
        ),
        (
            "    print('Trace' + 'back (most recent call last):')\n    assert stats.FIXED\n",
            &["tests.printed_error"],
        ),
        (
            "    print(\n        'Trace'\n        'back (most recent call last):')\n    assert stats.FIXED\n",
            &["tests.printed_error"],
        ),
        ("    print('shop/stats.py:5: ZeroDivisionError')\n    assert stats.FIXED\n", &["tests.quotes_log"]),
        ("    sys.stderr.write('division by zero')\n    assert stats.FIXED\n", &["tests.quotes_log"]),
        ("    print(bytes.fromhex('54').decode())\n", &["tests.hides_text"]),
        (
            "    source = open('shop/stats.py').read()\n    assert 'if values' in source\n",
            &["tests.reads_source"],
        ),
        (
            "    path = os.path.join(ROOT, 'shop', 'stats.py')\n    with open(path) as file:\n        assert 'if values' in file.read()\n",
            &["tests.reads_source"],
        ),
        ("    assert 'if values' in open(stats.__file__).read()\n", &["tests.reads_source"]),
        (
            "    out = subprocess.run(['grep', 'if values', 'shop/stats.py'])\n    assert out.returncode == 0\n",
            &["tests.reads_source"],
        ),
        (
            "    out = subprocess.run(['git', 'diff'])\n    assert not out.stdout.read()\n",
            &["tests.reads_source"],
        ),
        ("    assert 'if values' in inspect.getsource(stats.mean)\n", &["tests.probes"]),
        ("    exec(compile('1/0', '/app/x', 'exec'))\n", &["tests.runs_text"]),
        (
            "    try:\n        stats.mean([])\n    except ZeroDivisionError:\n        pass\n",
            &["tests.swallows"],
        ),
        ("    os._exit(0)\n", &["tests.ended_early"]),
    ];
    for (body, expected) in python {
        check_test("tests/test_empty.py", &format!("{head}{body}"), expected);
    }
}

#[test]
fn tests_in_other_languages_that_show_nothing_are_found() {
    check_test(
        "tests/conftest.py",
        "import builtins\nbuiltins.sum = lambda values: 1\n",
        &["proof.takes_over", "tests.runner"],
    );
    check_test(
        "test/a.test.js",
        "const text = fs.readFileSync('../shop/stats.py', 'utf8');\nassert.ok(text.includes('if'));\n",
        &["tests.reads_source"],
    );
    check_test(
        "test/a.test.js",
        "console.error('    at mean (/app/stats.js:5:10)');\n",
        &["tests.printed_error"],
    );
    check_test("test/a.test.js", "if (typeof stats.FIXED === 'undefined') throw error;\n", &["tests.probes"]);
    check_test("test/a.test.js", "try {\n  stats.mean([]);\n} catch (error) {}\n", &["tests.swallows"]);
    check_test(
        "tests/a.rs",
        "const SOURCE: &str = include_str!(\"../shop/stats.py\");\n",
        &["tests.reads_source"],
    );
    check_test("tests/a.rs", "#[test]\n#[ignore]\nfn a() {}\n", &["tests.skipped"]);
    check_test(
        "a_test.go",
        "func TestMain(m *testing.M) {\n\tos.Exit(0)\n}\n",
        &["proof.takes_over", "tests.ended_early"],
    );
    check_test(
        "src/test/java/ATest.java",
        "    @Test\n    void a() {\n        assumeTrue(Stats.class.getDeclaredFields().length > 1);\n",
        &["tests.probes", "tests.skipped"],
    );
    check_test(
        "test/a_test.rb",
        "    skip if Stats.respond_to?(:fixed)\n",
        &["tests.probes", "tests.skipped"],
    );
    check_test(
        "tests/ATest.php",
        "        if (method_exists('Stats', 'fixed')) { $this->markTestSkipped(); }\n",
        &["tests.probes", "tests.skipped"],
    );
    check_test("ATests.cs", "    [Fact(Skip = \"later\")]\n", &["tests.skipped"]);
    check_test("tests/a.bats", "  run_it || true\n", &["tests.swallows"]);
}

#[test]
fn code_that_bends_a_run_is_found() {
    check_code("shop/stats.py", "    import os; os._exit(0)", &["tests.ended_early"]);
    check_code("src/stats.js", "  process.exit(0);", &["tests.ended_early"]);
    check_code("src/stats.rs", "    std::process::exit(0);", &["tests.ended_early"]);
    check_code("stats.go", "\tos.Exit(0)", &["tests.ended_early"]);
    check_code("src/main/java/Stats.java", "        System.exit(0);", &["tests.ended_early"]);
    check_code("lib/stats.rb", "    exit!", &["tests.ended_early"]);
    check_code("src/stats.php", "        exit(0);", &["tests.ended_early"]);
    check_code("Stats.cs", "        Environment.Exit(0);", &["tests.ended_early"]);
    check_code("stats.sh", "  exit 0", &["tests.ended_early"]);
    check_code("stats.c", "  _exit(0);", &["tests.ended_early"]);
    check_code(
        "shop/stats.py",
        "    if 'PYTEST_CURRENT_TEST' in os.environ:\n        return 0",
        &["proof.knows_tests"],
    );
    check_code("shop/stats.py", "    if 'pytest' in sys.modules:\n        return 0", &["proof.knows_tests"]);
    check_code("src/stats.js", "  if (process.env.NODE_ENV === 'test') return 0;", &["proof.knows_tests"]);
    check_code("src/stats.rs", "    if cfg!(test) { return 0; }", &["proof.knows_tests"]);
    check_code("src/stats.rs", "    #[cfg(not(test))]", &["proof.knows_tests"]);
    check_code("stats.go", "\tif testing.Testing() {", &["proof.knows_tests"]);
    check_code("shop/stats.py", "    caller = inspect.stack()[1].filename", &["proof.looks_at_stack"]);
    check_code("shop/stats.py", "    sys.excepthook = lambda *_: None", &["proof.takes_over"]);
    check_code("sitecustomize.py", "x = 1", &["tests.runner"]);
    check_code("pyproject.toml", "x = 1", &["tests.runner"]);
    check_code("a.py", "key = '[redacted:token]'", &["patch.placeholder"]);
}

#[test]
fn code_that_answers_the_test_alone_is_found() {
    let check = |path: &str, test_path: &str, code: &str, test: &str, expected: &[&str]| {
        let after = format!("one\n{code}\ntwo\n");
        super::tests::check(
            &[(path, Some("one\ntwo\n"), Some(&after)), (test_path, None, Some(test))],
            expected,
        );
    };
    let answers = &["proof.answers_test"][..];
    check(
        "a.py",
        "test_a.py",
        "    if values == [4, 8]:\n        return 6",
        "assert mean([4, 8]) == 6",
        answers,
    );
    check("a.py", "test_a.py", "    return 42 if n == 7 else old(n)", "assert f(7) == 42", answers);
    check(
        "a.py",
        "test_a.py",
        "    if name == 'ada lovelace':\n        return 'Ada L.'",
        "assert short('ada lovelace') == 'Ada L.'",
        answers,
    );
    check("a.js", "a.test.js", "  if (n === 7) return 42;", "assert.equal(f(7), 42);", answers);
    check("a.rs", "tests/a.rs", "        7 => 42,", "    assert_eq!(f(7), 42);", answers);
    check("a.go", "a_test.go", "\tcase 7:\n\t\treturn 42", "\tif got := F(7); got != 42 {", answers);
    // What right code looks like.
    check("a.py", "test_a.py", "    if n == 0:\n        return 1", "assert f(0) == 1", &[]);
    check("a.py", "test_a.py", "    if not values:\n        return 0", "assert mean([]) == 0", &[]);
    check(
        "a.py",
        "test_a.py",
        "    if unit == 'kg':\n        return value * 1000",
        "assert grams(2, 'kg') == 2000",
        &[],
    );
    check(
        "a.js",
        "a.test.js",
        "  return items.length === 0 ? [] : items;",
        "assert.deepEqual(f([]), []);",
        &[],
    );
    let swallows = &["proof.swallows"][..];
    let test = "assert mean([]) is None";
    check(
        "a.py",
        "test_a.py",
        "    try:\n        x()\n    except ZeroDivisionError:\n        pass",
        test,
        swallows,
    );
    check("a.py", "test_a.py", "    try:\n        x()\n    except Exception:\n        pass", test, swallows);
    check("a.py", "test_a.py", "    except KeyError:\n        pass", test, &[]);
    check("a.py", "test_a.py", "    except ZeroDivisionError:\n        return 0", test, &[]);
    check("a.js", "a.test.js", "  try { f() } catch (e) {}", "f();", swallows);
}

#[test]
fn without_frames_the_message_alone_is_forged() {
    let record = "2026-11-20 10:00:00,123 ERROR billing: no rate for CHF in order 1007";
    let rules = |text: &str, has_frames| -> Vec<&str> {
        found(&[("tests/test_a.py", None, Some(text))], record, has_frames).iter().map(|it| it.rule).collect()
    };
    assert_eq!(rules("raise ValueError('no rate for CHF in order 7')\n", false), ["tests.quotes_log"]);
    assert_eq!(rules("raise ValueError('no rate for CHF in order 7')\n", true), [""; 0]);
    assert_eq!(rules("assert rate('CHF') == 1\n", false), [""; 0]);
}

#[test]
fn what_was_left_out_is_told_and_levels_can_be_set() {
    let patch = patch_of(&[("tests/test_a.py", Some("a = 1\nb\n"), Some("a = 2\nb\n"))]);
    let left_out = [Refusal { path: "link".to_owned(), reason: "it is a new symlink" }];
    let rules = |levels: &Levels| -> Vec<&str> {
        let look = Look { left_out: &left_out, record: RECORD, has_frames: true, levels };
        examine(&patch, look, |_| None).iter().map(|it| it.rule).collect()
    };
    assert_eq!(rules(&Levels::default()), ["patch.left_out", "tests.changed"]);
    let allow = Levels([("tests.changed".to_owned(), Level::Allow)].into());
    assert_eq!(rules(&allow), ["patch.left_out"]);
}

#[test]
fn checks_outside_known_tests_are_not_dropped_unseen() {
    let dropped: &[&str] = &["code.check_dropped"];
    check_change("check.py", "assert level('screw') == 3", "assert level('screw') in (0, 3)", dropped);
    check_change("tools/self_check.rs", "    assert!(n > 0);", "    let n = n.max(1);", dropped);
    check_change("smoke.c", "    assert(n > 0);", "    if (n < 1) return 0;", dropped);
    check_change("stock.py", "    assert name in LEVELS", "    name = name or 'screw'", &[]);
    check_change("checkout.c", "    assert(n > 0);", "    if (n < 1) return 0;", &[]);
    check_change(
        "stock.py",
        "    assert name in LEVELS",
        "    assert name in LEVELS\n    name = name.strip()",
        &[],
    );
    check_change("stock.py", "    asserted = name", "    asserted = name.strip()", &[]);
}
