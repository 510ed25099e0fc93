//! What a shipper puts before every line it passes on: the time of `docker logs -t` and of CRI files, the name of
//! docker-compose, the head of syslog. A rule's `^` also stands behind it.
//!
//! Prefixes that programs write themselves are the rules' own business.

/// The line behind the stamp; `None` where there is none.
pub(super) fn behind(line: &[u8]) -> Option<&[u8]> {
    let end = match line.first()? {
        b'0'..=b'9' => time(line),
        b'A'..=b'S' => syslog(line).or_else(|| compose(line)),
        b'T'..=b'Z' | b'a'..=b'z' => compose(line),
        _ => None,
    }?;
    Some(&line[end..])
}

/// `2026-01-02T10:00:00.000000000Z `, perhaps with CRI's `stdout F ` behind it.
fn time(line: &[u8]) -> Option<usize> {
    let end = line.iter().take(40).position(|it| *it == b' ')?;
    let is_time = end >= 20
        && (line[4], line[7], line[10], line[13], line[16]) == (b'-', b'-', b'T', b':', b':')
        && line[..4].iter().all(u8::is_ascii_digit);
    let rest = &line[end + 1..];
    let n_cri = if rest.starts_with(b"stdout F ") || rest.starts_with(b"stderr F ") { 9 } else { 0 };
    is_time.then_some(end + 1 + n_cri)
}

/// `web-1  | `
fn compose(line: &[u8]) -> Option<usize> {
    let is_name = |it: &u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    let name = line.iter().take(80).take_while(|it| is_name(it)).count();
    let blanks = line[name..].iter().take(40).take_while(|it| **it == b' ').count();
    (blanks > 0 && line[name + blanks..].starts_with(b"| ")).then_some(name + blanks + 2)
}

/// `Jan  2 10:00:00 host app[12]: `
fn syslog(line: &[u8]) -> Option<usize> {
    let is_time = line.get(3) == Some(&b' ')
        && line.get(6) == Some(&b' ')
        && (line.get(9), line.get(12), line.get(15)) == (Some(&b':'), Some(&b':'), Some(&b' '));
    let rest = line.get(16..).filter(|_| is_time)?;
    let end = memchr::memmem::find(&rest[..rest.len().min(120)], b"]: ")?;
    Some(16 + end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_passed_and_other_prefixes_are_not() {
        for (line, expected) in [
            ("2026-01-02T10:00:00.000000000Z \tat a.B.c(B.java:1)", Some("\tat a.B.c(B.java:1)")),
            ("2026-01-02T10:00:00+01:00 stderr F x", Some("x")),
            ("web-1  | x", Some("x")),
            ("Jan  2 10:00:00 host app[12]: x", Some("x")),
            ("2026-01-02 10:00:00 x", None),
            ("INFO | x", Some("x")),
            ("a | b", Some("b")),
            ("plain text", None),
            ("", None),
        ] {
            let found = behind(line.as_bytes()).map(|it| String::from_utf8_lossy(it).into_owned());
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }
}
