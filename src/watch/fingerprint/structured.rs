//! Exceptions that a logger wrote as JSON, frame by frame, put back into the text that the runtime would have printed.
//!
//! structlog's `dict_tracebacks` (<https://www.structlog.org/en/stable/api.html#structlog.tracebacks>), zerolog's
//! `pkgerrors`, Log4j's JSON layout and Monolog's JSON formatter. What is not one of them is left to `unwrap`.

use serde_json::Value;

/// The text of the exception that is written in `value` field by field.
pub(super) fn text(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let exception = fields.get("exception").or_else(|| value.get("context")?.get("exception"));
    exception
        .and_then(python)
        .or_else(|| fields.get("thrown").and_then(|it| jvm(it, "")))
        .or_else(|| exception.and_then(php))
        .or_else(|| go(value))
}

fn string<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// A number, which some loggers write as a text.
fn number(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `[{"exc_type": …, "exc_value": …, "frames": [{"filename", "lineno", "name"}]}, …]`: what was caught, then its causes.
fn python(value: &Value) -> Option<String> {
    let stacks = value.as_array()?;
    let mut parts = Vec::new();
    for (place, stack) in stacks.iter().enumerate() {
        let mut text = String::from("Traceback (most recent call last):");
        for frame in stack.get("frames")?.as_array()? {
            let (file, name) = (string(frame, "filename")?, string(frame, "name")?);
            text.push_str(&format!("\n  File \"{file}\", line {}, in {name}", number(frame, "lineno")?));
        }
        text.push_str(&format!(
            "\n{}: {}",
            string(stack, "exc_type")?,
            string(stack, "exc_value").unwrap_or("")
        ));
        if place > 0 {
            let is_cause = stack.get("is_cause").and_then(Value::as_bool).unwrap_or(true);
            text.push_str(if is_cause {
                "\n\nThe above exception was the direct cause of the following exception:\n"
            } else {
                "\n\nDuring handling of the above exception, another exception occurred:\n"
            });
        }
        parts.push(text);
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join("\n"))
}

/// `{"name": …, "message": …, "extendedStackTrace": [{"class", "method", "file", "line"}], "cause": {…}}`
fn jvm(value: &Value, lead: &str) -> Option<String> {
    let mut text = format!("{lead}{}", string(value, "name")?);
    if let Some(message) = string(value, "message") {
        text.push_str(": ");
        text.push_str(message);
    }
    for frame in value.get("extendedStackTrace").or_else(|| value.get("stackTrace"))?.as_array()? {
        let class = string(frame, "class").or_else(|| string(frame, "className"))?;
        let method = string(frame, "method").or_else(|| string(frame, "methodName"))?;
        let file = string(frame, "file").or_else(|| string(frame, "fileName"));
        let line = number(frame, "line").or_else(|| number(frame, "lineNumber"));
        let place = match (file, line) {
            (Some(file), Some(line)) if !line.starts_with('-') => format!("{file}:{line}"),
            (Some(file), _) => file.to_owned(),
            (None, _) => "Unknown Source".to_owned(),
        };
        text.push_str(&format!("\n\tat {class}.{method}({place})"));
    }
    if let Some(cause) = value.get("cause").and_then(|it| jvm(it, "\nCaused by: ")) {
        text.push_str(&cause);
    }
    Some(text)
}

/// `{"class": …, "message": …, "file": "/a.php:5", "trace": ["/a.php:9", …], "previous": {…}}`
fn php(value: &Value) -> Option<String> {
    let mut text = String::new();
    if let Some(previous) = value.get("previous").and_then(php) {
        text = format!("{previous}\n\nNext ");
    }
    let (class, file) = (string(value, "class")?, string(value, "file")?);
    let message = string(value, "message").unwrap_or("");
    let lead = if text.is_empty() { "PHP Fatal error:  Uncaught " } else { "" };
    text.push_str(&format!("{lead}{class}: {message} in {file}\nStack trace:"));
    let places = value.get("trace").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (number, place) in places.iter().filter_map(Value::as_str).enumerate() {
        let (file, line) = place.rsplit_once(':')?;
        text.push_str(&format!("\n#{number} {file}({line}): ()"));
    }
    Some(text)
}

/// `"error": …, "stack": [{"func": …, "line": "12", "source": "a.go"}]`
fn go(value: &Value) -> Option<String> {
    let frames = value.get("stack")?.as_array().filter(|it| !it.is_empty())?;
    let said = string(value, "error").or_else(|| string(value, "message")).unwrap_or("");
    let mut text = said.to_owned();
    for frame in frames {
        let (function, file) = (string(frame, "func")?, string(frame, "source")?);
        text.push_str(&format!("\n{function}\n\t{file}:{}", number(frame, "line")?));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[track_caller]
    fn check(json: &str, expected: Option<&str>) {
        let value = serde_json::from_str(json).unwrap();
        assert_eq!(text(&value).as_deref(), expected);
    }

    #[test]
    fn exceptions_become_texts_again() {
        check(
            r#"{"event":"x","exception":[{"exc_type":"E","exc_value":"m","frames":[{"filename":"a.py","lineno":3,"name":"f"}]},{"exc_type":"K","exc_value":"k","is_cause":true,"frames":[{"filename":"b.py","lineno":4,"name":"g"}]}]}"#,
            Some(
                "Traceback (most recent call last):\n  File \"b.py\", line 4, in g\nK: k\n\nThe above exception was the direct cause of the following exception:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\nE: m",
            ),
        );
        check(
            r#"{"thrown":{"name":"a.B","message":"m","extendedStackTrace":[{"class":"a.C","method":"f","file":"C.java","line":7}],"cause":{"name":"a.D","extendedStackTrace":[{"class":"a.E","method":"g","file":null,"line":-1}]}}}"#,
            Some("a.B: m\n\tat a.C.f(C.java:7)\nCaused by: a.D\n\tat a.E.g(Unknown Source)"),
        );
        check(
            r#"{"context":{"exception":{"class":"E","message":"m","file":"/a.php:5","trace":["/b.php:6"],"previous":{"class":"P","message":"p","file":"/c.php:7"}}}}"#,
            Some(
                "PHP Fatal error:  Uncaught P: p in /c.php:7\nStack trace:\n\nNext E: m in /a.php:5\nStack trace:\n#0 /b.php(6): ()",
            ),
        );
        check(
            r#"{"error":"m","stack":[{"func":"(*Cart).first","line":"12","source":"a.go"}]}"#,
            Some("m\n(*Cart).first\n\ta.go:12"),
        );
        check(r#"{"exception":"x","stack":"y"}"#, None);
        check(r#"{"exception":[],"stack":[]}"#, None);
        check("[1]", None);
    }
}
