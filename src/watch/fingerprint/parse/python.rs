//! Python's tracebacks, chains and groups.

use super::{exception, frame, split_kind};
use crate::model::trace::{Exception, Frame, Runtime, Trace};

const HEAD: &str = "Traceback (most recent call last):";
const STACK: &str = "Stack (most recent call last):";

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let mut exceptions: Vec<Exception> = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    // What the innermost exceptions of a group are: they come after it and are the cause.
    let mut in_group: Vec<Exception> = Vec::new();
    let mut group_level = 0;
    let mut base = None;
    let mut is_open = false;
    for line in lines {
        let level = group_depth(line);
        let text = ungroup(line);
        let trimmed = text.trim();
        if trimmed == STACK {
            if !exceptions.is_empty() {
                // Where the line was logged is not where it failed.
                break;
            }
            return Some(stack(lines));
        }
        if trimmed.ends_with(HEAD) {
            base = Some(text.len() - text.trim_start().len());
            frames.clear();
            is_open = true;
            group_level = level;
        } else if let Some(found) = read_frame(trimmed) {
            if base.is_none() {
                base = Some(0);
                is_open = true;
            }
            if is_open {
                frames.push(found);
            }
        } else if trimmed.is_empty() || trimmed.starts_with("[Previous line repeated") {
            // The repeated line is collapsed with the others.
        } else if is_open {
            let indent = text.len() - text.trim_start().len();
            if indent > base.unwrap_or(0) {
                continue;
            }
            let (kind, message) = split_kind(trimmed);
            if kind.is_empty() {
                continue;
            }
            let mut found = exception(kind, message);
            found.frames = frames.drain(..).rev().collect();
            if group_level > 0 && level > 1 {
                in_group.push(found)
            } else {
                exceptions.push(found)
            }
            is_open = false;
        } else if level > 1 && is_leaf(trimmed) {
            // A member of a group without frames of its own.
            let (kind, message) = split_kind(trimmed);
            in_group.push(exception(kind, message));
        } else if let Some(last) = exceptions.last_mut().filter(|_| !is_join(trimmed) && level == 0) {
            last.message.push('\n');
            last.message.push_str(text);
        }
    }
    if is_open && !frames.is_empty() {
        // The end was cut off.
        let mut found = exception("", "");
        found.frames = frames.drain(..).rev().collect();
        exceptions.push(found);
    }
    in_group.sort_by(|a, b| a.kind.cmp(&b.kind));
    in_group.dedup_by(|a, b| a.kind == b.kind && a.frames == b.frames);
    in_group.extend(exceptions);
    let thread = lines
        .iter()
        .find_map(|it| it.strip_prefix("Exception in thread "))
        .map(|it| it.trim_end_matches(':').to_owned());
    Some(Trace { runtime: Runtime::Python, exceptions: in_group, thread })
}

/// A log line with the stack it was written from.
fn stack(lines: &[&str]) -> Trace {
    let mut found = exception("", lines.first().map_or("", |it| it.trim()));
    found.frames = lines.iter().filter_map(|it| read_frame(it.trim())).collect();
    found.frames.reverse();
    Trace { runtime: Runtime::Python, exceptions: vec![found], thread: None }
}

fn is_join(text: &str) -> bool {
    text.starts_with("During handling of the above exception")
        || text.starts_with("The above exception was the direct cause")
}

fn is_leaf(text: &str) -> bool {
    !text.starts_with(['+', '|', '-', '^', '~']) && text.contains(':') && !text.contains("---")
}

/// How deep in a group a line stands: how many columns before its `|` or `+`.
fn group_depth(line: &str) -> usize {
    let trimmed = line.trim_start();
    if trimmed.starts_with("| ") || trimmed.starts_with("+ ") || trimmed.starts_with("+-") || trimmed == "|" {
        (line.len() - trimmed.len()) / 2
    } else {
        0
    }
}

/// The line without the marks of a group.
fn ungroup(line: &str) -> &str {
    let trimmed = line.trim_start();
    if line.len() == trimmed.len() {
        return line;
    }
    trimmed.strip_prefix("| ").or_else(|| trimmed.strip_prefix("+ ")).unwrap_or(line)
}

/// `File "p", line n, in f`
fn read_frame(text: &str) -> Option<Frame> {
    let rest = text.strip_prefix("> ").unwrap_or(text).strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let line = super::number(rest);
    let function = rest.split_once(", in ").map_or("", |it| it.1);
    Some(frame(function.trim(), Some(file), line))
}
