//! The shapes of variable parts. Hand-written: this looks at every byte of every message.

/// What a masked part is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    Url,
    Email,
    Uuid,
    Time,
    Ip,
    Mac,
    Hex,
    Path,
    Text,
    Size,
    Num,
    Id,
    Flag,
    Value,
    Name,
    Redacted,
}

impl Mask {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Time => "time",
            Self::Ip => "ip",
            Self::Mac => "mac",
            Self::Hex => "hex",
            Self::Path => "path",
            Self::Text => "str",
            Self::Size => "size",
            Self::Num => "num",
            Self::Id => "id",
            Self::Flag => "flag",
            Self::Value => "value",
            Self::Name => "name",
            Self::Redacted => "redacted",
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Word(&'a str),
    /// One mark, or a run of the same mark.
    Punct(&'a str),
    Space,
    Mask(Mask, &'a str),
}

/// Words with digits that are names, not values.
pub(in crate::watch::fingerprint) const NAMES: [&str; 30] = [
    "utf-8",
    "utf8",
    "utf-16",
    "utf16",
    "latin1",
    "iso-8859-1",
    "base64",
    "sha1",
    "sha256",
    "sha512",
    "md5",
    "x86_64",
    "x86",
    "http2",
    "http/2",
    "ipv4",
    "ipv6",
    "ssh2",
    "oauth2",
    "s3",
    "ec2",
    "k8s",
    "i18n",
    "log4j",
    "h2",
    "int32",
    "int64",
    "uint64",
    "float64",
    "b64",
];
const UNITS: [&str; 34] = [
    "ns", "us", "µs", "ms", "s", "sec", "secs", "seconds", "second", "m", "min", "mins", "minutes", "h",
    "hours", "d", "days", "b", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib", "k", "g", "bytes", "%",
    "mhz", "ghz", "px", "x",
];

/// Cuts a line into pieces.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let mut pieces = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let is_after_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let (piece, length) = piece(rest, is_after_word, &pieces);
        pieces.push(piece);
        at += length;
    }
    pieces
}

fn piece<'a>(rest: &'a str, is_after_word: bool, before: &[Piece<'_>]) -> (Piece<'a>, usize) {
    let bytes = rest.as_bytes();
    let first = bytes[0];
    if first.is_ascii_whitespace() {
        return (Piece::Space, run(bytes, |it| it.is_ascii_whitespace()));
    }
    if !is_after_word && let Some((mask, length)) = shape(rest) {
        return (Piece::Mask(mask, &rest[..length]), length);
    }
    let is_quote = matches!(first, b'\'' | b'"' | b'`') && !is_after_word;
    if is_quote && let Some(length) = quoted(rest) {
        return (Piece::Mask(Mask::Text, &rest[..length]), length);
    }
    let length = token(rest, is_after_word);
    if length == 0 {
        // A run of the same mark is one piece: the dots of a padded table.
        let letter = rest.chars().next().map_or(1, char::len_utf8);
        let length = if letter == 1 { run(bytes, |it| it == first).max(1) } else { letter };
        let length = if matches!(first, b'.' | b'#' | b'-' | b'=' | b'*') { length } else { letter };
        return (Piece::Punct(&rest[..length]), length);
    }
    let word = &rest[..length];
    match classify(word, &rest[length..], before) {
        Some((mask, extra)) => (Piece::Mask(mask, &rest[..length + extra]), length + extra),
        None => (Piece::Word(word), length),
    }
}

/// The long shapes that contain marks.
fn shape(rest: &str) -> Option<(Mask, usize)> {
    let bytes = rest.as_bytes();
    match bytes[0] {
        b'[' if rest.starts_with("[redacted:") => rest.find(']').map(|it| (Mask::Redacted, it + 1)),
        b'<' if rest.starts_with("<redacted") => rest.find('>').map(|it| (Mask::Redacted, it + 1)),
        b'/' | b'~' | b'.' | b'\\' => path(rest).map(|it| (Mask::Path, it)),
        b':' if rest.starts_with("::1") => Some((Mask::Ip, 3)),
        first if first.is_ascii_alphanumeric() => url(rest)
            .map(|it| (Mask::Url, it))
            .or_else(|| email(rest).map(|it| (Mask::Email, it)))
            .or_else(|| uuid(bytes).map(|it| (Mask::Uuid, it)))
            .or_else(|| mac(bytes).map(|it| (Mask::Mac, it)))
            .or_else(|| time(bytes).map(|it| (Mask::Time, it)))
            .or_else(|| ip(bytes).map(|it| (Mask::Ip, it)))
            .or_else(|| drive(rest).map(|it| (Mask::Path, it))),
        _ => None,
    }
}

fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&it| !is_in(it)).unwrap_or(bytes.len())
}

fn is_end_of_value(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"\"'`<>,;)]}|".contains(&byte)
}

fn url(rest: &str) -> Option<usize> {
    let scheme = run(rest.as_bytes(), |it| it.is_ascii_alphanumeric() || b"+.-".contains(&it));
    if !(2..=20).contains(&scheme) || !rest[scheme..].starts_with("://") {
        return None;
    }
    let length = scheme + 3 + run(&rest.as_bytes()[scheme + 3..], |it| !is_end_of_value(it));
    Some(rest[..length].trim_end_matches(['.', ':', '!', '?']).len())
}

fn email(rest: &str) -> Option<usize> {
    let local = run(rest.as_bytes(), |it| it.is_ascii_alphanumeric() || b"._%+-".contains(&it));
    if local == 0 || rest.as_bytes().get(local) != Some(&b'@') {
        return None;
    }
    let host = &rest[local + 1..];
    let length = run(host.as_bytes(), |it| it.is_ascii_alphanumeric() || b".-".contains(&it));
    let host = host[..length].trim_end_matches(['.', '-']);
    let (_, last) = host.rsplit_once('.')?;
    (last.len() >= 2 && last.bytes().all(|it| it.is_ascii_alphabetic())).then_some(local + 1 + host.len())
}

fn uuid(bytes: &[u8]) -> Option<usize> {
    let groups = [8, 4, 4, 4, 12];
    let mut at = 0;
    for (place, length) in groups.into_iter().enumerate() {
        if place > 0 {
            if bytes.get(at) != Some(&b'-') {
                return None;
            }
            at += 1;
        }
        if run(&bytes[at..], |it| it.is_ascii_hexdigit()) != length {
            return None;
        }
        at += length;
    }
    (!bytes.get(at).is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
}

fn mac(bytes: &[u8]) -> Option<usize> {
    for place in 0..6 {
        let at = place * 3;
        if !(bytes.get(at)?.is_ascii_hexdigit() && bytes.get(at + 1)?.is_ascii_hexdigit()) {
            return None;
        }
        if place < 5 && !matches!(bytes.get(at + 2)?, b':' | b'-') {
            return None;
        }
    }
    (!bytes.get(17).is_some_and(u8::is_ascii_alphanumeric)).then_some(17)
}

/// Dates and times: `2024-01-02[T ]15:04:05[.000][Z]`, `15:04:05`, `Sun Jul 10 16:43:21 2005`, `02/Jan/2006:15:04:05`.
fn time(bytes: &[u8]) -> Option<usize> {
    let digits = run(bytes, |it| it.is_ascii_digit());
    if digits == 0 {
        return named_time(bytes);
    }
    if let Some(length) = clock(bytes) {
        return Some(length);
    }
    let separator = *bytes.get(digits)?;
    if !matches!(separator, b'-' | b'/') || !matches!(digits, 1 | 2 | 4) {
        return None;
    }
    let middle = run(&bytes[digits + 1..], |it| it.is_ascii_alphanumeric());
    let at = digits + 1 + middle;
    if bytes.get(at) != Some(&separator) || !matches!(middle, 1..=3) {
        return None;
    }
    let last = run(&bytes[at + 1..], |it| it.is_ascii_digit());
    if !matches!((digits, last), (4, 1 | 2) | (1 | 2, 2 | 4)) {
        return None;
    }
    let date = at + 1 + last;
    match bytes.get(date) {
        Some(b'T' | b' ' | b':') => Some(clock(&bytes[date + 1..]).map_or(date, |it| date + 1 + it)),
        Some(it) if it.is_ascii_alphanumeric() || *it == b'-' => None,
        _ => Some(date),
    }
}

fn clock(bytes: &[u8]) -> Option<usize> {
    let hours = run(bytes, |it| it.is_ascii_digit());
    let two = |at: usize| run(bytes.get(at..).unwrap_or(b""), |it| it.is_ascii_digit()) == 2;
    if !(1..=2).contains(&hours) || bytes.get(hours) != Some(&b':') || !two(hours + 1) {
        return None;
    }
    let seconds = hours + 3;
    if bytes.get(seconds) != Some(&b':') || !two(seconds + 1) {
        return None;
    }
    let mut end = seconds + 3;
    if matches!(bytes.get(end), Some(b'.' | b',')) {
        let fraction = run(&bytes[end + 1..], |it| it.is_ascii_digit());
        end += if fraction > 0 { 1 + fraction } else { 0 };
    }
    if bytes.get(end) == Some(&b'Z') {
        return Some(end + 1);
    }
    if matches!(bytes.get(end), Some(b'+' | b'-')) {
        let zone = run(&bytes[end + 1..], |it| it.is_ascii_digit() || it == b':');
        if (4..=5).contains(&zone) {
            end += 1 + zone;
        }
    }
    Some(end)
}

fn named_time(bytes: &[u8]) -> Option<usize> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: &[u8] = b"MonTueWedThuFriSatSun";
    let is_of = |table: &[u8], at: usize| {
        bytes.get(at..at + 3).is_some_and(|it| table.chunks(3).any(|name| name == it))
    };
    let mut at = 0;
    if is_of(DAYS, 0) {
        at = 3 + run(&bytes[3..], |it| it == b' ' || it == b',');
    }
    if !is_of(MONTHS, at) {
        return None;
    }
    at += 3 + run(&bytes[at + 3..], |it| it == b' ');
    let day = run(&bytes[at..], |it| it.is_ascii_digit());
    if !(1..=2).contains(&day) {
        return None;
    }
    at += day;
    let mut end = at;
    at += run(&bytes[at..], |it| it == b' ' || it == b',');
    if let Some(length) = clock(&bytes[at..]) {
        end = at + length;
        at = end + run(&bytes[end..], |it| it == b' ');
    }
    if run(&bytes[at..], |it| it.is_ascii_digit()) == 4 {
        end = at + 4;
    }
    Some(end)
}

/// IPv4 or IPv6, with port or mask.
fn ip(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for place in 0..4 {
        let digits = run(&bytes[at..], |it| it.is_ascii_digit());
        if !(1..=3).contains(&digits) {
            return ipv6(bytes);
        }
        at += digits;
        if place < 3 {
            if bytes.get(at) != Some(&b'.') {
                return ipv6(bytes);
            }
            at += 1;
        }
    }
    if bytes.get(at).is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_' || *it == b'-') {
        return None;
    }
    if matches!(bytes.get(at), Some(b':' | b'/')) {
        let port = run(&bytes[at + 1..], |it| it.is_ascii_digit());
        if (1..=5).contains(&port) {
            at += 1 + port;
        }
    }
    Some(at)
}

fn ipv6(bytes: &[u8]) -> Option<usize> {
    let length = run(bytes, |it| it.is_ascii_hexdigit() || it == b':');
    let text = &bytes[..length];
    let n_colons = text.iter().filter(|&&it| it == b':').count();
    let groups_fit = text.split(|&it| it == b':').all(|it| it.len() <= 4);
    let is_address = groups_fit && (n_colons == 7 || n_colons >= 2 && text.windows(2).any(|it| it == b"::"));
    (is_address && text.iter().any(u8::is_ascii_digit) && !text.ends_with(b"::")
        || is_address && n_colons == 7)
        .then_some(length)
}

/// `/a/b`, `./a`, `../a`, `~/a`, `\\host\share`.
fn path(rest: &str) -> Option<usize> {
    let lead = ["/", "./", "../", "~/", "\\\\"].iter().find(|it| rest.starts_with(**it))?;
    let body = &rest[lead.len()..];
    let length = run(body.as_bytes(), |it| !is_end_of_value(it) && !b":(=".contains(&it));
    let body = body[..length].trim_end_matches(['.', '/']);
    let is_path = body.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric() || b"._-$".contains(&it))
        && (body.len() > 1 || lead.len() > 1);
    // A trailing slash is part of it.
    let end = lead.len() + body.len();
    let end = end + usize::from(rest.as_bytes().get(end) == Some(&b'/'));
    is_path.then_some(end)
}

/// `C:\a\b`
fn drive(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let is_drive = bytes.len() > 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && bytes[2] == b'\\';
    is_drive.then(|| run(bytes, |it| !b"\"'`<>|,;)".contains(&it) && !it.is_ascii_whitespace()))
}

/// A quoted text that is a value: it has a blank, a digit or another mark in it. `'NoneType'` is a name and is kept.
fn quoted(rest: &str) -> Option<usize> {
    let quote = rest.as_bytes()[0];
    let close = 1 + memchr::memchr(quote, &rest.as_bytes()[1..])?;
    let inner = &rest[1..close];
    let after = rest.as_bytes().get(close + 1);
    if inner.is_empty() || after.is_some_and(u8::is_ascii_alphanumeric) || inner.len() > 400 {
        return None;
    }
    let is_name = inner.bytes().all(|it| it.is_ascii_alphabetic() || b"_.-*&+/<>()[]:".contains(&it))
        && !inner.starts_with('/');
    (!is_name).then_some(close + 1)
}

/// Length of a word: letters, digits, and `.`, `-`, `_` and the like between them.
fn token(rest: &str, is_after_word: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    // A sign belongs to a number.
    if matches!(bytes[0], b'-' | b'+') && !is_after_word && bytes.get(1).is_some_and(u8::is_ascii_digit) {
        at = 1;
    }
    while let Some(&byte) = bytes.get(at) {
        let next_is_word =
            bytes.get(at + 1).is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_' || *it >= 0x80);
        let is_part = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'$')
            || byte >= 0x80
            || at > 0 && matches!(byte, b'.' | b'-') && next_is_word
            || at > 0 && byte == b'-' && bytes[at - 1] == b'_';
        if !is_part {
            break;
        }
        at += 1;
    }
    at
}

/// What a word is, and how many bytes after it belong to it.
fn classify(word: &str, after: &str, before: &[Piece<'_>]) -> Option<(Mask, usize)> {
    let bytes = word.as_bytes();
    if !bytes.iter().any(u8::is_ascii_digit) {
        if matches!(word, "true" | "false" | "True" | "False" | "null" | "nil") {
            return Some((Mask::Flag, 0));
        }
        let is_hex = word.len() >= 8 && bytes.iter().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        return is_hex.then_some((Mask::Hex, 0));
    }
    if NAMES.iter().any(|it| word.eq_ignore_ascii_case(it)) {
        return None;
    }
    let unsigned = word.trim_start_matches(['-', '+']);
    if unsigned.len() > 2
        && (unsigned.starts_with("0x") || unsigned.starts_with("0X"))
        && unsigned[2..].bytes().all(|it| it.is_ascii_hexdigit())
    {
        return Some((Mask::Hex, 0));
    }
    let digits = run(unsigned.as_bytes(), |it| it.is_ascii_digit() || it == b'.' || it == b'_');
    if digits == unsigned.len() {
        if is_status(word, before) {
            return None;
        }
        return Some(with_unit(after));
    }
    if digits > 0 && UNITS.iter().any(|it| unsigned[digits..].eq_ignore_ascii_case(it)) {
        return Some((Mask::Size, usize::from(after.starts_with("/s")) * 2));
    }
    let is_exponent =
        digits > 0 && unsigned[digits..].bytes().all(|it| it.is_ascii_digit() || b"eE+-.".contains(&it));
    if is_exponent {
        return Some((Mask::Num, 0));
    }
    let is_hex = word.len() >= 6 && bytes.iter().all(u8::is_ascii_hexdigit);
    Some((if is_hex { Mask::Hex } else { Mask::Id }, 0))
}

/// A number may be followed by its unit.
fn with_unit(after: &str) -> (Mask, usize) {
    if after.starts_with('%') {
        return (Mask::Size, 1);
    }
    let unit = after.strip_prefix(' ').unwrap_or("");
    let length = run(unit.as_bytes(), |it| it.is_ascii_alphabetic());
    let is_size = ["B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "kB"].contains(&&unit[..length]);
    if is_size { (Mask::Size, 1 + length) } else { (Mask::Num, 0) }
}

/// `status 503`, `HTTP/1.1" 503`, `errno 111`: numbers that say what happened.
fn is_status(word: &str, before: &[Piece<'_>]) -> bool {
    let mut words = before.iter().rev().filter(|it| !matches!(it, Piece::Space | Piece::Punct(_)));
    let Some(Piece::Word(last)) = words.next() else { return false };
    let last = last.to_ascii_lowercase();
    let is_http = word.len() == 3 && matches!(word.as_bytes()[0], b'1'..=b'5');
    if last == "code" {
        let is_of_status = matches!(words.next(), Some(Piece::Word(it)) if it.eq_ignore_ascii_case("status"));
        return is_http && is_of_status;
    }
    is_http && matches!(last.as_str(), "status" | "statuscode" | "http")
        || last == "errno" && word.len() < 4 && word != "0"
}
