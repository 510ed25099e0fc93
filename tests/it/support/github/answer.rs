//! Answers and refusals in GitHub's shapes: <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>.

use serde_json::{Value, json};

/// What the API answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    /// `Link` header of a page.
    pub(super) link: Option<String>,
}

/// A success.
pub(super) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, body, link: None }
}

/// A refusal with GitHub's words.
pub(super) fn refuse(status: u16, message: &str) -> Answer {
    answer(
        status,
        json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": status.to_string(),
        }),
    )
}

/// 422 with one error about a field.
pub(super) fn invalid(resource: &str, field: &str, code: &str, message: Option<&str>) -> Answer {
    let mut error = json!({"resource": resource, "code": code});
    if !field.is_empty() {
        error["field"] = json!(field);
    }
    if let Some(message) = message {
        error["message"] = json!(message);
    }
    answer(
        422,
        json!({
            "message": "Validation Failed",
            "errors": [error],
            "documentation_url": "https://docs.github.com/rest",
            "status": "422",
        }),
    )
}
