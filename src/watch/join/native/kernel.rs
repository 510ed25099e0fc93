//! Linux: oops, panic, KASAN and its kin, the out-of-memory killer.
//!
//! Lines come with a stamp each, `[  126.013117] `, or without one, as a shipper left them. Formats: the kernel's
//! `Documentation/admin-guide/bug-hunting.rst` and `Documentation/dev-tools/kasan.rst`, `mm/oom_kill.c`.

use super::{ABORT, is_rule};
use crate::model::trace::Runtime;
use crate::watch::join::line::View;
use crate::watch::join::machine::{Kind, Opening, State, Step, Sure};
use crate::watch::join::shape::{find, has, numbered};

/// An oops or a report.
const OOPS: u8 = super::FIRST_OF_KERNEL;
/// Its end was printed; a panic may follow.
const ENDED: u8 = OOPS + 1;
/// What the out-of-memory killer found, up to whom it killed.
const MEMORY: u8 = OOPS + 2;
/// `------------[ cut here ]------------`
const CUT: u8 = OOPS + 3;

/// Lines between the end of an oops and the panic it caused.
const MAX_BETWEEN: u32 = 16;
/// Lines of the out-of-memory killer's tables.
const MAX_TABLE: u32 = 1500;

pub(super) fn open(body: &str) -> Option<Opening> {
    let state = |phase| State::new(Kind::Native, Runtime::Cpp, phase);
    if body.starts_with("------------[ cut here ]") {
        return Some((state(CUT), Sure::Perhaps));
    }
    if body.as_bytes().last() != Some(&b'=') && is_head(body) {
        return Some((state(OOPS), Sure::Yes));
    }
    // A name and the killer: `java invoked oom-killer: gfp_mask=…`
    let killer = find(body, " invoked oom-killer: ")?;
    (killer < 32).then(|| (state(MEMORY), Sure::Yes))
}

/// The first line of an oops, a panic or a report.
pub(super) fn is_head(text: &str) -> bool {
    let is = |starts: &[&str]| starts.iter().any(|it| text.starts_with(it));
    match text.as_bytes().first() {
        Some(b'B') => is(&[
            "BUG: KASAN: ",
            "BUG: KMSAN: ",
            "BUG: KCSAN: ",
            "BUG: KFENCE: ",
            "BUG: unable to handle ",
            "BUG: kernel NULL pointer",
            "BUG: soft lockup",
            "BUG: scheduling while atomic",
            "BUG: sleeping function",
            "BUG: workqueue lockup",
            "BUG: Bad page",
            "BUG: spinlock ",
        ]),
        Some(b'K') => is(&["Kernel panic - not syncing: "]),
        Some(b'k') => is(&["kernel BUG at "]),
        Some(b'g') => is(&["general protection fault"]) && has(text, "[#"),
        Some(b'i') => is(&["invalid opcode: "]) && has(text, "[#"),
        Some(b'd') => is(&["divide error: "]) && has(text, "[#"),
        Some(b's') => is(&["stack segment: "]) && has(text, "[#"),
        Some(b'O') => is(&["Oops: "]) && has(text, "[#"),
        Some(b'I') => is(&["Internal error: "]) && has(text, "[#"),
        Some(b'U') => is(&["Unable to handle kernel ", "UBSAN: "]),
        Some(b'W') => is(&["WARNING: CPU: "]) && has(text, " PID: "),
        Some(b'w') => is(&["watchdog: BUG: soft lockup"]),
        Some(_) | None => false,
    }
}

/// `f+0x74/0xa0`, as only a kernel's frames have it.
pub(super) fn is_frame(text: &str) -> bool {
    let Some(plus) = find(text, "+0x") else { return false };
    let rest = &text[plus + 3..];
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    plus > 0 && digits > 0 && rest[digits..].starts_with("/0x")
}

pub(super) fn step(state: &mut State, view: &View<'_>) -> Step {
    let text = view.body.trim_start();
    state.count += 1;
    if state.phase == CUT {
        let is_part = is_head(text);
        state.enter(OOPS);
        return if is_part { Step::Take } else { Step::End };
    }
    let is_stamped = is_stamp(view.prefix);
    if has_level(view) {
        return Step::Take;
    }
    if view.is_prefixed && !is_stamped {
        return Step::End;
    }
    if text.is_empty() {
        return Step::Hold;
    }
    if state.phase == MEMORY {
        return memory(state, view, text);
    }
    // A kernel that runs as a program dies of its panic.
    if view.colons.has_check && has(text, ": Assertion ") {
        state.enter(ABORT);
        return Step::Take;
    }
    if text.starts_with("Kernel panic - not syncing") || text.starts_with("---[ end ") {
        state.enter(ENDED);
        return Step::Take;
    }
    if state.phase == ENDED {
        let is_last = LAST.iter().any(|it| text.starts_with(it));
        return if is_last { Step::Take } else { between(state, view) };
    }
    let is_new = is_head(text) && !is_cause(text) || text.starts_with("------------[ cut here ]");
    if is_new && state.count > 4 {
        return Step::End;
    }
    if is_new || is_part(text) || is_head(text) { Step::Take } else { between(state, view) }
}

/// A line that may stand between two that belong together: the kernel's, or any where a shipper left no stamps.
fn between(state: &State, view: &View<'_>) -> Step {
    let begins = matches!(view.opening(), Some((_, Sure::Yes | Sure::Perhaps)));
    let is_bare = state.are_prefixed != Some(true) && view.is_bare();
    if begins || state.count > MAX_BETWEEN && state.phase == ENDED {
        return Step::End;
    }
    if is_bare || view.has_prefix() || view.indent() > 0 { Step::Hold } else { Step::End }
}

/// `[  126.013117] `, or what else stands in brackets before a kernel's words: an address, a process in the killer's table.
fn is_stamp(prefix: &str) -> bool {
    let Some((_, last)) = prefix.rsplit_once('[') else { return false };
    let inner = last.trim_end().trim_end_matches(|it: char| it != ']').trim_end_matches(']');
    inner.bytes().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b' '))
        || inner.trim() == "pid"
        || inner.starts_with('<')
}

/// The allocator's words on the object: `INFO: Freed in f+0x1/0x2`.
pub(super) fn has_level(view: &View<'_>) -> bool {
    view.prefix.ends_with("INFO: ") && ALLOCATOR.iter().any(|it| view.body.starts_with(it))
}

const ALLOCATOR: [&str; 4] = ["Allocated in ", "Freed in ", "Slab 0x", "Object 0x"];

/// What may be said behind the end of an oops.
const LAST: [&str; 5] =
    ["Kernel Offset: ", "Rebooting in ", "Dumping ftrace", "CPU features: ", "Memory Limit: "];

/// A head that comes behind another one of the same oops.
fn is_cause(text: &str) -> bool {
    ["Oops: ", "invalid opcode: ", "general protection fault", "Internal error: "]
        .iter()
        .any(|it| text.starts_with(it))
}

fn memory(state: &mut State, view: &View<'_>, text: &str) -> Step {
    let is_killed =
        text.starts_with("Out of memory: Kill") || text.starts_with("Memory cgroup out of memory: Kill");
    if is_killed {
        return Step::Done;
    }
    let is_new = is_head(text) || has(text, " invoked oom-killer: ");
    if is_new || state.count > MAX_TABLE || view.stands_alone {
        return Step::End;
    }
    // Its tables are long, and every row has a stamp.
    let is_part = is_frame(text)
        || is_stamp(view.prefix)
        || view.indent() > state.base
        || state.are_prefixed != Some(true);
    if is_part { Step::Take } else { Step::End }
}

fn is_part(text: &str) -> bool {
    const PARTS: [&str; 43] = [
        "Call Trace:",
        "Call trace:",
        "CPU: ",
        "Hardware name: ",
        "RIP: ",
        "RIP  ",
        "Code: ",
        "Modules linked in:",
        "#PF: ",
        "PGD ",
        "pgd = ",
        "*pgd=",
        "PC is at ",
        "LR is at ",
        "CR2: ",
        "which belongs to",
        "RSP ",
        "RSP: ",
        "CS: ",
        "FS: ",
        "EIP: ",
        "Stack:",
        "Read of size ",
        "Write of size ",
        "Memory state around",
        "The buggy address",
        "Allocated by task",
        "Freed by task",
        "page:",
        "raw: ",
        "flags: ",
        "page dumped",
        "Workqueue: ",
        "task: ",
        "Process ",
        "pstate: ",
        "Linux Kernel Library Stack Trace",
        "Disabling lock debugging",
        "Kernel Offset: ",
        "Rebooting in ",
        "Dumping ftrace",
        "CPU features: ",
        "Memory Limit: ",
    ];
    is_frame(text)
        || numbered(text).is_some()
        || is_rule(text)
        || is_registers(text)
        || PARTS.iter().any(|it| text.starts_with(it))
        || text.starts_with("[<")
        || text.starts_with('<') && text.ends_with('>')
}

/// `RAX: 0000000000000000 RBX: …`, `x29: ffff…`, `pc : f+0x1/0x2`, `ffff888: 00 00`, and rows of such numbers alone.
fn is_registers(text: &str) -> bool {
    let text = text.trim_start_matches('>');
    let word = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    let rest = text[word..].trim_start();
    let value = rest.strip_prefix(':').map_or("", str::trim_start);
    let hex = |it: &str| it.bytes().take_while(u8::is_ascii_hexdigit).count();
    (1..=16).contains(&word) && (hex(value) >= 8 || word >= 8 && hex(text) == word && hex(value) == 2)
        || word >= 16 && hex(text) == word
        || text.starts_with('^')
}

/// Phases of this file.
pub(super) fn is_mine(phase: u8) -> bool {
    (OOPS..=CUT).contains(&phase)
}
