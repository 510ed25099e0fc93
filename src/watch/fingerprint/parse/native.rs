//! C, C++ and kernels: sanitizers, `terminate`, assertions, failed checks, signals, glibc's checks. One stack counts: the first
//! that names a function of the service's own; the others say where memory came from, or show the same one without names.

mod frame;
mod head;

use self::frame::Numbered;
use crate::model::trace::{Frame, Runtime, Trace};
use crate::watch::fingerprint::frames;
use crate::watch::join::shape;

/// Whether the line tells that a native program printed it.
pub(super) fn is_head(text: &str) -> bool {
    match text.as_bytes().first() {
        Some(b'#' | b'*' | b'=' | b'[' | b'(') => {}
        // Words that other programs say too are asked for in [`is_weak_head`].
        Some(b'F' | b'R' | b's' | b'T' | b'P') if is_weak_head(text) => return false,
        Some(_) => {
            let is_placed = shape::has(text, ": runtime error: ") || shape::has(text, ": Assertion ");
            if !is_placed && !text.starts_with(|it: char| b"tEWABkKIOUgids".contains(&(it as u8))) {
                return false;
            }
        }
        None => return false,
    }
    head::read(text, &[]).is_some()
}

fn is_weak_head(text: &str) -> bool {
    ["Fatal signal ", "Received signal ", "signal ", "Program ", "Thread "]
        .iter()
        .any(|it| text.starts_with(it))
}

/// Whether the line tells so together with a frame in one of those behind it.
pub(super) fn is_head_of_frames(text: &str, after: &[&str]) -> bool {
    let is_head = is_weak_head(text) && head::read(text, &[]).is_some()
        || shape::find(text, "heck failed: ").is_some_and(|it| it < 160)
        || shape::find(text, "ssertion failed").is_some_and(|it| it < 200)
        || shape::find(text, "CHECK failed: ").is_some_and(|it| it < 16);
    is_head && after.iter().any(|it| frame::read(it.trim()).is_some())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}

pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let (at, mut found) = lines.iter().enumerate().find_map(|(at, line)| {
        let text = line.trim();
        let is_here = is_head(text) || is_head_of_frames(text, &lines[at + 1..]);
        is_here.then(|| (at, head::read(text, &lines[at + 1..]).unwrap_or_else(|| head::failed(text))))
    })?;
    let stack = stack(&lines[at..]);
    // A place in the head says more than modules do.
    if found.frames.is_empty() || stack.iter().any(|it| !it.function.is_empty()) {
        found.frames = stack;
    }
    Some(Trace { runtime: Runtime::Cpp, exceptions: vec![found], thread: None })
}

/// The frames of the stack that counts.
fn stack(lines: &[&str]) -> Vec<Frame> {
    let mut stacks: Vec<Vec<Frame>> = vec![Vec::new()];
    let mut last: Option<u32> = None;
    // A title or a blank line came since the last frame.
    let mut is_parted = false;
    for line in lines {
        let text = line.trim();
        let found = match frame::read(text) {
            Some(found) => Some(found),
            None => of_kernel(text).map(|frame| Numbered { number: None, frame }),
        };
        let Some(Numbered { number, frame }) = found else {
            // Where the processor stood is the top of a kernel's trace.
            let is_trace =
                text.eq_ignore_ascii_case("call trace:") && stacks.last().is_some_and(|it| it.len() < 2);
            is_parted = !is_trace && (is_parted || text.is_empty() || text.ends_with(':'));
            continue;
        };
        let is_next = match (last, number) {
            (Some(last), Some(number)) => number > last || number == last && (number > 0 || !is_parted),
            // Frames of one stack have numbers, all or none; a place of a kernel's stands alone.
            (None, None) => !is_parted,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_next && stacks.last().is_some_and(|it| !it.is_empty()) {
            stacks.push(Vec::new());
        }
        (last, is_parted) = (number, false);
        if let Some(stack) = stacks.last_mut() {
            stack.push(frame);
        }
    }
    let has = |it: &[Frame], is_so: &dyn Fn(&Frame) -> bool| {
        it.iter().any(|it| !it.function.is_empty() && is_so(it))
    };
    // Every stack has a `main`.
    let is_own = |it: &Frame| it.function != "main" && frames::is_own(Runtime::Cpp, it);
    let first = stacks.iter().find(|it| has(it, &is_own));
    // The same one again, with places.
    let placed = first.and_then(|first| {
        let is_in_first = |it: &Frame| first.iter().any(|other| other.function == it.function);
        stacks.iter().find(|it| has(it, &|it| it.line.is_some() && is_own(it) && is_in_first(it)))
    });
    let best = placed.or(first).or_else(|| stacks.iter().find(|it| has(it, &|_| true))).or(stacks.first());
    best.cloned().unwrap_or_default()
}

/// A kernel's frame, also where the processor stood: `RIP: 0010:f+0x1/0x2`, `pc : f+0x1/0x2`.
fn of_kernel(text: &str) -> Option<Frame> {
    if !shape::has(text, "/0x") {
        return None;
    }
    let text = match text.strip_prefix("RIP: ").or_else(|| text.strip_prefix("RIP")) {
        Some(rest) => rest.split([' ', ':', ']']).find(|it| it.contains("+0x"))?,
        None => text.strip_prefix("pc : ").unwrap_or(text),
    };
    frame::kernel(text)
}
