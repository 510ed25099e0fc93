//! Rust: panics, and the chains of anyhow and eyre.

use super::{exception, frame, place};
use crate::model::trace::{Exception, Frame, Runtime, Trace};

/// `thread 'n' (1) panicked at …`
pub(super) fn is_head(text: &str) -> bool {
    text.starts_with("thread '")
        && (text.contains("panicked at ") || text.contains("has overflowed its stack"))
}

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let Some(at) = lines.iter().position(|it| is_head(it.trim())) else { return chain(lines) };
    let head = lines[at].trim();
    let thread = head.strip_prefix("thread '").and_then(|it| it.split_once('\'')).map(|it| it.0.to_owned());
    let after = head.split_once("panicked at ").map_or("", |it| it.1);
    let mut message: Vec<&str> = Vec::new();
    let mut site = None;
    if let Some(location) = after.strip_suffix(':') {
        site = Some(location);
        message.extend(lines[at + 1..].iter().take_while(|it| !ends_message(it)));
    } else if let Some((quoted, location)) = after.strip_prefix('\'').and_then(|it| it.rsplit_once("', ")) {
        site = Some(location);
        message.push(quoted);
    } else {
        message.extend(lines[at + 1..].iter().take_while(|it| !ends_message(it)));
    }
    let mut found = exception("panic", message.join("\n").trim());
    found.frames = frames(&lines[at + 1..]);
    if found.frames.is_empty() {
        let (file, line) = site.map_or((None, None), place);
        found.frames.extend(file.map(|file| frame("", Some(&file), line)));
    }
    Some(Trace { runtime: Runtime::Rust, exceptions: vec![found], thread })
}

fn ends_message(line: &str) -> bool {
    line.starts_with("stack backtrace:") || line.starts_with("note: ")
}

/// `   0: f` and, on the next line, `             at f:l:c`.
fn frames(lines: &[&str]) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut is_stack = false;
    for line in lines {
        let text = line.trim();
        if matches!(text, "stack backtrace:" | "Stack backtrace:") {
            is_stack = true;
        } else if let Some(location) = text.strip_prefix("at ").filter(|_| is_stack) {
            if let Some(last) = frames.last_mut().filter(|it| it.file.is_none()) {
                (last.file, last.line) = place(location);
            }
        } else if let Some((index, function)) = text.split_once(": ").filter(|_| is_stack)
            && index.bytes().all(|it| it.is_ascii_digit())
        {
            // `0x7f… - f` of the full form.
            let function = function.trim_start();
            let function =
                function.split_once(" - ").filter(|_| function.starts_with("0x")).map_or(function, |it| it.1);
            frames.push(frame(function, None, None));
        }
    }
    frames
}

/// `Error: x`, blank, `Caused by:` and the causes, innermost last.
fn chain(lines: &[&str]) -> Option<Trace> {
    let first = lines.iter().position(|it| !it.trim().is_empty())?;
    let head = lines[first].trim();
    let message = head.strip_prefix("Error: ").unwrap_or(head);
    let mut exceptions: Vec<Exception> = vec![exception("Error", message)];
    let mut is_cause = false;
    for line in &lines[first + 1..] {
        let text = line.trim();
        match text {
            "Caused by:" => is_cause = true,
            "Stack backtrace:" | "Location:" => is_cause = false,
            _ if is_cause && !text.is_empty() => {
                let digits = text.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(0);
                let message = text[digits..].strip_prefix(": ").unwrap_or(text);
                exceptions.push(exception("Error", message));
            }
            _ => {}
        }
    }
    exceptions.reverse();
    if let Some(root) = exceptions.first_mut() {
        root.frames = frames(lines);
    }
    Some(Trace { runtime: Runtime::Rust, exceptions, thread: None })
}
