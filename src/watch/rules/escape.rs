//! Texts within texts: a trace inside a JSON field stands on one line, its line breaks written as `\n`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Whether there is an escaped line break.
pub(super) fn has_break(text: &[u8]) -> bool {
    static BREAK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br"\n"));
    BREAK.find(text).is_some()
}

/// The line with `\n`, `\r`, `\t`, `\"`, `\/` and `\\` undone, so that patterns meet
/// a trace inside JSON as they would meet it outside. `\u…` stays as it is: no pattern of a trace needs it.
pub(super) fn unescape(line: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = line;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, n_eaten) = match rest.get(at + 1) {
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'r') => (b'\r', 2),
            Some(escaped @ (b'"' | b'/' | b'\\')) => (*escaped, 2),
            _ => (b'\\', 1),
        };
        out.push(byte);
        rest = &rest[at + n_eaten..];
    }
    out.extend_from_slice(rest);
}
