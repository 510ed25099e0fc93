//! Ruby: uncaught exceptions with their causes, traces of Rails and of loggers.

use super::{exception, frame, place, split_kind};
use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    if lines.iter().any(|it| numbered(it).is_some()) {
        return reversed(lines);
    }
    // As printed: what wrapped it first, the root cause last.
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut pending: Vec<&str> = Vec::new();
    let mut thread = None;
    for line in lines {
        let text = line.trim();
        if let Some(name) = dead_thread(text) {
            thread = name;
        } else if let Some(found) = head(text) {
            exceptions.push(found);
        } else if let Some(found) = ruby_frame(text) {
            if exceptions.is_empty() || is_named(&pending) && !pending.is_empty() {
                exceptions.push(said(&pending));
            }
            pending.clear();
            exceptions.last_mut()?.frames.push(found);
        } else {
            pending.push(line);
            if let Some(last) = exceptions.last_mut().filter(|it| it.frames.len() == 1 && !text.is_empty()) {
                // More of the message, before the second frame.
                last.message.push('\n');
                last.message.push_str(line);
            }
        }
    }
    exceptions.reverse();
    Some(Trace { runtime: Runtime::Ruby, exceptions, thread })
}

/// Frames first, outermost first; each exception behind its own, the cause before what it led to.
fn reversed(lines: &[&str]) -> Option<Trace> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    for line in lines {
        let text = line.trim();
        if let Some(found) = numbered(text).and_then(ruby_frame) {
            frames.push(found);
        } else if let Some(mut found) = head(text) {
            found.frames.extend(frames.drain(..).rev());
            exceptions.push(found);
        }
    }
    Some(Trace { runtime: Runtime::Ruby, exceptions, thread: None })
}

/// What follows the number of `3: from a.rb:6:in 'm'`.
fn numbered(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = text.bytes().position(|it| !it.is_ascii_digit())?;
    text[digits..].strip_prefix(": from ").filter(|it| digits > 0 && shape::is_ruby_frame(it))
}

/// The thread's name in `#<Thread:0x00007f@worker a.rb:1 run> terminated with exception (…):`.
fn dead_thread(text: &str) -> Option<Option<String>> {
    let rest = text.strip_prefix("#<Thread:").filter(|it| it.contains("> terminated with exception"))?;
    let word = rest.split(' ').next().unwrap_or("");
    Some(word.split_once('@').map(|it| it.1.to_owned()))
}

/// `f.rb:6:in 'm': message (Type)`, with its own frame.
fn head(text: &str) -> Option<Exception> {
    if !shape::is_ruby_frame(text) {
        return None;
    }
    let (at, said) = text.split_once("': ")?;
    let mut found = match said.rsplit_once(" (") {
        Some((message, kind)) if kind.ends_with(')') && is_constant(&kind[..kind.len() - 1]) => {
            exception(&kind[..kind.len() - 1], message)
        }
        _ if said == "unhandled exception" => exception("RuntimeError", ""),
        _ if is_constant(said) => exception(said, ""),
        _ => exception("", said),
    };
    found.frames.extend(ruby_frame(at));
    Some(found)
}

fn is_constant(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_uppercase()) && shape::name_length(text) == text.len()
}

/// Whether the lines before frames name an exception: another one, where there was one before.
fn is_named(lines: &[&str]) -> bool {
    lines.iter().any(|it| it.trim() == "Causes:" || it.trim_start().starts_with("Caused by "))
}

/// `Type (message):`, `message (Type)`, or only a message.
fn said(lines: &[&str]) -> Exception {
    for line in lines {
        let text = line.trim();
        if shape::typed_name(text) {
            let (kind, message) = split_kind(text);
            return exception(kind, message.trim_end_matches([':', ')']));
        }
        if let Some((message, kind)) = text.strip_suffix(')').and_then(|it| it.rsplit_once(" ("))
            && is_constant(kind)
        {
            return exception(kind, message);
        }
    }
    let first = lines.iter().find(|it| !it.trim().is_empty()).copied().unwrap_or("");
    exception("", first.trim())
}

/// `[from ]f.rb:6:in 'C#m'`
fn ruby_frame(text: &str) -> Option<Frame> {
    let text = text.strip_prefix("from ").unwrap_or(text);
    if !shape::is_ruby_frame(text) {
        return None;
    }
    let at = text.find(":in `").or_else(|| text.find(":in '"))?;
    let (file, line) = place(&text[..at]);
    Some(frame(text[at + 5..].trim_end_matches('\''), file.as_deref(), line))
}
