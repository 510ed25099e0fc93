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
    /// Whether that was no more than a shipper puts before every line: one time, or one name of docker-compose.
    pub is_stamp: bool,
    /// Whether the prefix says error or worse.
    pub is_error: bool,
}

/// Cuts the prefix of `line`.
pub fn peel(line: &str) -> Peeled<'_> {
    let bytes = line.as_bytes();
    let Some(first) = bytes.first() else {
        return Peeled::bare(line);
    };
    // Indented lines have no prefix; most lines of a trace end here.
    if matches!(first, b' ' | b'\t') {
        return Peeled::bare(line);
    }
    let mut cut = Cut { bytes, at: 0, is_error: false, has_time: false, has_level: false };
    let mut n_stamps = u8::from(cut.compose());
    // Docker and Kubernetes put a time before the program's own.
    for _ in 0..2 {
        if !cut.time() {
            break;
        }
        n_stamps += 1;
        cut.cri();
    }
    if cut.has_time {
        cut.syslog_tag();
    }
    let end_of_stamp = cut.at;
    cut.klog();
    cut.ruby();
    cut.words();
    if cut.at == 0 || !line.is_char_boundary(cut.at) {
        return Peeled::bare(line);
    }
    let is_stamp = n_stamps == 1 && cut.at == end_of_stamp;
    Peeled { text: &line[cut.at..], is_prefixed: true, is_stamp, is_error: cut.is_error }
}

impl<'a> Peeled<'a> {
    fn bare(text: &'a str) -> Self {
        Self { text, is_prefixed: false, is_stamp: false, is_error: false }
    }
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

    /// Moves past `n` bytes and one blank, or zap's tab, after them.
    fn eat(&mut self, n: usize) {
        self.at += n;
        if matches!(self.bytes.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// `web-1  | text`, and what Centipede's runner puts before each line of a crash.
    fn compose(&mut self) -> bool {
        const RUNNER: &[u8] = b"CRASH LOG: ";
        if self.rest().starts_with(RUNNER) {
            self.at += RUNNER.len();
            return true;
        }
        let name = run(self.rest(), |it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.'));
        let blanks = run(&self.rest()[name..], |it| it == b' ');
        let is_name = name > 0 && blanks > 0 && self.rest()[name + blanks..].starts_with(b"| ");
        if is_name {
            self.at += name + blanks + 2;
        }
        is_name
    }

    fn time(&mut self) -> bool {
        let rest = self.rest();
        let is_bracketed = rest.first() == Some(&b'[');
        let inner = if is_bracketed { &rest[1..] } else { rest };
        let lead = if is_bracketed { run(inner, |it| it == b' ') } else { 0 };
        let Some(length) = time::timestamp(&inner[lead..], is_bracketed) else { return false };
        let mut end = usize::from(is_bracketed) + lead + length;
        if is_bracketed {
            if let Some(level) = rest[end..].strip_prefix(b": ").and_then(celery) {
                (self.is_error, self.has_level, self.has_time) = (level.1, true, true);
                self.eat(end + 2 + level.0);
                return true;
            }
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
        if tag.starts_with(b"kernel: ") {
            self.eat(host + 1 + "kernel:".len());
            self.time();
            return;
        }
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
        // glog's may have the year before month and day.
        let digits = run(rest.get(1..).unwrap_or_default(), |it| it.is_ascii_digit());
        let is_head = matches!(rest.first(), Some(b'I' | b'W' | b'E' | b'F'))
            && rest.len() > 20
            && matches!(digits, 4 | 8)
            && rest[1 + digits] == b' ';
        if !is_head {
            return;
        }
        let Some(end) = rest[..rest.len().min(120)].iter().position(|&it| it == b']') else { return };
        self.is_error = matches!(rest[0], b'E' | b'F');
        self.has_level = true;
        self.eat(end + 1);
    }

    /// `E, [2026-01-02T10:00:00.000000 #7] ERROR -- app: text` of Ruby's logger.
    fn ruby(&mut self) {
        let rest = self.rest();
        let is_head = matches!(rest.first(), Some(b'D' | b'I' | b'W' | b'E' | b'F' | b'A'))
            && rest.get(1..4) == Some(b", [")
            && rest.get(4).is_some_and(u8::is_ascii_digit);
        if !is_head {
            return;
        }
        let rest = &rest[..rest.len().min(200)];
        let Some(dashes) = memchr::memmem::find(rest, b" -- ") else { return };
        let Some(end) = memchr::memmem::find(&rest[dashes + 4..], b": ") else { return };
        self.is_error = matches!(rest[0], b'E' | b'F');
        self.has_level = true;
        self.at += dashes + 4 + end + 2;
    }

    /// Level, process, thread, logger, in any order that loggers use.
    fn words(&mut self) {
        // Not a level, but Mono.
        if self.rest().starts_with(b"[ERROR] FATAL UNHANDLED EXCEPTION: ") {
            return;
        }
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
        (matches!(next.first(), Some(b'[' | b'(')) || next.starts_with(b"---")) && self.has_level
            // `  err: …` is a field of what is printed.
            || word > 0 && level(&next[..word]).is_some() && !(next[0].is_ascii_lowercase() && next.get(word) == Some(&b':'))
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
            || rest.starts_with(b"WARNING: CPU: ")
            || rest.starts_with(b"ERROR: libFuzzer: ")
            || rest.starts_with(b"ERROR: ") && first_word(&rest[7..]).ends_with(b"Sanitizer")
            || rest.starts_with(b"fatal error: ")
            || rest.starts_with(b"Fatal Python error: ")
            || rest.starts_with(b"fatal runtime error: ")
            || rest.starts_with(b"FATAL ERROR: ")
        {
            return false;
        }
        let is_upper = rest[open..open + word].iter().all(u8::is_ascii_uppercase);
        let mut end = open + word;
        if open == 1 {
            // `[error    ]`
            end += run(&rest[end..], |it| it == b' ');
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
        // `Error in process <0.1.0>` is a sentence.
        let is_sentence = || {
            rest.get(end) == Some(&b' ')
                && rest.get(end + 1).is_some_and(u8::is_ascii_lowercase)
                && rest[0].is_ascii_uppercase()
        };
        if open == 0 && !is_upper && is_sentence() {
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
        // `[AggregateError: text] {` is no thread, nor is what PHP's loggers put before a cause, or Chromium before the last
        // words of a process.
        if rest.starts_with(b"[previous exception] ")
            || rest.starts_with(b"[stacktrace]")
            || rest.starts_with(b"[object] (")
        {
            return false;
        }
        let is_text = |part: &[u8]| memchr::memmem::find(&rest[..end], part).is_some();
        if is_text(b": ") || is_text(b":FATAL:") {
            return false;
        }
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
        // Without a level it may be a part of a trace: `--- End of inner exception stack trace ---`.
        if rest.starts_with(b"--- ") && self.has_level {
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
            // `1 [ra] 0x…` is a frame of Swift's.
            if next.starts_with(b"---")
                || next.starts_with(b"[") && !next.starts_with(b"[ra] 0x")
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
            // `src/basket.ts:9:20 - error TS2339` is a place.
            if !self.has_time || is_place(&self.rest()[..length]) || level(&next[..word]).is_none() {
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
    // `a.cpp:17:51: runtime error: …`
    if is_place(word) || memchr::memmem::find(word, b".swift:").is_some() {
        return None;
    }
    let is_exception = [&b"Exception"[..], b"Error", b"Throwable", b"Failure", b"Fault", b"ExceptionInfo"]
        .iter()
        .any(|it| word.ends_with(it));
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

/// `ERROR/ForkPoolWorker-1]` of Celery, behind the time: its length and whether it says error.
fn celery(text: &[u8]) -> Option<(usize, bool)> {
    let word = run(text, |it| it.is_ascii_uppercase());
    let is_error = level(&text[..word]).filter(|_| text.get(word) == Some(&b'/'))?;
    let end = text[..text.len().min(80)].iter().position(|&it| it == b']')?;
    Some((end + 1, is_error))
}

/// The letters at the start.
fn first_word(text: &[u8]) -> &[u8] {
    &text[..run(text, |it| it.is_ascii_alphabetic())]
}

/// Whether a word names a file, a line and a column.
fn is_place(word: &[u8]) -> bool {
    word.windows(2).filter(|it| it[0] == b':' && it[1].is_ascii_digit()).count() > 1
}

fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&it| !is_in(it)).unwrap_or(bytes.len())
}

#[path = "peel/time.rs"]
mod time;

#[cfg(test)]
#[path = "peel/tests.rs"]
mod tests;
