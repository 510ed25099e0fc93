//! Text of a record → [`Trace`]. One file per family of runtimes; parsing never fails, it only finds less.
//!
//! In-app marks are not set here: that is `frames`.

mod at;
mod beam;
mod callstack;
mod go;
mod native;
mod python;
mod ruby;
mod rust;
mod script;

use crate::model::trace::{Exception, Frame, Runtime, Trace};
use crate::watch::join::shape;

/// Reads a trace from lines without prefixes; `None` where there is none.
pub(super) fn parse(lines: &[&str]) -> Option<Trace> {
    let runtime = detect(lines)?;
    let mut trace = match runtime {
        Runtime::Python => python::parse(lines),
        Runtime::Jvm => at::jvm(lines),
        Runtime::Node => at::node(lines),
        Runtime::Dotnet => at::dotnet(lines),
        Runtime::Go => go::parse(lines),
        Runtime::Rust => rust::parse(lines),
        Runtime::Cpp => native::parse(lines),
        Runtime::Swift => callstack::swift(lines),
        Runtime::Ruby => ruby::parse(lines),
        Runtime::Php => script::php(lines),
        Runtime::Perl => script::perl(lines),
        Runtime::Dart => script::dart(lines),
        Runtime::Elixir => beam::parse(lines),
        Runtime::Lua => callstack::lua(lines),
        Runtime::Haskell => callstack::haskell(lines),
        Runtime::Message => None,
    }?;
    trace.exceptions.retain(|it| !it.kind.is_empty() || !it.frames.is_empty());
    (!trace.exceptions.is_empty()).then_some(trace)
}

/// The first line that only one runtime prints decides.
fn detect(lines: &[&str]) -> Option<Runtime> {
    lines.iter().enumerate().find_map(|(place, line)| {
        let text = line.trim();
        let runtime = match text.as_bytes().first()? {
            b'T' if text == "Traceback (most recent call last):" && is_ruby(lines.get(place + 1)) => {
                Some(Runtime::Ruby)
            }
            b'T' | b'+' if text.contains("Traceback (most recent call last)") => Some(Runtime::Python),
            b'S' if text == "Stack (most recent call last):" => Some(Runtime::Python),
            b'F' if text.starts_with("File \"") && text.contains("\", line ") => Some(Runtime::Python),
            b't' if rust::is_head(text) => Some(Runtime::Rust),
            b'p' if text.starts_with("panic: ") => Some(Runtime::Go),
            b'f' if text.starts_with("fatal error: ") => Some(Runtime::Go),
            b'r' if text.starts_with("runtime: goroutine ") => Some(Runtime::Go),
            b'h' if text.starts_with("http: panic serving ") => Some(Runtime::Go),
            b'g' if text.starts_with("goroutine ") && text.ends_with("]:") => Some(Runtime::Go),
            b'W' if text == "WARNING: DATA RACE" => Some(Runtime::Go),
            b'S' if text == "Stack backtrace:" => Some(Runtime::Rust),
            b'C' if text == "Caused by:" && place > 0 => Some(Runtime::Rust),
            b'S' if text == "Stack trace:" && place > 0 => Some(Runtime::Php),
            b'P' if text.starts_with("PHP Fatal error:  Uncaught") => Some(Runtime::Php),
            b'[' if text == "[stacktrace]" => Some(Runtime::Php),
            b'#' if lines[..place].iter().any(|it| it.trim() == "Unhandled exception:") => {
                Some(Runtime::Dart)
            }
            b'#' if text.ends_with(')') && (text.contains(" (package:") || text.contains(" (dart:")) => {
                Some(Runtime::Dart)
            }
            b'F' if text.starts_with("Found ") && text.ends_with(" Java-level deadlock:") => {
                Some(Runtime::Jvm)
            }
            b'*' if text.starts_with("*** Program crashed: ") => Some(Runtime::Swift),
            _ if text.contains(".swift:") && text.contains(": Fatal error") => Some(Runtime::Swift),
            b'F' if text.starts_with("FATAL ERROR: ") && lines.iter().any(|it| it.contains("JS stack")) => {
                Some(Runtime::Node)
            }
            b'S' if text.starts_with("SIG") && is_go(&lines[place..]) => Some(Runtime::Go),
            b'*' if text.starts_with("** (") => Some(Runtime::Elixir),
            b'=' if text.starts_with('=') && text.contains(" REPORT====") => Some(Runtime::Elixir),
            b'e' if text.starts_with("exception error: ") && place > 0 => Some(Runtime::Elixir),
            b'H' if text == "HasCallStack backtrace:" => Some(Runtime::Haskell),
            // What C asserts is told with its place.
            _ if text.ends_with(": Assertion failed") => return None,
            // What Go recovered from has no place before it.
            _ if shape::has(text, ": runtime error: ") && is_go(&lines[place..]) => Some(Runtime::Go),
            b'#' if shape::is_php_frame(text) => Some(Runtime::Php),
            b'P' if text.starts_with("PHP ") && text.contains(":  ") && text.contains(" on line ") => {
                Some(Runtime::Php)
            }
            _ if place > 0 && text.contains("://") && text.contains('@') && shape::is_place(text) => {
                Some(Runtime::Node)
            }
            _ if go::is_error_frame(line, lines.get(place + 1)) => Some(Runtime::Go),
            b'N' if text.starts_with("Node.js v") && place > 2 => Some(Runtime::Node),
            b's' if text == "stack traceback:" => Some(Runtime::Lua),
            b'C' if text.starts_with("CallStack (from ") => Some(Runtime::Haskell),
            b'a' | b'e' => shape::at_frame(text).filter(|_| place > 0),
            _ => None,
        };
        runtime
            .or_else(|| text.ends_with("Traceback (most recent call last):").then_some(Runtime::Python))
            .or_else(|| native::is_head(text).then_some(Runtime::Cpp))
            .or_else(|| native::is_head_of_frames(text, &lines[place + 1..]).then_some(Runtime::Cpp))
            .or_else(|| (shape::is_ruby_frame(text)).then_some(Runtime::Ruby))
            .or_else(|| shape::perl_place(text).then_some(Runtime::Perl))
    })
}

fn is_go(lines: &[&str]) -> bool {
    lines.iter().any(|it| it.starts_with("goroutine ") && it.trim_end().ends_with("]:"))
}

fn is_ruby(line: Option<&&str>) -> bool {
    line.is_some_and(|it| {
        it.trim_start_matches(|it: char| it.is_ascii_digit() || it.is_whitespace()).starts_with(": from ")
    })
}

/// The file, line and what is left of `file:12` or `file:12:34`.
fn place(text: &str) -> (Option<String>, Option<u32>) {
    let mut rest = text.trim();
    let mut numbers = Vec::new();
    while numbers.len() < 2 {
        let Some((before, number)) = rest.rsplit_once(':') else { break };
        let Ok(number) = number.parse::<u32>() else { break };
        numbers.push(number);
        rest = before;
    }
    ((!rest.is_empty()).then(|| rest.to_owned()), numbers.last().copied())
}

fn frame(function: &str, file: Option<&str>, line: Option<u32>) -> Frame {
    let file = file.map(str::to_owned);
    Frame { function: function.to_owned(), file, line, module: None, in_app: false }
}

fn exception(kind: &str, message: &str) -> Exception {
    Exception { kind: kind.to_owned(), message: message.trim_end().to_owned(), frames: Vec::new() }
}

/// `kind: message`, or the whole as kind.
fn split_kind(text: &str) -> (&str, &str) {
    let name = shape::name_length(text);
    let rest = &text[name..];
    match rest.strip_prefix(':') {
        Some(message) => (&text[..name], message.trim_start()),
        None if rest.is_empty() => (text, ""),
        // `TypeError [ERR_X]: message`, `Name (message):`
        None => match rest.split_once("]: ") {
            Some((_, message)) if rest.starts_with(" [") => (&text[..name], message),
            _ => (&text[..name], rest.trim_start_matches([' ', '('])),
        },
    }
}

/// The number at the start.
fn number(text: &str) -> Option<u32> {
    let end = text.bytes().position(|it| !it.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
