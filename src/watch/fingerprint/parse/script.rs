//! PHP, Perl and Dart.

use super::{exception, frame, place, split_kind};
use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

fn trace(runtime: Runtime, exceptions: Vec<Exception>) -> Option<Trace> {
    Some(Trace { runtime, exceptions, thread: None })
}

pub(super) fn php(lines: &[&str]) -> Option<Trace> {
    let mut exceptions: Vec<Exception> = Vec::new();
    for line in lines {
        let text = line.trim();
        if let Some(rest) = shape::numbered(text) {
            if let Some(last) = exceptions.last_mut() {
                last.frames.extend(php_frame(rest));
            }
        } else if let Some(found) = php_head(text) {
            exceptions.push(found);
        }
    }
    // PHP prints the innermost first, and `Next` wraps it; Monolog begins with what was caught.
    if lines.iter().any(|it| it.trim_start().starts_with("[previous exception]")) {
        exceptions.reverse();
    }
    trace(Runtime::Php, exceptions)
}

fn php_head(text: &str) -> Option<Exception> {
    // `Uncaught T: m in f:l`, `Next T: m in f:l`, `[object] (T(code: 0): m at f:l)`, `exception 'T' with message 'm' in f:l`
    let (kind, message, at) = if let Some((_, rest)) = text.split_once("[object] (") {
        let (kind, rest) = rest.split_once('(')?;
        let message = rest.split_once("): ").map_or("", |it| it.1);
        (kind, message, " at ")
    } else if let Some((_, rest)) = text.split_once("exception '") {
        let (kind, rest) = rest.split_once("' with message '")?;
        (kind, rest, "' in ")
    } else {
        let rest = text.split_once("Uncaught ").map(|it| it.1).or_else(|| text.strip_prefix("Next "))?;
        let (kind, message) = split_kind(rest);
        (kind, message, " in ")
    };
    let (message, location) = message.rsplit_once(at).unwrap_or((message, ""));
    let mut found = exception(kind, message);
    let (file, line) = place(location.trim_end_matches(')'));
    found.frames.extend(file.map(|file| frame("", Some(&file), line)));
    Some(found)
}

/// `/a.php(5): C->m()`, `[internal function]: f()`, `{main}`
fn php_frame(rest: &str) -> Option<Frame> {
    let (at, call) = rest.split_once(": ")?;
    let function = call.split('(').next()?;
    let (file, line) = match at.rsplit_once('(') {
        Some((file, line)) => (Some(file), super::number(line)),
        None => (None, None),
    };
    Some(frame(function, file, line))
}

pub(super) fn perl(lines: &[&str]) -> Option<Trace> {
    let mut found: Option<Exception> = None;
    for line in lines {
        let text = line.trim();
        let Some((before, file, number)) = perl_place(text) else { continue };
        match &mut found {
            None => {
                let mut first = exception("die", before);
                first.frames.push(frame("", Some(file), number));
                found = Some(first);
            }
            Some(found) => {
                let function = before.split('(').next().unwrap_or("").trim_end_matches(" called");
                // Where a function was called is the place of its caller.
                if let Some(last) = found.frames.last_mut() {
                    function.clone_into(&mut last.function);
                }
                found.frames.push(frame("", Some(file), number));
            }
        }
    }
    trace(Runtime::Perl, vec![found?])
}

fn perl_place(text: &str) -> Option<(&str, &str, Option<u32>)> {
    if !shape::perl_place(text) {
        return None;
    }
    let (before, line) = text.rsplit_once(" line ")?;
    let (message, file) = before.rsplit_once(" at ")?;
    Some((message, file, super::number(line)))
}

pub(super) fn dart(lines: &[&str]) -> Option<Trace> {
    let mut head: Vec<&str> = Vec::new();
    let mut frames = Vec::new();
    for line in lines.iter().skip_while(|it| it.trim() == "Unhandled exception:") {
        match shape::numbered(line.trim()) {
            Some(rest) => {
                let (function, location) = rest.split_once(" (").unwrap_or((rest, ""));
                let (file, number) = place(location.trim_end_matches(')'));
                frames.push(frame(function, file.as_deref(), number));
            }
            None if frames.is_empty() => head.push(line.trim()),
            None => {}
        }
    }
    let text = head.join("\n");
    let (kind, message) = split_kind(&text);
    let mut found =
        if shape::typed_name(kind) { exception(kind, message) } else { exception("Error", &text) };
    found.frames = frames;
    trace(Runtime::Dart, vec![found])
}
