//! One syslog message. Anything is one: what has no form is text.

use crate::base::clock::Timestamp;

/// What is used of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The program that its tag or app name names.
    pub app: Option<String>,
    pub host: Option<String>,
    /// Nanoseconds since 1970, where the message says it with a zone.
    pub at: Option<i64>,
    /// May have several lines.
    pub text: Vec<u8>,
    /// Whether it had the form of one of the RFCs.
    pub is_formed: bool,
}

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Reads a message, without its framing.
pub fn read(bytes: &[u8]) -> Message {
    let bytes = bytes.trim_ascii_end().strip_suffix(b"\0").unwrap_or(bytes.trim_ascii_end());
    let message = priority(bytes).and_then(|rest| of_5424(rest).or_else(|| of_3164(rest)));
    message.unwrap_or_else(|| Message {
        app: None,
        host: None,
        at: None,
        text: unescaped(priority(bytes).unwrap_or(bytes)),
        is_formed: false,
    })
}

/// What follows `<0>` to `<191>`.
fn priority(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let number: u32 = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    (number <= 191).then(|| &rest[end + 1..])
}

/// `1 2026-11-21T10:00:00Z host app procid msgid [id name="value"] text`
fn of_5424(bytes: &[u8]) -> Option<Message> {
    let mut rest = bytes.strip_prefix(b"1 ")?;
    let mut fields = [&b""[..]; 5];
    for field in &mut fields {
        let end = memchr::memchr(b' ', rest)?;
        (*field, rest) = (&rest[..end], &rest[end + 1..]);
    }
    let [time, host, app, _, _] = fields;
    let text = after_structured_data(rest)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let at = std::str::from_utf8(time).ok().and_then(|time| time.parse::<Timestamp>().ok());
    Some(Message {
        app: word(app),
        host: word(host),
        at: at.and_then(|at| i64::try_from(at.as_nanosecond()).ok()),
        text: unescaped(text),
        is_formed: true,
    })
}

/// `-`, or elements in brackets in whose quotes `\"`, `\\` and `\]` are escaped.
fn after_structured_data(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    if let Some(after) = rest.strip_prefix(b"-") {
        rest = after;
    } else {
        while rest.first() == Some(&b'[') {
            let (mut is_quoted, mut is_escaped) = (false, false);
            let end = rest.iter().position(|byte| {
                let was_escaped = is_escaped;
                is_escaped = is_quoted && !was_escaped && *byte == b'\\';
                is_quoted ^= *byte == b'"' && !was_escaped;
                *byte == b']' && !is_quoted
            })?;
            rest = &rest[end + 1..];
        }
    }
    match rest.first() {
        None => Some(rest),
        Some(b' ') => Some(&rest[1..]),
        Some(_) => None,
    }
}

/// `Nov 21 10:00:00 host tag[123]: text`; locally there is no host.
fn of_3164(bytes: &[u8]) -> Option<Message> {
    let (date, rest) = bytes.split_at_checked(16)?;
    let is_date = MONTHS.contains(&&date[..3])
        && date[3] == b' '
        && (date[4] == b' ' || date[4].is_ascii_digit())
        && date[5].is_ascii_digit()
        && date[9] == b':'
        && date[12] == b':'
        && date[15] == b' ';
    if !is_date {
        return None;
    }
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let first = &rest[..end];
    let (host, rest) =
        if is_tag(first) || end == rest.len() { (None, rest) } else { (word(first), &rest[end + 1..]) };
    let tag_end = rest.iter().take(64).position(|byte| matches!(byte, b':' | b'[' | b' '));
    let (app, text) = match tag_end.filter(|end| *end > 0) {
        Some(end) if rest[end] == b':' => (word(&rest[..end]), &rest[end + 1..]),
        Some(end) if rest[end] == b'[' => {
            let close = rest[end..].iter().take(32).position(|byte| *byte == b']').map(|at| end + at + 1);
            match close {
                Some(close) => {
                    (word(&rest[..end]), rest[close..].strip_prefix(b":").unwrap_or(&rest[close..]))
                }
                None => (None, rest),
            }
        }
        Some(_) | None => (None, rest),
    };
    let text = unescaped(text.strip_prefix(b" ").unwrap_or(text));
    Some(Message { app, host, at: None, text, is_formed: true })
}

/// Whether a word is a tag and no host.
fn is_tag(word: &[u8]) -> bool {
    word.ends_with(b":") || (word.ends_with(b"]") && word.contains(&b'['))
}

fn word(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    (!text.is_empty() && text != "-").then(|| text.into_owned())
}

/// rsyslog writes control characters as `#` and three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'#', rest) {
        out.extend(&rest[..at]);
        let (byte, len) = match rest.get(at..at + 4) {
            Some(b"#012") => (b'\n', 4),
            Some(b"#011") => (b'\t', 4),
            Some(_) | None => (b'#', 1),
        };
        out.push(byte);
        rest = &rest[at + len..];
    }
    out.extend(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, app: Option<&str>, host: Option<&str>, at: Option<&str>, text: &str) {
        let at = at.map(|at| i64::try_from(at.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap());
        let expected = Message {
            app: app.map(str::to_owned),
            host: host.map(str::to_owned),
            at,
            text: text.as_bytes().to_vec(),
            is_formed: app.is_some() || host.is_some(),
        };
        assert_eq!(read(bytes.as_bytes()), expected, "{bytes}");
    }

    #[test]
    fn messages_of_both_forms_and_of_none() {
        let at = Some("2003-10-11T22:14:15.003Z");
        // The examples of RFC 5424, 6.5.
        check(
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed for lonvick on /dev/pts/8",
            Some("su"),
            Some("mymachine.example.com"),
            at,
            "'su root' failed for lonvick on /dev/pts/8",
        );
        check(
            "<165>1 2003-10-11T22:14:15.003Z h evntslog - ID47 [a@1 iut=\"3\" x=\"\\]\\\"]\"][b@1 y=\"\"] text\n",
            Some("evntslog"),
            Some("h"),
            at,
            "text",
        );
        check("<165>1 2003-10-11T22:14:15.003Z h app - - [a@1 x=\"y\"]", Some("app"), Some("h"), at, "");
        check("<13>1 - h app - - - a\nb", Some("app"), Some("h"), None, "a\nb");
        check(
            "<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed",
            Some("su"),
            Some("mymachine"),
            None,
            "'su root' failed",
        );
        check(
            "<34>Oct  1 22:14:15 shop: Traceback#012  File #011x # 1",
            Some("shop"),
            None,
            None,
            "Traceback\n  File \tx # 1",
        );
        check("<34>Oct  1 22:14:15 h no tag", None, Some("h"), None, "no tag");
        for (odd, text) in
            [("hello", "hello"), ("<999>x", "<999>x"), ("<13>x", "x"), ("", ""), ("<34>1 2003", "1 2003")]
        {
            check(odd, None, None, None, text);
        }
    }

    #[test]
    fn whatever_comes_is_text() {
        let mut random = fastrand::Rng::with_seed(3);
        let form = b"<34>1 2003-10-11T22:14:15.003Z h su - ID47 [a b=\"c\"] Oct 11 22:14:15 h su[1]: x#012y";
        for _ in 0..50_000 {
            let mut bytes = form[random.usize(0..form.len())..].to_vec();
            for _ in 0..random.usize(0..4) {
                let at = random.usize(0..bytes.len());
                bytes[at] = random.u8(..);
            }
            let _ = read(&bytes);
        }
    }
}
