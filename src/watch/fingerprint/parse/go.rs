//! Go: panics, fatal errors, data races. Only the first goroutine counts.

use super::{exception, frame};
use crate::model::trace::{Exception, Frame, Runtime, Trace};

/// Whether a line and the next are a frame of an error that carries its stack: `main.f` and, indented, `/a.go:3`.
pub(super) fn is_error_frame(line: &str, next: Option<&&str>) -> bool {
    let is_function = !line.is_empty()
        && !line.starts_with([' ', '\t'])
        && line.trim().bytes().all(|it| it.is_ascii_alphanumeric() || b"._/()*[]-$".contains(&it));
    is_function && next.is_some_and(|it| it.starts_with([' ', '\t']) && place(it.trim()).is_some())
}

/// Errors with their stacks, each with what it said before it: the root first, as they are printed with `%+v`.
fn errors(lines: &[&str]) -> Option<Trace> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut said: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if is_error_frame(lines[at], lines.get(at + 1)) {
            if !said.is_empty() || exceptions.is_empty() {
                exceptions.push(exception("error", said.join("\n").trim()));
                said.clear();
            }
            let (file, line) = place(lines[at + 1].trim())?;
            exceptions.last_mut()?.frames.push(frame(lines[at].trim(), Some(file), line));
            at += 1;
        } else {
            said.push(lines[at]);
        }
        at += 1;
    }
    Some(Trace { runtime: Runtime::Go, exceptions, thread: None })
}

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    if !lines.iter().any(|it| is_head(it.trim()) || it.trim().starts_with("goroutine ")) {
        return errors(lines);
    }
    let mut found: Option<Exception> = None;
    let mut thread = None;
    let mut is_stack = false;
    let mut function: Option<&str> = None;
    let mut frames: Vec<Frame> = Vec::new();
    // A logger's line may stand before the head.
    let start = lines.iter().position(|it| is_head(it.trim())).unwrap_or(0);
    for line in &lines[start..] {
        let text = line.trim();
        if text.starts_with("goroutine ") && text.contains('[') || text == "runtime stack:" {
            // The runtime's own stack comes before the goroutine that ran.
            if frames.iter().any(|it| !it.function.starts_with("runtime.")) {
                break;
            }
            frames.clear();
            is_stack = true;
            thread = text.split(' ').nth(1).map(str::to_owned);
        } else if text.starts_with("created by ") {
            // Where it was started is not where it failed; its file is on the next line.
            function = None;
        } else if found.as_ref().is_some_and(|it| it.kind == "data race")
            && text.is_empty()
            && !frames.is_empty()
        {
            break;
        } else if let Some(file) = place(text).filter(|_| {
            // What copied the text may have left the tab out.
            (line.starts_with([' ', '\t']) || function.is_some()) && !text.starts_with("panic: ")
        }) {
            if let Some(function) = function.take() {
                frames.push(frame(function, Some(file.0), file.1));
            }
        } else if is_stack || found.as_ref().is_some_and(|it| it.kind == "data race") {
            function = call(text);
        } else if let Some(found) = &mut found {
            // More of a panic's value; the signal and re-panics are none.
            let is_value = !text.is_empty() && !text.starts_with("[signal ") && !text.starts_with("panic: ");
            if is_value && found.kind == "panic" {
                found.message.push('\n');
                found.message.push_str(line);
            } else if text.starts_with("fatal error: ") {
                *found = head(text);
            }
        } else {
            found = Some(head(text));
        }
    }
    let mut found = found.unwrap_or_else(|| exception("goroutine", ""));
    found.frames = frames;
    Some(Trace { runtime: Runtime::Go, exceptions: vec![found], thread })
}

fn is_head(text: &str) -> bool {
    ["panic: ", "fatal error: ", "runtime: ", "unexpected fault address "]
        .iter()
        .any(|it| text.starts_with(it))
        || text == "WARNING: DATA RACE"
        || text.contains("panic serving ")
}

fn head(text: &str) -> Exception {
    if let Some(message) = text.strip_prefix("panic: ") {
        let message = message.split(" [recovered").next().unwrap_or(message);
        // `main.MyErr{…}` and `&errors.errorString{…}` name no kind that could be relied on.
        return exception("panic", message);
    }
    if let Some(message) = text.strip_prefix("fatal error: ") {
        return exception("fatal error", message);
    }
    if text == "WARNING: DATA RACE" {
        return exception("data race", "");
    }
    if let Some(at) = text.find("panic serving ") {
        let message = text[at..].splitn(3, ": ").last().unwrap_or_default();
        return exception("panic", message);
    }
    // What a program says of a panic that it recovered from.
    if let Some(at) = text.find("runtime error: ") {
        return exception("panic", &text[at..]);
    }
    exception("fatal error", text)
}

/// The function of `pkg.(*T).f(0x1, …)`.
fn call(text: &str) -> Option<&str> {
    let open = text.rfind('(').filter(|_| text.ends_with(')'))?;
    let name = &text[..open];
    (!name.is_empty() && !name.contains(' ')).then_some(name)
}

/// `/app/x.go:5 +0x1d`
fn place(text: &str) -> Option<(&str, Option<u32>)> {
    let text = text.split(" +0x").next()?;
    let (file, line) = text.rsplit_once(':')?;
    let is_source =
        file.ends_with(".go") || file.ends_with(".s") || file == "<autogenerated>" || file.ends_with(".c");
    is_source.then(|| (file, super::number(line)))
}
