//! Lua and Haskell: a message, a line that announces the stack, the stack.

use super::{exception, frame, place};
use crate::model::trace::{Exception, Frame, Runtime, Trace};

/// The message and the lines behind it, from the announcement on.
fn parts<'l, 's>(lines: &'l [&'s str], announces: impl Fn(&str) -> bool) -> (String, &'l [&'s str]) {
    let at = lines.iter().position(|it| announces(it.trim())).unwrap_or(lines.len());
    (lines[..at].join("\n").trim().to_owned(), &lines[at..])
}

pub(super) fn lua(lines: &[&str]) -> Option<Trace> {
    let (said, stack) = parts(lines, |it| it == "stack traceback:");
    let said = said.split_once(": ").filter(|it| it.0.starts_with("lua")).map_or(&*said, |it| it.1);
    let mut found = exception("error", without_places(said));
    found.frames = stack.iter().filter_map(|it| lua_frame(it.trim())).collect();
    Some(Trace { runtime: Runtime::Lua, exceptions: vec![found], thread: None })
}

/// `a.lua:1: b.lua:3: message` → `message`: each function that passes an error on may put its place before it.
fn without_places(mut text: &str) -> &str {
    while let Some((at, rest)) = text.split_once(": ") {
        let is_place = at.rsplit_once(':').is_some_and(|(file, line)| {
            !file.is_empty()
                && !file.contains(' ')
                && line.bytes().all(|it| it.is_ascii_digit())
                && !line.is_empty()
        });
        if !is_place {
            break;
        }
        text = rest;
    }
    text
}

/// `f.lua:3: in function 'name'`, `[C]: in ?`, `f.lua:3: in function <f.lua:1>`, `f.lua:9: in main chunk`
fn lua_frame(text: &str) -> Option<Frame> {
    let (location, function) = text.split_once(": in ").or_else(|| text.split_once(": at "))?;
    let (file, line) = place(location);
    // What has no name is named by its line, or by a question mark.
    let quoted = function.split_once(['\'', '`']).map(|it| it.1.trim_end_matches('\''));
    let function = match quoted {
        Some(name) => name,
        None if function == "main chunk" => function,
        None => "",
    };
    Some(frame(if function == "?" { "" } else { function }, file.as_deref(), line))
}

pub(super) fn haskell(lines: &[&str]) -> Option<Trace> {
    let (said, stack) =
        parts(lines, |it| it.starts_with("CallStack (from ") || it == "HasCallStack backtrace:");
    let mut found = thrown(said.split_once(": ").map_or(&*said, |it| it.1));
    // `f, called at src/Main.hs:3:5 in main:Main`: the place is one of the next line's function.
    let mut calls: Vec<(&str, &str)> = Vec::new();
    for line in &stack[stack.len().min(1)..] {
        let text = line.trim();
        if let Some(call) = text.split_once(", called at ") {
            calls.push(call);
        } else if !calls.is_empty() {
            break;
        }
    }
    for (at, (_, location)) in calls.iter().enumerate() {
        let function = calls.get(at + 1).map_or("", |it| it.0);
        let (location, module) = location.split_once(" in ").unwrap_or((location, ""));
        let (file, line) = place(location);
        let mut found_frame = frame(function, file.as_deref(), line);
        found_frame.module = (!module.is_empty()).then(|| module.to_owned());
        found.frames.push(found_frame);
    }
    Some(Trace { runtime: Runtime::Haskell, exceptions: vec![found], thread: None })
}

/// `Uncaught exception pkg:A.B.Type:` and the message below it, or only a message.
fn thrown(said: &str) -> Exception {
    let Some(rest) = said.strip_prefix("Uncaught exception ") else { return exception("error", said) };
    let (head, message) = rest.split_once(":\n").unwrap_or((rest.trim_end_matches(':'), ""));
    let name = head.rsplit(':').next().unwrap_or(head);
    // What `error` throws.
    let kind =
        if name.ends_with(".ErrorCall") || name.ends_with(".ErrorCallWithLocation") { "error" } else { name };
    exception(kind, message.trim())
}

/// `a.swift:12: Fatal error: message` or `*** Program crashed: reason at 0x… ***`, and the frames of the thread that crashed.
pub(super) fn swift(lines: &[&str]) -> Option<Trace> {
    let mut found = Exception::default();
    let mut is_stack = false;
    let mut thread = None;
    for line in lines {
        let text = line.trim();
        if let Some(rest) = text.strip_prefix("*** Program crashed: ") {
            let reason = rest.trim_end_matches([' ', '*']);
            found = exception("crash", reason.rsplit_once(" at 0x").map_or(reason, |it| it.0));
        } else if let Some((at, message)) =
            text.split_once("Fatal error").filter(|it| it.0.contains(".swift:"))
        {
            found = exception("Fatal error", message.trim_start_matches([':', ' ']));
            let (file, number) = place(at.trim_end_matches([':', ' ']));
            found.frames.extend(file.map(|file| frame("", Some(&file), number)));
        } else if let Some(rest) = text.strip_prefix("Thread ").and_then(|it| it.strip_suffix(" crashed:")) {
            thread = Some(rest.to_owned());
            is_stack = true;
        } else if text == "Current stack trace:" {
            is_stack = true;
        } else if let Some(frame) = swift_frame(text).filter(|_| is_stack) {
            // The stack says more than the place.
            found.frames.retain(|it| !it.function.is_empty());
            found.frames.push(frame);
        } else if is_stack && text.is_empty() && found.frames.iter().any(|it| !it.function.is_empty()) {
            break;
        }
    }
    Some(Trace { runtime: Runtime::Swift, exceptions: vec![found], thread })
}

/// `3 [ra] 0x0000 f() + 95 in shop at /a.swift:12:14`, `3    shop    0x0000 f + 322 at /a.swift:12:14`
fn swift_frame(text: &str) -> Option<Frame> {
    let digits = text.bytes().position(|it| !it.is_ascii_digit()).filter(|it| *it > 0)?;
    let (before, rest) = text[digits..].split_once(" 0x")?;
    let (_, rest) = rest.split_once(' ')?;
    let (function, rest) = rest.split_once(" + ")?;
    let location = rest.rsplit_once(" at ").map(|it| it.1);
    let (file, line) = location.map_or((None, None), place);
    let module =
        rest.split_once(" in ").map_or_else(|| before.trim(), |it| it.1.split(' ').next().unwrap_or(""));
    let module = Some(module).filter(|it| !it.is_empty() && !it.starts_with('['));
    Some(Frame { module: module.map(str::to_owned), ..frame(function, file.as_deref(), line) })
}
