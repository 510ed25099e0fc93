//! Takes off what loggers and shippers put before a text: timestamps, levels, thread and logger names,
//! docker-compose, syslog, CRI and klog headers.
//!
//! Hand-written, one pass, no allocation: it looks at every line of every stream. JSON envelopes are not prefixes and
//! are opened by `watch/fingerprint`.

/// A line without its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peeled<'a> {
    /// What the program said; its indentation is kept.
    pub text: &'a str,
    /// Whether something was taken off.
    pub is_prefixed: bool,
    /// Whether the prefix says error or worse.
    pub is_error: bool,
}

/// Cuts the prefix of `line`.
pub fn peel(line: &str) -> Peeled<'_> {
    let bytes = line.as_bytes();
    let Some(first) = bytes.first() else {
        return Peeled { text: line, is_prefixed: false, is_error: false };
    };
    // Indented lines have no prefix; most lines of a trace end here.
    if matches!(first, b' ' | b'\t') {
        return Peeled { text: line, is_prefixed: false, is_error: false };
    }
    let mut cut = Cut { bytes, at: 0, is_error: false, has_time: false, has_level: false };
    cut.compose();
    // Docker and Kubernetes put a time before the program's own.
    for _ in 0..2 {
        if !cut.time() {
            break;
        }
        cut.cri();
    }
    if cut.has_time {
        cut.syslog_tag();
    }
    cut.klog();
    cut.words();
    if cut.at == 0 || !line.is_char_boundary(cut.at) {
        return Peeled { text: line, is_prefixed: false, is_error: false };
    }
    Peeled { text: &line[cut.at..], is_prefixed: true, is_error: cut.is_error }
}

/// Whether a line without a prefix that [`peel`] knows is clearly a log line of its own: JSON, logfmt, an access log.
pub fn stands_alone(line: &str) -> bool {
    let bytes = line.as_bytes();
    match bytes.first() {
        Some(b'{') => bytes.get(1) == Some(&b'"'),
        Some(b't') => line.starts_with("time=") || line.starts_with("ts="),
        Some(b'l') => line.starts_with("level=") || line.starts_with("lvl="),
        Some(b'0'..=b'9') => {
            let end = bytes.iter().position(|&it| it == b' ').unwrap_or(bytes.len());
            bytes[..end].iter().filter(|&&it| it == b'.').count() == 3
                && bytes[..end].iter().all(|it| it.is_ascii_digit() || matches!(it, b'.' | b':'))
                && bytes[end..].starts_with(b" - ")
        }
        _ => false,
    }
}

/// A level as loggers write it, and whether it is error or worse.
fn level(word: &[u8]) -> Option<bool> {
    const QUIET: [&[u8]; 12] = [
        b"TRACE", b"DEBUG", b"INFO", b"NOTICE", b"WARN", b"WARNING", b"FINE", b"FINER", b"FINEST", b"CONFIG",
        b"LOG", b"VERBOSE",
    ];
    const LOUD: [&[u8]; 10] = [
        b"ERROR",
        b"ERR",
        b"SEVERE",
        b"CRITICAL",
        b"CRIT",
        b"FATAL",
        b"ALERT",
        b"EMERG",
        b"EMERGENCY",
        b"EROR",
    ];
    if !(3..=9).contains(&word.len()) {
        return None;
    }
    if QUIET.iter().any(|it| word.eq_ignore_ascii_case(it)) {
        return Some(false);
    }
    LOUD.iter().any(|it| word.eq_ignore_ascii_case(it)).then_some(true)
}

struct Cut<'a> {
    bytes: &'a [u8],
    /// Where the text begins.
    at: usize,
    is_error: bool,
    has_time: bool,
    has_level: bool,
}

impl Cut<'_> {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Moves past `n` bytes and one blank after them.
    fn eat(&mut self, n: usize) {
        self.at += n;
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
    }

    /// `web-1  | text`.
    fn compose(&mut self) {
        let name = run(self.rest(), |it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.'));
        let blanks = run(&self.rest()[name..], |it| it == b' ');
        if name > 0 && blanks > 0 && self.rest()[name + blanks..].starts_with(b"| ") {
            self.at += name + blanks + 2;
        }
    }

    fn time(&mut self) -> bool {
        let rest = self.rest();
        let is_bracketed = rest.first() == Some(&b'[');
        let inner = if is_bracketed { &rest[1..] } else { rest };
        let lead = if is_bracketed { run(inner, |it| it == b' ') } else { 0 };
        let Some(length) = timestamp(&inner[lead..], is_bracketed) else { return false };
        let mut end = usize::from(is_bracketed) + lead + length;
        if is_bracketed {
            if rest.get(end) != Some(&b']') {
                return false;
            }
            end += 1;
        } else if rest.get(end) == Some(&b':') {
            end += 1;
        }
        if !matches!(rest.get(end), None | Some(b' ' | b'\t' | b'[' | b'|')) {
            return false;
        }
        self.eat(end);
        self.has_time = true;
        true
    }

    /// `stdout F text` after a time.
    fn cri(&mut self) {
        let rest = self.rest();
        if rest.starts_with(b"stdout F ") || rest.starts_with(b"stderr F ") {
            self.at += 9;
        }
    }

    /// `host app[12]: text` after a time.
    fn syslog_tag(&mut self) {
        let rest = self.rest();
        let host = run(rest, |it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.'));
        if host == 0 || rest.get(host) != Some(&b' ') {
            return;
        }
        let tag = &rest[host + 1..];
        let name = run(tag, |it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.' | b'/'));
        if name == 0 || tag.get(name) != Some(&b'[') {
            return;
        }
        let digits = run(&tag[name + 1..], |it| it.is_ascii_digit());
        if digits > 0 && tag[name + 1 + digits..].starts_with(b"]:") {
            self.eat(host + 1 + name + 1 + digits + 2);
        }
    }

    /// `E0102 15:04:05.000000    1 file.go:12] text`.
    fn klog(&mut self) {
        let rest = self.rest();
        let is_head = matches!(rest.first(), Some(b'I' | b'W' | b'E' | b'F'))
            && rest.len() > 20
            && rest[1..5].iter().all(u8::is_ascii_digit)
            && rest[5] == b' ';
        if !is_head {
            return;
        }
        let Some(end) = rest[..rest.len().min(120)].iter().position(|&it| it == b']') else { return };
        self.is_error = matches!(rest[0], b'E' | b'F');
        self.has_level = true;
        self.eat(end + 1);
    }

    /// Level, process, thread, logger, in any order that loggers use.
    fn words(&mut self) {
        for _ in 0..8 {
            let before = self.at;
            // Padding between the words of a prefix, but never the indentation of a text.
            let blanks = run(self.rest(), |it| it == b' ');
            if blanks > 0 && self.at > 0 {
                let next = &self.rest()[blanks..];
                if !self.word_follows(next) {
                    return;
                }
                self.at += blanks;
            }
            if !(self.level() || self.bracket() || self.process() || self.logger()) {
                self.at = before;
                return;
            }
        }
    }

    fn word_follows(&self, next: &[u8]) -> bool {
        let word = run(next, |it| it.is_ascii_alphabetic());
        matches!(next.first(), Some(b'[' | b'(')) && self.has_level
            || next.starts_with(b"---")
            || word > 0 && level(&next[..word]).is_some()
            || next.first().is_some_and(u8::is_ascii_digit) && !self.has_level
            || self.has_level && logger_length(next).is_some()
    }

    fn level(&mut self) -> bool {
        if self.has_level {
            return false;
        }
        let rest = self.rest();
        let open = usize::from(matches!(rest.first(), Some(b'[' | b'<' | b'(')));
        let word = run(&rest[open..], |it| it.is_ascii_alphabetic());
        let Some(is_error) = level(&rest[open..open + word]) else { return false };
        // Heads of Go's and Clang's reports, not levels.
        if rest.starts_with(b"WARNING: DATA RACE")
            || rest.starts_with(b"WARNING: ThreadSanitizer")
            || rest.starts_with(b"WARNING: MemorySanitizer")
        {
            return false;
        }
        let is_upper = rest[open..open + word].iter().all(u8::is_ascii_uppercase);
        let mut end = open + word;
        if open == 1 {
            if !matches!(rest.get(end), Some(b']' | b'>' | b')')) {
                return false;
            }
            end += 1;
        } else if !is_upper && !self.has_time {
            // `Error: x` is what a runtime prints, not a level.
            return false;
        } else if !is_upper && rest.get(end) == Some(&b':') && rest[0].is_ascii_uppercase() {
            return false;
        }
        if open == 0 && !matches!(rest.get(end), Some(b':' | b' ' | b'|' | b'\t' | b'[')) {
            return false;
        }
        let mut python = None;
        if open == 0 && rest.get(end) == Some(&b':') {
            // `ERROR:logger:text` of Python's logging.basicConfig.
            let name =
                run(&rest[end + 1..], |it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'-'));
            if name > 0 && rest.get(end + 1 + name) == Some(&b':') {
                python = Some(end + 2 + name);
            }
            end += 1;
        }
        self.is_error = is_error;
        self.has_level = true;
        match python {
            Some(end) => self.at += end,
            None => self.eat(end),
        }
        true
    }

    /// `[main]`, `(pool-1)`: only after a time or a level.
    fn bracket(&mut self) -> bool {
        if !self.has_time && !self.has_level {
            return false;
        }
        let rest = self.rest();
        let close = match rest.first() {
            Some(b'[') => b']',
            Some(b'(') => b')',
            _ => return false,
        };
        let Some(end) = rest[..rest.len().min(80)].iter().position(|&it| it == close) else { return false };
        // `(psycopg2.Error) text` and `[object]` belong to the text; names of threads are short.
        if close == b')' && !self.has_level {
            return false;
        }
        let is_colon = rest.get(end + 1) == Some(&b':');
        if !matches!(rest.get(end + 1), None | Some(b' ' | b'[' | b':')) {
            return false;
        }
        self.eat(end + 1 + usize::from(is_colon));
        true
    }

    /// `1 --- `, `1234 `, `- `: a process number or a dash between the words.
    fn process(&mut self) -> bool {
        if !self.has_time && !self.has_level {
            return false;
        }
        let rest = self.rest();
        if rest.starts_with(b"--- ") {
            self.at += 4;
            return true;
        }
        if rest.starts_with(b"- ") || rest.starts_with(b"| ") {
            self.at += 2;
            return true;
        }
        let digits = run(rest, |it| it.is_ascii_digit());
        if digits > 0 && digits < 8 && rest.get(digits) == Some(&b' ') {
            let next = &rest[digits + run(&rest[digits..], |it| it == b' ')..];
            let word = run(next, |it| it.is_ascii_alphabetic());
            if next.starts_with(b"---")
                || next.starts_with(b"[")
                || word > 0 && level(&next[..word]).is_some()
            {
                self.eat(digits);
                return true;
            }
        }
        false
    }

    /// `com.example.Pay - `, `c.e.Pay : `, after a level.
    fn logger(&mut self) -> bool {
        let Some(length) = logger_length(self.rest()) else { return false };
        if !self.has_level {
            // `app.pay - ERROR - `: a name before the level.
            let next = &self.rest()[length..];
            let word = run(next, |it| it.is_ascii_alphabetic());
            if !self.has_time || level(&next[..word]).is_none() {
                return false;
            }
        }
        self.at += length;
        true
    }
}

/// Length of `name - `, `name : `, `a.b.Name: ` or `a::b: ` at the start, unless the name is that of an exception.
fn logger_length(text: &[u8]) -> Option<usize> {
    let mut name =
        run(text, |it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'$' | b'-' | b'/' | b':'));
    while name > 0 && text[name - 1] == b':' {
        name -= 1;
    }
    if name == 0 || !text[0].is_ascii_alphabetic() {
        return None;
    }
    let word = &text[..name];
    let is_exception = [&b"Exception"[..], b"Error", b"Throwable"].iter().any(|it| word.ends_with(it));
    let blanks = run(&text[name..], |it| it == b' ');
    let after = &text[name + blanks..];
    if blanks > 0 && (after.starts_with(b"- ") || after.starts_with(b": ")) {
        return Some(name + blanks + 2);
    }
    (blanks == 0
        && !is_exception
        && (word.contains(&b'.') || word.contains(&b':'))
        && after.starts_with(b": "))
    .then_some(name + 2)
}

fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&it| !is_in(it)).unwrap_or(bytes.len())
}

/// Length of the time at the start. `is_bracketed` allows what would be no time outside brackets.
fn timestamp(text: &[u8], is_bracketed: bool) -> Option<usize> {
    match text.first()? {
        b'0'..=b'9' => numeric_time(text, is_bracketed),
        b'A'..=b'Z' => named_time(text),
        _ => None,
    }
}

fn numeric_time(text: &[u8], is_bracketed: bool) -> Option<usize> {
    let digits = run(text, |it| it.is_ascii_digit());
    // `2024-01-02`, `2024/01/02`, `17/06/09`, `02.01.2024`, `09/Jun/2005:…`
    if let Some(&separator @ (b'-' | b'/' | b'.')) = text.get(digits) {
        let second = &text[digits + 1..];
        let middle = run(second, |it| it.is_ascii_alphanumeric());
        let third = second.get(middle).filter(|&&it| it == separator).map(|_| &second[middle + 1..]);
        if let Some(third) = third {
            let last = run(third, |it| it.is_ascii_digit());
            let is_date = (digits == 4 && middle == 2 && last == 2)
                || (digits == 2 && (middle == 2 || middle == 3) && (last == 4 || last == 2));
            if is_date {
                let date = digits + 1 + middle + 1 + last;
                let separator = text.get(date);
                if !matches!(separator, Some(b'T' | b' ' | b':' | b'_')) {
                    return Some(date);
                }
                return Some(clock(&text[date + 1..]).map_or(date, |it| zone(text, date + 1 + it)));
            }
        }
    }
    if let Some(length) = clock(text) {
        return Some(zone(text, length));
    }
    // `081109 203615`
    if digits == 6 && text.get(6) == Some(&b' ') && run(&text[7..], |it| it.is_ascii_digit()) == 6 {
        return Some(13);
    }
    // `1700000000.123`, and the kernel's `[   12.345678]`.
    let is_epoch = matches!(digits, 10 | 13);
    if is_epoch || is_bracketed {
        let fraction = match text.get(digits) {
            Some(b'.') => 1 + run(&text[digits + 1..], |it| it.is_ascii_digit()),
            _ => 0,
        };
        if is_epoch || fraction > 3 {
            return Some(digits + fraction);
        }
    }
    // `2024 UTC`: what is left of a date that was cut for reading.
    (digits == 4 && text[4..].starts_with(b" UTC")).then_some(8)
}

/// `Jan  2 15:04:05`, `Jul 09, 2015 3:23:29 PM`, `Thu Jun 09 06:07:04 2005`.
fn named_time(text: &[u8]) -> Option<usize> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    const DAYS: &[u8] = b"MonTueWedThuFriSatSun";
    let is_of = |table: &[u8], at: usize| {
        text.get(at..at + 3).is_some_and(|it| table.chunks(3).any(|name| name == it))
    };
    let mut at = 0;
    if is_of(DAYS, 0) {
        at = 3 + usize::from(text.get(3) == Some(&b','));
        at += run(&text[at..], |it| it == b' ');
    }
    if !is_of(MONTHS, at) {
        return None;
    }
    at += 3;
    at += run(&text[at..], |it| it == b' ');
    let day = run(&text[at..], |it| it.is_ascii_digit());
    if day == 0 || day > 2 {
        return None;
    }
    at += day + usize::from(text.get(at + day) == Some(&b','));
    at += run(&text[at..], |it| it == b' ');
    let year = run(&text[at..], |it| it.is_ascii_digit());
    if year == 4 && text.get(at + 4) == Some(&b' ') {
        at += 5;
    }
    let end = at + clock(&text[at..])?;
    let end = zone(text, end);
    // A year after the time.
    if text.get(end) == Some(&b' ') && run(&text[end + 1..], |it| it.is_ascii_digit()) == 4 {
        return Some(end + 5);
    }
    Some(end)
}

/// `15:04:05.000`, `3:23:29 PM`, `15:04`.
fn clock(text: &[u8]) -> Option<usize> {
    let hours = run(text, |it| it.is_ascii_digit());
    if !(1..=2).contains(&hours) || text.get(hours) != Some(&b':') {
        return None;
    }
    let minutes = &text[hours + 1..];
    if run(minutes, |it| it.is_ascii_digit()) != 2 || minutes.get(2) != Some(&b':') {
        return None;
    }
    if run(&minutes[3..], |it| it.is_ascii_digit()) != 2 {
        return None;
    }
    let mut end = hours + 1 + 5;
    if matches!(text.get(end), Some(b'.' | b',' | b':')) {
        let fraction = run(&text[end + 1..], |it| it.is_ascii_digit());
        if fraction > 0 {
            end += 1 + fraction;
        }
    }
    if matches!(text.get(end..end + 3), Some(b" AM" | b" PM")) {
        end += 3;
    }
    Some(end)
}

/// `Z`, `+01:00`, ` +0000`, ` UTC` after `end`.
fn zone(text: &[u8], end: usize) -> usize {
    let at = end + usize::from(text.get(end) == Some(&b' '));
    match text.get(at) {
        Some(b'Z') if at == end => end + 1,
        Some(b'+' | b'-') => {
            let digits = run(&text[at + 1..], |it| it.is_ascii_digit() || it == b':');
            if (2..=5).contains(&digits) { at + 1 + digits } else { end }
        }
        Some(b'U' | b'G') if matches!(text.get(at..at + 3), Some(b"UTC" | b"GMT")) => at + 3,
        _ => end,
    }
}

#[cfg(test)]
#[path = "peel/tests.rs"]
mod tests;
