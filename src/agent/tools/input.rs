//! What the model gives to each tool. A field too many or of the wrong kind is an error that says which.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::agent::client::assemble::INVALID_INPUT;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadFile {
    pub(super) path: String,
    pub(super) first_line: Option<u64>,
    pub(super) last_line: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteFile {
    pub(super) path: String,
    pub(super) content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditFile {
    pub(super) path: String,
    pub(super) old_text: String,
    pub(super) new_text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListFiles {
    pub(super) path: Option<String>,
    pub(super) glob: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchCode {
    pub(super) pattern: String,
    pub(super) path: Option<String>,
    pub(super) glob: Option<String>,
    pub(super) ignore_case: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunCommand {
    pub(super) command: String,
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GitStatus {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GitDiff {
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaskComplete {
    pub(super) outcome: String,
    pub(super) summary: String,
    pub(super) root_cause: Option<RootCauseInput>,
    pub(super) changes: Option<String>,
    pub(super) test_command: Option<String>,
    pub(super) test_files: Option<Vec<String>>,
    pub(super) hypotheses: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RootCauseInput {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) explanation: String,
}

/// Reads the input of a tool.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let mut input = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut input).map_err(|error| {
        if json.contains(INVALID_INPUT) {
            return "the input is not a JSON object".to_owned();
        }
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!(" at `{path}`") };
        format!("the input cannot be read{place}: {}", error.into_inner())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_input_is_named() {
        let check = |json: &str, expected: &str| {
            assert_eq!(parse::<ReadFile>(json).unwrap_err(), expected);
        };
        check("{}", "the input cannot be read: missing field `path` at line 1 column 2");
        check(
            r#"{"path":"a","fist_line":3}"#,
            "the input cannot be read at `fist_line`: unknown field `fist_line`, expected one of `path`, `first_line`, `last_line` at line 1 column 23",
        );
        check(
            r#"{"path":7}"#,
            "the input cannot be read at `path`: invalid type: integer `7`, expected a string at line 1 column 9",
        );
        check(r#"{"INVALID_JSON":"{\"pa"}"#, "the input is not a JSON object");
        assert!(parse::<TaskComplete>(r#"{"outcome":"gave_up","summary":"s","root_cause":null}"#).is_ok());
    }
}
