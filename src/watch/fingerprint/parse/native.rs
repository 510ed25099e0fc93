//! C and C++: sanitizers, `terminate`, assertions, glibc's checks. Only the first stack counts.

use super::{exception, frame, place};
use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

pub(super) fn is_head(text: &str) -> bool {
    (text.starts_with("==") && (text.contains("ERROR: ") || text.contains("WARNING: ")))
        || text.starts_with("terminate called ")
        || shape::has(text, ": runtime error: ") && !text.contains("panic")
        || shape::has(text, ": Assertion ") && shape::has(text, " failed")
        || (text.starts_with("ERROR: ") || text.starts_with("WARNING: ")) && text.contains("Sanitizer: ")
        || text.starts_with("*** ") && text.contains("detected ***")
        || shape::numbered(text).is_some_and(|it| it.starts_with("0x"))
}

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let at = lines.iter().position(|it| is_head(it.trim()))?;
    let mut found = head(lines[at].trim(), &lines[at + 1..]);
    let mut frames: Vec<Frame> = Vec::new();
    for line in &lines[at..] {
        match shape::numbered(line.trim()) {
            Some(rest) => frames.extend(native_frame(rest)),
            // A blank line ends the first stack; the others say where memory came from.
            None if !frames.is_empty() && line.trim().is_empty() => break,
            None => {}
        }
    }
    if !frames.is_empty() {
        found.frames = frames;
    }
    Some(Trace { runtime: Runtime::Cpp, exceptions: vec![found], thread: None })
}

fn head(text: &str, after: &[&str]) -> Exception {
    if text.starts_with("terminate called ") {
        let kind = text.split('\'').nth(1).unwrap_or("terminate");
        let what = after.first().map(|it| it.trim()).and_then(|it| it.strip_prefix("what():")).unwrap_or("");
        return exception(kind, what.trim());
    }
    if let Some((before, message)) = text.split_once(": runtime error: ") {
        let mut found = exception("runtime error", message);
        let (file, line) = place(before);
        found.frames.extend(file.map(|file| frame("", Some(&file), line)));
        return found;
    }
    if let Some((before, condition)) = text.split_once(": Assertion ") {
        return assertion(before, condition);
    }
    // `==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x…`
    let after = text.trim_start_matches(['=', ' ']).trim_start_matches(|it: char| it.is_ascii_digit());
    let after = after.trim_start_matches(['=', ' ']);
    let after = after.strip_prefix("ERROR: ").or_else(|| after.strip_prefix("WARNING: ")).unwrap_or(after);
    match after.split_once(": ") {
        Some((tool, what)) => {
            let end = [" on ", " (", ": ", " in "]
                .iter()
                .filter_map(|it| what.find(it))
                .min()
                .unwrap_or(what.len());
            exception(&format!("{tool}: {}", &what[..end]), "")
        }
        None => exception(after, ""),
    }
}

/// `app: file:21: int f(int): ` and `` `x' failed. ``
fn assertion(before: &str, condition: &str) -> Exception {
    let mut found = exception("Assertion", condition.trim_end_matches('.'));
    let parts: Vec<&str> = before.splitn(4, ':').collect();
    if let [_, file, line, function] = parts[..] {
        found.frames.push(frame(function.trim(), Some(file.trim()), super::number(line.trim())));
    }
    found
}

/// `0x55 in f(int) file:10:3`, `0x55 (lib.so+0x1)`, `f (a=1) at file.c:3`
fn native_frame(rest: &str) -> Option<Frame> {
    let rest = match rest.split_once(' ') {
        Some((address, rest)) if address.starts_with("0x") => rest.trim_start(),
        _ => rest,
    };
    let rest = rest.strip_prefix("in ").unwrap_or(rest);
    if rest.starts_with('(') {
        let module = rest.trim_matches(['(', ')']).split('+').next()?;
        return Some(frame("", Some(module), None));
    }
    if let Some((call, location)) = rest.rsplit_once(" at ") {
        let (file, line) = place(location);
        return Some(frame(call.split(" (").next()?, file.as_deref(), line));
    }
    // The place is the last word, unless it is part of the function's arguments.
    let (function, location) = match rest.rsplit_once(' ') {
        Some((function, location)) if !location.ends_with(')') || location.starts_with('(') => {
            (function, location)
        }
        _ => (rest, ""),
    };
    let location = location.trim_matches(['(', ')']).split("+0x").next().unwrap_or("");
    let (file, line) = place(location);
    Some(frame(function, file.as_deref(), line))
}
