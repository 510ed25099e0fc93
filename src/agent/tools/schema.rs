//! The tools as the model is told of them. Part of every request, and of the prompt cache: constant.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::agent::client::request::raw;
use crate::model::attempt::Outcome;

/// JSON array of all tool definitions.
pub(in crate::agent) fn definitions() -> Box<RawValue> {
    raw(Value::from(vec![
        read_file(),
        write_file(),
        edit_file(),
        list_files(),
        search_code(),
        run_command(),
        git_status(),
        git_diff(),
        task_complete(),
    ])
    .to_string())
}

fn tool(name: &str, description: &str, required: &[&str], properties: Value) -> Value {
    json!({
        "name": name,
        "description": description,
        "strict": true,
        "input_schema": {
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties,
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn read_file() -> Value {
    tool(
        "read_file",
        "Reads a text file of the repository. Lines are numbered; number and tab are not part of the file. Values that look like \
         secrets are shown as [redacted:<kind>-<n>]; edit_file and write_file put them back where you keep that text.",
        &["path"],
        json!({
            "path": text("Path relative to the repository's root."),
            "first_line": number("First line to show, counted from 1. Default 1."),
            "last_line": number("Last line to show. Default: as many as fit."),
        }),
    )
}

fn write_file() -> Value {
    tool(
        "write_file",
        "Creates a file with this content, or replaces a file that you have read. Folders are made as needed.",
        &["path", "content"],
        json!({
            "path": text("Path relative to the repository's root."),
            "content": text("The whole content."),
        }),
    )
}

fn edit_file() -> Value {
    tool(
        "edit_file",
        "Replaces one piece of text in a file. The old text must match exactly, with its indentation, and only once: give enough \
         lines around it. Refused if the file has changed since you read it.",
        &["path", "old_text", "new_text"],
        json!({
            "path": text("Path relative to the repository's root."),
            "old_text": text("Text to replace, exactly as in the file, without line numbers."),
            "new_text": text("Text to put in its place."),
        }),
    )
}

fn list_files() -> Value {
    tool(
        "list_files",
        "Lists the files of the repository, tracked and new; ignored ones are left out.",
        &[],
        json!({
            "path": text("Folder to list. Default: the root."),
            "glob": text("Only paths that match, for example **/*_test.go."),
        }),
    )
}

fn search_code() -> Value {
    tool(
        "search_code",
        "Searches the repository's files with a regular expression (ripgrep). Gives path:line:text.",
        &["pattern"],
        json!({
            "pattern": text("Regular expression."),
            "path": text("File or folder to search in. Default: the root."),
            "glob": text("Only files that match, for example *.py."),
            "ignore_case": { "type": "boolean", "description": "Default false." },
        }),
    )
}

fn run_command() -> Value {
    tool(
        "run_command",
        "Runs a shell command at the repository's root and gives its exit code and output, stdout and stderr together. There is no \
         network. Each command runs alone: folder and variables do not carry over, and processes left in the background are killed.",
        &["command"],
        json!({
            "command": text("Shell command."),
            "timeout_seconds": number("Killed after so long. Default 120."),
        }),
    )
}

fn git_status() -> Value {
    tool("git_status", "Shows which files are changed or new.", &[], json!({}))
}

fn git_diff() -> Value {
    tool(
        "git_diff",
        "Shows everything changed since the base commit, new files too.",
        &[],
        json!({ "path": text("Only this file or folder.") }),
    )
}

fn task_complete() -> Value {
    let outcomes: Vec<&str> =
        Outcome::ALL.into_iter().filter(|it| *it != Outcome::OverBudget).map(Outcome::name).collect();
    tool(
        "task_complete",
        "Ends the task. Say what is true: an honest not_reproduced or needs_person is worth more than a doubtful fixed. For fixed \
         the root cause, the test command and the test files are needed, and the test command is run once more.",
        &["outcome", "summary"],
        json!({
            "outcome": {
                "type": "string",
                "enum": outcomes,
                "description": "fixed: a test failed with this error and passes now. not_reproduced: the error could not be made to \
                     happen. already_fixed: the code here does not have the bug any more. duplicate: of another known issue. \
                     not_a_code_bug: input, environment or another system. needs_person: a decision or access is missing. \
                     gave_up: tried without success.",
            },
            "summary": text("One paragraph for the people who own the service."),
            "root_cause": {
                "type": "object",
                "additionalProperties": false,
                "required": ["file", "line", "explanation"],
                "description": "Where the error comes from.",
                "properties": {
                    "file": text("Path relative to the repository's root."),
                    "line": number("Counted from 1, in the base commit."),
                    "explanation": text("Why it fails there."),
                },
            },
            "changes": text("What was changed and why."),
            "test_command": text("Command that runs the reproducing test alone; it failed before the fix and passes now."),
            "test_files": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Test files that were added or extended, relative to the repository's root.",
            },
            "hypotheses": {
                "type": "array",
                "items": { "type": "string" },
                "description": "Other possible causes, most likely first, each with the place it rests on as `path:line`; and what was not verified.",
            },
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_strict() {
        let tools: Vec<Value> = serde_json::from_str(definitions().get()).unwrap();
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        let expected = [
            "read_file",
            "write_file",
            "edit_file",
            "list_files",
            "search_code",
            "run_command",
            "git_status",
            "git_diff",
            "task_complete",
        ];
        assert_eq!(names, expected);
        for tool in &tools {
            assert_eq!(tool["strict"], true);
            check_object(&tool["input_schema"]);
        }
    }

    fn check_object(schema: &Value) {
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        let properties = schema["properties"].as_object().unwrap();
        for required in schema["required"].as_array().unwrap() {
            assert!(properties.contains_key(required.as_str().unwrap()), "{schema}");
        }
        for property in properties.values().filter(|property| property["type"] == "object") {
            check_object(property);
        }
    }
}
