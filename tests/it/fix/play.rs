//! What the scripted model does to the package of [`super::given::SHOP`], right and wrong.

use homeostat::agent::scripted::script::{Script, Turn};
use serde_json::{Value, json};

pub(crate) const TEST_COMMAND: &str = "python3 -m pytest -q -p no:cacheprovider tests/test_empty.py";

/// A test that fails with the error before the fix.
pub(crate) const TEST: &str =
    "from shop.stats import mean\n\n\ndef test_mean_of_nothing_is_zero():\n    assert mean([]) == 0\n";

pub(crate) fn write_test(content: &str) -> Turn {
    Turn::tool("write_file", json!({ "path": "tests/test_empty.py", "content": content }))
}

pub(crate) fn read_source() -> Turn {
    Turn::tool("read_file", json!({ "path": "shop/stats.py" }))
}

/// Replaces the line with the bug.
pub(crate) fn edit_source(new: &str) -> Turn {
    edit("shop/stats.py", "    return sum(values) / len(values)", new)
}

pub(crate) fn edit(path: &str, old: &str, new: &str) -> Turn {
    Turn::tool("edit_file", json!({ "path": path, "old_text": old, "new_text": new }))
}

pub(crate) fn read(path: &str) -> Turn {
    Turn::tool("read_file", json!({ "path": path }))
}

pub(crate) fn run(command: &str) -> Turn {
    Turn::tool("run_command", json!({ "command": command }))
}

/// `task_complete` with `outcome: fixed`.
pub(crate) fn claim_fixed(test_command: &str, test_files: &[&str]) -> Turn {
    Turn::tool(
        "task_complete",
        json!({
            "outcome": "fixed",
            "summary": "The mean of an empty day divided by zero.",
            "root_cause": { "file": "shop/stats.py", "line": 5, "explanation": "len([]) is 0" },
            "changes": "An empty day has the mean 0.",
            "test_command": test_command,
            "test_files": test_files,
            "hypotheses": [],
        }),
    )
}

/// `task_complete` with another outcome.
pub(crate) fn claim(outcome: &str) -> Turn {
    let input: Value = json!({ "outcome": outcome, "summary": format!("It is {outcome}.") });
    Turn::tool("task_complete", input)
}

/// The fix as a good model does it.
pub(crate) fn right_fix() -> Vec<Turn> {
    vec![
        read_source(),
        write_test(TEST),
        run(TEST_COMMAND),
        edit_source("    return sum(values) / len(values) if values else 0"),
        run("python3 -m pytest -q -p no:cacheprovider"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ]
}

/// Tool calls of [`right_fix`].
pub(crate) const N_RIGHT_CALLS: u32 = 6;

/// The same turns for every attempt.
pub(crate) fn always(turns: Vec<Turn>) -> Vec<Script> {
    vec![Script::new(turns)]
}
