//! One frame of a native stack, in each of the forms that sanitizers, debuggers, loggers, libraries and kernels print.

use crate::model::trace::Frame;
use crate::watch::fingerprint::parse::{frame, place};
use crate::watch::join::shape;

/// A frame and where in its stack it stands.
pub(super) struct Numbered {
    /// `None` where frames have no numbers.
    pub(super) number: Option<u32>,
    pub(super) frame: Frame,
}

/// Reads a frame from a line without indentation; `None` where it is none, or one that only may have been called.
pub(super) fn read(text: &str) -> Option<Numbered> {
    let found = |number, frame| Some(Numbered { number, frame });
    match text.as_bytes().first()? {
        b'#' => {
            let (number, rest) = numbered(text)?;
            found(Some(number), native(rest)?)
        }
        // Valgrind: `==12==    at 0x109171: f (a.c:12)`
        b'=' => {
            let (_, rest) = text.strip_prefix("==")?.split_once("==   ")?;
            let rest =
                rest.trim_start().strip_prefix("at ").or_else(|| rest.trim_start().strip_prefix("by "))?;
            let (_, call) = rest.split_once(": ")?;
            let (function, location) = call.rsplit_once(" (").unwrap_or((call, ""));
            let location = location.trim_end_matches(')');
            let (file, line) = location
                .strip_prefix("in ")
                .map_or_else(|| place(location), |it| (Some(it.to_owned()), None));
            found(None, frame(name(function), file.as_deref(), line))
        }
        // glog: `@     0x5605  f()`
        b'@' => found(None, native(text[1..].trim_start())?),
        // WebKit: `1   0x7f16 f(int)`; V8: ` 1: 0x34cdfb0`
        b'0'..=b'9' if !text.starts_with("0x") && !text.contains('!') => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let number = text[..digits].parse().ok().filter(|_| digits < 4)?;
            let rest = text[digits..].strip_prefix(':').unwrap_or(&text[digits..]);
            let rest = rest.strip_prefix(' ')?.trim_start();
            rest.starts_with("0x").then(|| native(rest)).flatten().and_then(|it| found(Some(number), it))
        }
        _ => {
            windows(text).or_else(|| debugger(text)).or_else(|| library(text)).and_then(|it| found(None, it))
        }
    }
}

/// A frame of a kernel: `f+0x74/0xa0 [mod]`, `[<ffff>] f+0x1/0x2 a/b.c:3`. What is led by `?` only may have been called.
pub(super) fn kernel(text: &str) -> Option<Frame> {
    let text = match text.split_once(">] ") {
        Some((address, rest)) if address.starts_with("[<") => rest,
        _ => text,
    };
    if text.starts_with("? ") {
        return None;
    }
    let end = shape::find(text, "+0x")?;
    let name = &text[..end];
    let is_name = !name.is_empty() && !name.contains([' ', ':', '(']);
    let rest = &text[end + 3..];
    let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
    let rest = rest.get(digits..)?.strip_prefix("/0x")?;
    let location =
        rest.split(' ').nth(1).filter(|it| it.contains(".c:") || it.contains(".h:") || it.contains(".S:"));
    let (file, line) = location.map_or((None, None), place);
    is_name.then(|| frame(name, file.as_deref(), line))
}

/// `#12 rest` or `#1.2 rest`, where the second number is that of an inlined call.
pub(super) fn numbered(text: &str) -> Option<(u32, &str)> {
    let rest = text.strip_prefix('#')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..digits].parse().ok()?;
    let rest = &rest[digits..];
    let inlined =
        rest.strip_prefix('.').map_or(0, |it| 1 + it.bytes().take_while(u8::is_ascii_digit).count());
    let rest = rest[inlined..].strip_prefix([' ', '\t'])?.trim_start();
    Some((number, rest))
}

/// `0x55 in f(int) file:10:3`, `0x55 f`, `0x55 (lib.so+0x1)`, `f (a=1) at file.c:3`, `pc 0x55  /lib.so (f+12)`
fn native(rest: &str) -> Option<Frame> {
    if rest.starts_with("[<") {
        return kernel(rest);
    }
    let rest = rest.strip_prefix("pc ").map_or(rest, str::trim_start);
    let is_address = |it: &str| {
        let digits = it.strip_prefix("0x").unwrap_or(it);
        digits.len() >= 8 && digits.bytes().all(|it| it.is_ascii_hexdigit()) || it.starts_with("0x")
    };
    let rest = match rest.split_once(' ') {
        Some((address, rest)) if is_address(address) => rest.trim_start(),
        None if is_address(rest) => "",
        _ => rest,
    };
    let rest = rest.strip_prefix("in ").unwrap_or(rest);
    let (rest, module) = without_module(rest);
    if rest.is_empty() || rest.starts_with("<unknown") || rest == "??" {
        return module.map(|it| frame("", Some(it), None));
    }
    // Android: `/system/lib/libc.so (f+12)`
    if rest.starts_with('/') && !rest.contains(' ') {
        let symbol = module.and_then(|it| it.rsplit_once('+')).map(|it| it.0).filter(|it| !it.contains('/'));
        return Some(frame(symbol.map_or("", name), Some(rest), None));
    }
    if is_module(rest) {
        return Some(frame("", Some(rest), None));
    }
    if let Some((call, location)) = rest.rsplit_once(") at ") {
        let (file, line) = place(location);
        return Some(frame(name(call), file.as_deref(), line));
    }
    // The place is the last word, unless it is part of the function.
    let (function, location) = match rest.rsplit_once(' ') {
        Some((function, location)) if is_location(location) => (function, location),
        _ => (rest, ""),
    };
    let (file, line) = place(location);
    Some(frame(name(function), file.as_deref().or(module), line))
}

/// The name of a function without its arguments, what it returns and where in it the call stands.
fn name(text: &str) -> &str {
    let text = text.split("+0x").next().unwrap_or(text).trim();
    let bytes = text.as_bytes();
    let (mut depth, mut start, mut end) = (0_usize, 0, text.len());
    let mut at = 0;
    while at < text.len() {
        let rest = &bytes[at..];
        match rest[0] {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            b'o' if rest.starts_with(b"operator") => at += operator(&text[at..]) - 1,
            b'(' if depth == 0 && rest.starts_with(b"(anonymous ") => {
                at += rest.iter().position(|it| *it == b')').unwrap_or(0);
            }
            b'(' if depth == 0 => {
                end = at;
                break;
            }
            // gdb puts a blank before the arguments.
            b' ' if depth == 0 && !rest.starts_with(b" (") => start = at + 1,
            _ => {}
        }
        at += 1;
    }
    let found = text.get(start..end).unwrap_or("").trim();
    if found.is_empty() { text } else { found }
}

/// Length of `operator()`, `operator<<`, `operator new[]` at the start.
fn operator(text: &str) -> usize {
    let rest = &text["operator".len()..];
    let marks = match rest.strip_prefix(['(', '[']) {
        Some(_) => 2,
        None => rest.bytes().take_while(|it| b"<>=!+-*/%^&|~,".contains(it)).count(),
    };
    // `operator new(…)`, `operator bool(…)`
    let word = if rest.starts_with(' ') { rest.find('(').unwrap_or(rest.len()) } else { 0 };
    "operator".len() + marks.max(word).min(rest.len())
}

/// Without `(/lib/a.so+0x12)`, `(BuildId: …)`, `<liba.so>+0x12` and `(discriminator 3)` at the end; and the module named there.
fn without_module(text: &str) -> (&str, Option<&str>) {
    let (mut text, mut module) = (text.trim_end(), None);
    loop {
        let (rest, last) = match text.rfind(" (").or_else(|| text.starts_with('(').then_some(0)) {
            Some(at) if text.ends_with(')') => {
                (text[..at].trim_end(), text[at..].trim_matches([' ', '(', ')']))
            }
            _ => break,
        };
        let is_note = last.starts_with("BuildId: ") || last.starts_with("discriminator ");
        let name = last.split("+0x").next().unwrap_or(last);
        // `f (a=1, b=2)` of gdb is a call.
        let is_place =
            name.len() < last.len() || name.contains('+') || rest.is_empty() || rest.starts_with('/');
        if !is_note && (!is_place || name.contains(", ")) {
            break;
        }
        if !is_note {
            module = Some(name);
        }
        text = rest;
    }
    if let Some((rest, last)) = text.rsplit_once(' ').or(Some(("", text)))
        && last.starts_with('<')
        && let Some((name, _)) = last.rsplit_once(">+0x")
    {
        return (rest, Some(name.trim_start_matches('<').trim_end_matches('>')));
    }
    (text, module)
}

/// Whether a name is that of a library and not of a function.
fn is_module(text: &str) -> bool {
    !text.contains([' ', '(', ':'])
        && (text.ends_with(".so") || text.contains(".so.") || text.ends_with(".dll") || text == "[vdso]")
}

fn is_location(text: &str) -> bool {
    let has_line = text.ends_with(|it: char| it.is_ascii_digit()) && text.contains(':');
    !text.ends_with([',', ')', '>'])
        && !text.starts_with(['[', '<', '(', '*', '&'])
        && (has_line && !text.contains("::") || text.contains(['/', '\\']))
}

/// `f [0x00007FF9+58] (a/b.cc:332)`
fn windows(text: &str) -> Option<Frame> {
    let at = shape::find(text, " [0x")?;
    let (address, rest) = text[at + 4..].split_once(']')?;
    let (_, offset) = address.split_once('+')?;
    let is_offset = offset.bytes().all(|it| it.is_ascii_digit());
    let location = rest.trim().trim_matches(['(', ')']);
    let (file, line) = place(location);
    is_offset.then(|| frame(name(&text[..at]), file.as_deref(), line))
}

/// `0021f8d8 104c6a2d shop!Basket::total+0x5 [d:\src\basket.cpp @ 12]` of Windows' debuggers.
fn debugger(text: &str) -> Option<Frame> {
    let (addresses, call) = text.split_once('!')?;
    let (addresses, module) = addresses.rsplit_once(' ')?;
    let is_address =
        |it: &str| it.len() >= 2 && it.bytes().all(|it| it.is_ascii_hexdigit() || it == b'`' || it == b' ');
    let (function, rest) = call.split_once("+0x")?;
    let place = rest.split_once('[').and_then(|it| it.1.trim_end_matches(']').rsplit_once(" @ "));
    let (file, line) = place.map_or((Some(module), None), |it| (Some(it.0), super::super::number(it.1)));
    is_address(addresses).then(|| frame(name(function), file, line))
}

/// glibc's `/bin/a(f+0x12) [0x55]`
fn library(text: &str) -> Option<Frame> {
    let text = &text[..shape::find(text, ") [0x").or_else(|| shape::find(text, ")[0x"))?];
    let (module, symbol) = text.split_once('(')?;
    let function = symbol.split("+0x").next().unwrap_or(symbol);
    (module.starts_with(['/', '.']) && !module.contains(' '))
        .then(|| frame(name(function), Some(module), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, function: &str, file: &str, line: u32) {
        let found = read(text).map(|it| it.frame).or_else(|| kernel(text));
        let file = (!file.is_empty()).then(|| file.to_owned());
        let line = (line > 0).then_some(line);
        assert_eq!(
            found,
            Some(Frame { function: function.to_owned(), file, line, ..Frame::default() }),
            "{text}"
        );
    }

    #[test]
    fn functions_are_named_without_arguments_and_results() {
        for (text, expected) in [
            ("f", "f"),
            ("uaf(int)", "uaf"),
            ("void a::g<b::C<int> >(int (*)(char))", "a::g<b::C<int> >"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("a::(anonymous namespace)::f(int) const", "a::(anonymous namespace)::f"),
            ("operator new[](unsigned long)", "operator new[]"),
            ("a::B::operator()(int) const", "a::B::operator()"),
            ("a::operator<<(std::ostream&, int)", "a::operator<<"),
            ("non-virtual thunk to a::B::f()", "a::B::f"),
            ("Each<(lambda at ../../a.h:1:2)>", "Each<(lambda at ../../a.h:1:2)>"),
            ("f ()", "f"),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn frames_of_every_form() {
        check("#0 0x55d0 in uaf(int) /srv/app/main.cpp:12:3", "uaf", "/srv/app/main.cpp", 12);
        check("#1 0x55d0 in C<a::B, int>::f() const a/b.h:7", "C<a::B, int>::f", "a/b.h", 7);
        check("#2 0x55d0 in operator new(unsigned long) x.cc:1:1", "operator new", "x.cc", 1);
        check("#3 0x55d0 in f(int, char const*)", "f", "", 0);
        check("#4 0x7f01 in main (/srv/app+0x1234) (BuildId: 12ab)", "main", "/srv/app", 0);
        check("#5 0x7f01  (/lib/libc.so.6+0x29d8f)", "", "/lib/libc.so.6", 0);
        check("#6 0xf7f0 in linux-gate.so.1", "", "linux-gate.so.1", 0);
        check("#7 0x0000000466ef1 __interceptor_free", "__interceptor_free", "", 0);
        check("#8.1  0x000065 in g(int) ../../a.cc:12 <<application>>+0xacf4c", "g", "../../a.cc", 12);
        check("#2  0x000000000000cdc0 in f (a=0x2, b=<optimized out>) at dev/p.c:362", "f", "dev/p.c", 362);
        check("#1  f (a=1) at dev/p.c:3", "f", "dev/p.c", 3);
        check("#00 pc 0003a870  /system/lib/libc.so (tgkill+12)", "tgkill", "/system/lib/libc.so", 0);
        check("#01 pc 0000bf08  /data/app/lib.so", "", "/data/app/lib.so", 0);
        check("==12==    by 0x1091A3: checkout(int) (shop.c:31)", "checkout", "shop.c", 31);
        check("@     0x5605333e2ca0  a::Log::Flush()", "a::Log::Flush", "", 0);
        check("3   0x7f161a913b13 a::f(int)", "a::f", "", 0);
        check("a::f [0x00007FF9B2DDC1BA+58] (base/x.cc:332)", "a::f", "base/x.cc", 332);
        check("/lib/libc.so.6(__libc_start_main+0xf0) [0x7ff8]", "__libc_start_main", "/lib/libc.so.6", 0);
        check(
            "keyring_destroy+0xe2/0x186 security/keys/keyring.c:172",
            "keyring_destroy",
            "security/keys/keyring.c",
            172,
        );
        check("[<ffffffff92aecf55>] gc+0x436/0x641", "gc", "", 0);
        check("rtc_dev_ioctl+0x3b9/0xb20 [rtc]", "rtc_dev_ioctl", "", 0);
        assert!(kernel("? do_vfs_ioctl+0x6c5/0x15a0").is_none());
        assert!(read("listening on port 80").is_none());
    }
}
