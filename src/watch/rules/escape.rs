//! Texts within texts: a trace inside a JSON field stands on one line, its line breaks written as `\n`.

/// The line with `\n`, `\r`, `\t`, `\"`, `\/` and `\\` undone, if it has an escaped line break; so that patterns meet
/// a trace inside JSON as they would meet it outside. `\u…` stays as it is: no pattern of a trace needs it.
pub(super) fn unescaped(line: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(line, br"\n")?;
    let mut out = Vec::with_capacity(line.len());
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
    Some(out)
}
