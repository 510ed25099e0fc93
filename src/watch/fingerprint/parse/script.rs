//! PHP, Perl and Dart.

use super::{exception, frame, place, split_kind};
use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

fn trace(runtime: Runtime, exceptions: Vec<Exception>) -> Option<Trace> {
    Some(Trace { runtime, exceptions, thread: None })
}

pub(super) fn php(lines: &[&str]) -> Option<Trace> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut head: Vec<&str> = Vec::new();
    for line in lines {
        let text = line.trim();
        if let Some(rest) = shape::numbered(text) {
            if let Some(found) = php_head(&head.join("\n")).filter(|_| !head.is_empty()) {
                exceptions.push(found);
            }
            head.clear();
            let Some(last) = exceptions.last_mut() else { continue };
            // What was called at a place is the function that the place before it is in.
            let (location, function) = php_frame(rest);
            if let Some(frame) = last.frames.last_mut() {
                function.clone_into(&mut frame.function);
            }
            last.frames.extend(location);
        } else if text == "Stack trace:" || text == "[stacktrace]" || text.is_empty() {
            if let Some(found) = php_head(&head.join("\n")) {
                exceptions.push(found);
                head.clear();
            }
        } else if !text.starts_with("thrown in ") {
            head.push(line);
        }
    }
    if exceptions.is_empty() {
        exceptions.extend(php_head(&head.join("\n")));
    }
    // PHP prints the innermost first, and `Next` wraps it; Monolog begins with what was caught.
    if lines.iter().any(|it| it.trim_start().starts_with("[previous exception]")) {
        exceptions.reverse();
    }
    trace(Runtime::Php, exceptions)
}

/// What a head says, without frames but for the place it was thrown at.
fn php_head(text: &str) -> Option<Exception> {
    let text = text.trim();
    // `Uncaught T: m in f:l`, `Next T: m in f:l`, `[object] (T(code: 0): m at f:l)`, `exception 'T' with message 'm' in f:l`
    let (kind, message, at) = if let Some((_, rest)) = text.split_once("[object] (") {
        let (kind, rest) = rest.split_once('(')?;
        let message = rest.split_once("): ").map_or("", |it| it.1);
        (kind, message, " at ")
    } else if let Some((_, rest)) = text.split_once("exception '") {
        let (kind, rest) = rest.split_once("' with message '")?;
        (kind, rest, "' in ")
    } else if let Some((level, rest)) = text.strip_prefix("PHP ").and_then(|it| it.split_once(":  "))
        && !rest.starts_with("Uncaught ")
    {
        return Some(php_error(level, rest));
    } else {
        let rest = text
            .split_once("Uncaught ")
            .map(|it| it.1)
            .or_else(|| text.strip_prefix("Next "))
            .unwrap_or(text);
        let name = &rest[..shape::name_length(rest)];
        let is_typed =
            shape::typed_name(rest) || rest[name.len()..].starts_with(" in ") && shape::typed_name(name);
        if !is_typed {
            return (!text.is_empty()).then(|| exception("", text));
        }
        let (kind, message) = split_kind(rest);
        (kind, message, " in ")
    };
    let (message, location) = match message.strip_prefix("in ") {
        Some(location) if at == " in " && !location.contains(' ') => ("", location),
        _ => message.rsplit_once(at).unwrap_or((message, "")),
    };
    let mut found = exception(kind, message);
    let (file, line) = place(location.trim_end_matches(')'));
    found.frames.extend(file.map(|file| frame("", Some(&file), line)));
    Some(found)
}

/// `message in /a.php on line 3` of an error that is no exception.
fn php_error(level: &str, text: &str) -> Exception {
    let Some((message, location)) = text.rsplit_once(" in ") else { return exception(level, text) };
    let mut found = exception(level, message);
    if let Some((file, line)) = location.rsplit_once(" on line ") {
        // `/a.php(63) : eval()'d code`
        let file = file.split_once('(').filter(|_| file.contains(") : ")).map_or(file, |it| it.0);
        found.frames.push(frame("", Some(file), super::number(line)));
    }
    found
}

/// `/a.php(5): C->m()`, `[internal function]: f()`, `{main}`: the place of a call, and what was called there.
fn php_frame(rest: &str) -> (Option<Frame>, &str) {
    let Some((at, call)) = rest.split_once(": ") else { return (None, "") };
    let function = call.split('(').next().unwrap_or("");
    let location = at
        .rsplit_once('(')
        .map_or_else(|| frame("", None, None), |(file, line)| frame("", Some(file), super::number(line)));
    (Some(location), function)
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

/// `The following StateError was thrown building Cart(…):`, the message, and the stack, in a box.
fn flutter(lines: &[&str]) -> Option<Exception> {
    let at = lines.iter().position(|it| it.trim_start().starts_with("The following "))?;
    let (kind, _) = lines[at].trim().strip_prefix("The following ")?.split_once(" was thrown")?;
    let kind = kind.trim_end_matches(" object");
    let mut found = exception(kind, lines.get(at + 1).map_or("", |it| it.trim()));
    found.frames = lines[at..].iter().filter_map(|it| shape::numbered(it.trim())).map(dart_frame).collect();
    Some(found)
}

/// `Cart.first (package:shop/cart.dart:12:18)`
fn dart_frame(rest: &str) -> Frame {
    let (function, location) = rest.split_once(" (").unwrap_or((rest, ""));
    let (file, number) = place(location.trim_end_matches(')'));
    frame(function, file.as_deref(), number)
}

pub(super) fn dart(lines: &[&str]) -> Option<Trace> {
    let mut head: Vec<&str> = Vec::new();
    let mut frames = Vec::new();
    if let Some(found) = flutter(lines) {
        return trace(Runtime::Dart, vec![found]);
    }
    for line in lines.iter().skip_while(|it| it.trim() == "Unhandled exception:") {
        match shape::numbered(line.trim()) {
            Some(rest) => frames.push(dart_frame(rest)),
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
