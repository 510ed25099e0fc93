//! What happened, as the first telling line of a native crash says it.

use super::frame::numbered;
use crate::model::trace::Exception;
use crate::watch::fingerprint::parse::{exception, frame, number, place};
use crate::watch::join::shape::{find, has};

/// Reads the head in this line; `after` are the lines behind it.
pub(super) fn read(text: &str, after: &[&str]) -> Option<Exception> {
    report(text)
        .or_else(|| terminate(text, after))
        .or_else(|| undefined(text))
        .or_else(|| assertion(text))
        .or_else(|| boxed(text, after))
        .or_else(|| check(text))
        .or_else(|| signal(text, after))
        .or_else(|| kernel(text))
        .or_else(|| {
            let is_stray = numbered(text).is_some_and(|it| it.1.starts_with("0x"));
            is_stray.then(|| exception("", ""))
        })
        .or_else(|| debugger(text))
        .or_else(|| {
            text.strip_prefix("*** GWP-ASan detected ")
                .map(|it| exception("GWP-ASan", it.trim_end_matches(" ***")))
        })
        .or_else(|| (text.starts_with("*** ") && text.contains("detected ***")).then(|| exception(text, "")))
}

/// `==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x…`
fn report(text: &str) -> Option<Exception> {
    if let Some(what) = valgrind(text) {
        let end = [" of size", " at ", "("].iter().filter_map(|it| what.find(it)).min();
        return Some(exception(&what[..end.unwrap_or(what.len())], ""));
    }
    let number =
        text.strip_prefix("==").and_then(|it| it.split_once("==")).filter(|it| super::is_number(it.0));
    let rest = number.map_or(text, |it| it.1.trim_start());
    let what = rest.strip_prefix("ERROR: ").or_else(|| {
        rest.strip_prefix("WARNING: ").filter(|it| find(it, "Sanitizer: ").is_some_and(|at| at < 40))
    })?;
    if number.is_none() && !has(what, "Sanitizer: ") && !what.starts_with("libFuzzer: ") {
        return None;
    }
    let Some((tool, what)) = what.split_once(": ") else { return Some(exception(what, "")) };
    let end = [" on ", " (", ": ", " in "].iter().filter_map(|it| what.find(it)).min().unwrap_or(what.len());
    Some(exception(&format!("{tool}: {}", &what[..end]), ""))
}

/// `==12== Invalid read of size 4`
fn valgrind(text: &str) -> Option<&str> {
    let (number, rest) = text.strip_prefix("==")?.split_once("== ")?;
    let is_head = [
        "Invalid ",
        "Mismatched free",
        "Conditional jump",
        "Use of uninit",
        "Syscall param",
        "Process terminating",
    ]
    .iter()
    .any(|it| rest.starts_with(it));
    (is_head && super::is_number(number)).then_some(rest)
}

fn terminate(text: &str, after: &[&str]) -> Option<Exception> {
    if !text.starts_with("terminate called ") {
        return None;
    }
    let kind = text.split('\'').nth(1).unwrap_or("terminate");
    let what = after.first().map(|it| it.trim()).and_then(|it| it.strip_prefix("what():")).unwrap_or("");
    Some(exception(kind, what.trim()))
}

fn undefined(text: &str) -> Option<Exception> {
    let at = find(text, ": runtime error: ").filter(|_| !text.contains("panic"))?;
    let mut found = exception("runtime error", &text[at + ": runtime error: ".len()..]);
    let (file, line) = place(&text[..at]);
    found.frames.extend(file.map(|file| frame("", Some(&file), line)));
    Some(found)
}

/// `app: file:21: int f(int): ` and `` `x' failed. ``
fn assertion(text: &str) -> Option<Exception> {
    if let Some(condition) = text.strip_prefix("ASSERTION FAILED: ") {
        return Some(exception("Assertion", condition));
    }
    // macOS: `Assertion failed: (n > 0), function total, file basket.c, line 12.`
    if let Some((condition, place)) =
        text.strip_prefix("Assertion failed: ").and_then(|it| it.split_once(", function "))
    {
        let mut found = exception("Assertion", condition);
        if let Some((function, place)) = place.split_once(", file ") {
            let (file, line) = place.split_once(", line ").unwrap_or((place, ""));
            found.frames.push(frame(function, Some(file), number(line)));
        }
        return Some(found);
    }
    let at = find(text, ": Assertion ").filter(|_| has(text, " failed"))?;
    let (before, condition) = (&text[..at], &text[at + ": Assertion ".len()..]);
    let mut found = exception("Assertion", condition.trim_end_matches('.'));
    let parts: Vec<&str> = before.splitn(4, ':').collect();
    if let [_, file, line, function] = parts[..] {
        found.frames.push(frame(function.trim(), Some(file.trim()), number(line.trim())));
    }
    Some(found)
}

/// `# Fatal error in a/b.cc, line 12` and the reason in the next line.
fn boxed(text: &str, after: &[&str]) -> Option<Exception> {
    let rest = text.strip_prefix("# ")?;
    let reason = after.iter().find_map(|it| it.trim().strip_prefix("# ")).map_or("", str::trim);
    let what = ["Fatal error in ", "Runtime error in ", "Fatal javascript OOM in "]
        .iter()
        .find_map(|it| rest.strip_prefix(it).map(|place| (it.trim_end_matches(" in "), place)));
    let Some((kind, location)) = what.filter(|it| it.1.contains(", line ")) else {
        let is_known = rest.starts_with("Fatal ") || rest.starts_with("V8 correctness failure");
        let (kind, message) = rest.split_once(": ").unwrap_or((rest, reason));
        return is_known.then(|| exception(kind, message));
    };
    let mut found = condition(reason).unwrap_or_else(|| exception(kind, reason));
    if let Some((file, line)) = location.split_once(", line ") {
        found.frames.push(frame("", Some(file), number(line)));
    }
    Some(found)
}

/// `Check failed: a == b (1 vs. 2).`, `Security DCHECK failed: x.`, `Debug check failed: x`
fn condition(text: &str) -> Option<Exception> {
    let (kind, condition) = text.split_once(" failed: ")?;
    let is_check = kind.len() < 24 && kind.to_ascii_lowercase().ends_with("check");
    is_check.then(|| exception(&format!("{kind} failed"), condition.trim_end_matches('.')))
}

/// The same behind a prefix, or an assertion in words of its own.
pub(super) fn failed(text: &str) -> Exception {
    match find(text, "heck failed: ") {
        Some(at) => exception("Check failed", text[at + "heck failed: ".len()..].trim_end_matches('.')),
        None => exception("Assertion", text),
    }
}

/// Chromium's `[1:1:0412/075451.163515:FATAL:a.cc(57)] Check failed: x`.
fn check(text: &str) -> Option<Exception> {
    let at = find(text, "FATAL:").filter(|_| text.starts_with(['[', 'A']))?;
    let (location, message) = text[at + "FATAL:".len()..].split_once("] ")?;
    let (file, line) = location.trim_end_matches(')').rsplit_once(['(', ':'])?;
    let mut found = condition(message).unwrap_or_else(|| exception("FATAL", message));
    found.frames.push(frame("", Some(file), number(line)));
    Some(found)
}

/// `(170c.1c04): Access violation - code c0000005 (first chance)`
fn debugger(text: &str) -> Option<Exception> {
    let (_, rest) = text.strip_prefix('(')?.split_once("): ")?;
    let (kind, _) = rest.split_once(" - code ")?;
    Some(exception(kind, ""))
}

/// `Received signal 11 SEGV_MAPERR …`, `Fatal signal 6 (SIGABRT), code …`, `Program received signal SIGTRAP, …`
fn signal(text: &str, after: &[&str]) -> Option<Exception> {
    let name = if let Some(rest) = text.strip_prefix("Received signal ") {
        let mut words = rest.split(' ');
        let first = words.next().filter(|it| super::is_number(it))?;
        words.next().map_or_else(|| format!("signal {first}"), str::to_owned)
    } else {
        let is_signal = text.starts_with("Fatal signal ")
            || text.starts_with("signal ")
            || text.starts_with("Program ")
            || text.starts_with("Thread ")
            || text.starts_with("*** SIG");
        let at = find(text, "SIG")
            .filter(|_| is_signal && (has(text, "signal ") || has(text, " received by PID ")))?;
        text[at..].split(|it: char| !it.is_ascii_alphanumeric()).next()?.to_owned()
    };
    let reason = after.iter().find_map(|it| it.trim().strip_prefix("Abort message: "));
    Some(exception(&name, reason.map_or("", |it| it.trim_matches('\''))))
}

/// `BUG: KASAN: slab-out-of-bounds in f+0x1/0x2`, `kernel BUG at a.c:12!`, `Kernel panic - not syncing: x`
fn kernel(text: &str) -> Option<Exception> {
    if let Some(rest) = text.strip_prefix("BUG: ") {
        let end = [" in ", ", address", " at ", " - ", " on "].iter().filter_map(|it| rest.find(it)).min();
        return Some(exception(&format!("BUG: {}", &rest[..end.unwrap_or(rest.len())]), ""));
    }
    if let Some(rest) = text.strip_prefix("kernel BUG at ") {
        let mut found = exception("kernel BUG", rest);
        let (file, line) = place(rest.trim_end_matches('!'));
        found.frames.extend(file.map(|it| frame("", Some(&it), line)));
        return Some(found);
    }
    for head in ["Kernel panic - not syncing: ", "Internal error: ", "Oops: ", "UBSAN: "] {
        if let Some(rest) = text.strip_prefix(head) {
            return Some(exception(head.trim_end_matches([':', ' ']), rest));
        }
    }
    if text.starts_with("Unable to handle kernel ") {
        let end = text.find(" at ").unwrap_or(text.len());
        return Some(exception(&text[..end], ""));
    }
    let at = find(text, " [#")?;
    let (kind, _) = text[..at].split_once(": ")?;
    ["general protection fault", "invalid opcode", "divide error", "stack segment"]
        .iter()
        .any(|it| kind.starts_with(it))
        .then(|| exception(kind, ""))
}
