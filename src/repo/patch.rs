//! A patch as a value: which files it touches, and how.
//!
//! Reads what git writes (`diff --git` with `a/` and `b/`) and nothing looser. The text of each part is kept as it was, so that a patch
//! shows again what it was read from. It never touches a file; applying is [`super::WorkTree::apply`].

use std::fmt;

/// A patch read from text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Patch {
    pub files: Vec<FilePatch>,
}

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// Relative to the repository; a patch never renames.
    pub path: String,
    pub change: Change,
    /// Mode before and after, as git writes it (`100644`), where the patch says so.
    pub old_mode: Option<u32>,
    pub new_mode: Option<u32>,
    pub is_binary: bool,
    pub hunks: Vec<Hunk>,
    /// Everything before the first hunk, or the whole of a binary change.
    head: String,
}

/// What happens to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// One stretch of changed lines with its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// First line and number of lines before, counted from 1 (0 for an empty side).
    pub old: (u32, u32),
    /// The same after.
    pub new: (u32, u32),
    pub lines: Vec<Line>,
    /// As read, with its `@@` line.
    text: String,
}

/// One line of a hunk, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Context(String),
    Removed(String),
    Added(String),
}

/// A text that is not a patch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} of the patch is not as git writes it: {reason}")]
pub struct InvalidPatch {
    /// Counted from 1.
    pub line: usize,
    pub reason: &'static str,
}

impl Patch {
    /// Reads a patch. An empty text is an empty patch.
    pub fn parse(text: &str) -> Result<Self, InvalidPatch> {
        let mut reader = Reader { lines: text.split_inclusive('\n').collect(), at: 0 };
        let mut files = Vec::new();
        while let Some(line) = reader.peek() {
            if !line.starts_with("diff --git ") {
                return Err(reader.wrong("expected `diff --git`"));
            }
            files.push(reader.file()?);
        }
        Ok(Self { files })
    }

    /// The paths it touches, in order.
    pub fn paths(&self) -> Vec<String> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }

    /// The files for which `belongs` holds, and the others; both in order.
    #[must_use]
    pub fn partition(self, belongs: impl Fn(&FilePatch) -> bool) -> (Self, Self) {
        let (yes, no) = self.files.into_iter().partition(|file| belongs(file));
        (Self { files: yes }, Self { files: no })
    }

    /// Whether nothing is changed.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

impl FilePatch {
    /// Lines added and removed.
    pub fn n_changed(&self) -> (usize, usize) {
        let lines = self.hunks.iter().flat_map(|hunk| &hunk.lines);
        lines.fold((0, 0), |(added, removed), line| match line {
            Line::Added(_) => (added + 1, removed),
            Line::Removed(_) => (added, removed + 1),
            Line::Context(_) => (added, removed),
        })
    }

    /// Lines that are there afterwards and were not before.
    pub fn added_lines(&self) -> impl Iterator<Item = &str> {
        self.hunks.iter().flat_map(|hunk| &hunk.lines).filter_map(|line| match line {
            Line::Added(text) => Some(text.as_str()),
            Line::Removed(_) | Line::Context(_) => None,
        })
    }

    /// Lines that were there before and are not any more.
    pub fn removed_lines(&self) -> impl Iterator<Item = &str> {
        self.hunks.iter().flat_map(|hunk| &hunk.lines).filter_map(|line| match line {
            Line::Removed(text) => Some(text.as_str()),
            Line::Added(_) | Line::Context(_) => None,
        })
    }
}

impl fmt::Display for Patch {
    /// The text it was read from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.iter().try_for_each(|file| write!(f, "{file}"))
    }
}

impl fmt::Display for FilePatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        self.hunks.iter().try_for_each(|hunk| f.write_str(&hunk.text))
    }
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    fn wrong(&self, reason: &'static str) -> InvalidPatch {
        InvalidPatch { line: self.at + 1, reason }
    }

    fn file(&mut self) -> Result<FilePatch, InvalidPatch> {
        let first = self.at;
        let title = self.peek().unwrap_or_default().trim_end_matches('\n');
        let mut file = FilePatch {
            path: String::new(),
            change: Change::Modified,
            old_mode: None,
            new_mode: None,
            is_binary: false,
            hunks: Vec::new(),
            head: String::new(),
        };
        self.at += 1;
        let (mut old, mut new) = (None, None);
        while let Some(line) = self.peek() {
            let line = line.trim_end_matches('\n');
            if line.starts_with("@@ ") || line.starts_with("diff --git ") {
                break;
            }
            let mode = |text: &str| u32::from_str_radix(text, 8).ok();
            if let Some(path) = line.strip_prefix("--- ") {
                old = side(path, "a/").ok_or_else(|| self.wrong("a path without `a/`"))?;
            } else if let Some(path) = line.strip_prefix("+++ ") {
                new = side(path, "b/").ok_or_else(|| self.wrong("a path without `b/`"))?;
            } else if let Some(text) = line.strip_prefix("new file mode ") {
                (file.change, file.new_mode) = (Change::Added, mode(text));
            } else if let Some(text) = line.strip_prefix("deleted file mode ") {
                (file.change, file.old_mode) = (Change::Deleted, mode(text));
            } else if let Some(text) = line.strip_prefix("old mode ") {
                file.old_mode = mode(text);
            } else if let Some(text) = line.strip_prefix("new mode ") {
                file.new_mode = mode(text);
            } else if let Some(rest) = line.strip_prefix("index ") {
                if let Some((_, text)) = rest.split_once(' ') {
                    (file.old_mode, file.new_mode) = (mode(text), mode(text));
                }
            } else if line == "GIT binary patch" || line.starts_with("Binary files ") {
                file.is_binary = true;
                self.skip_binary();
                continue;
            } else if line.starts_with("rename ") || line.starts_with("copy ") {
                return Err(self.wrong("a rename"));
            } else {
                return Err(self.wrong("an unknown header"));
            }
            self.at += 1;
        }
        file.path = match (new, old) {
            (Some(new), Some(old)) if new != old => return Err(self.wrong("two paths that differ")),
            (Some(path), _) | (None, Some(path)) => path,
            // Empty and binary files have no `---` and `+++`.
            (None, None) => titled(title).ok_or(InvalidPatch { line: first + 1, reason: "no path" })?,
        };
        file.head = self.lines[first..self.at].concat();
        while self.peek().is_some_and(|line| line.starts_with("@@ ")) {
            file.hunks.push(self.hunk()?);
        }
        Ok(file)
    }

    /// To the next file: a binary patch has no line that begins like one.
    fn skip_binary(&mut self) {
        while self.peek().is_some_and(|line| !line.starts_with("diff --git ")) {
            self.at += 1;
        }
    }

    fn hunk(&mut self) -> Result<Hunk, InvalidPatch> {
        let first = self.at;
        let (old, new) =
            self.peek().and_then(ranges).ok_or_else(|| self.wrong("a hunk without line numbers"))?;
        self.at += 1;
        let (mut n_old, mut n_new, mut lines) = (0, 0, Vec::new());
        while n_old < old.1 || n_new < new.1 {
            let line = self.peek().ok_or_else(|| self.wrong("a hunk that is too short"))?;
            let text = |line: &str| line[1..].trim_end_matches('\n').to_owned();
            match line.as_bytes().first() {
                Some(b' ') => {
                    (n_old, n_new) = (n_old + 1, n_new + 1);
                    lines.push(Line::Context(text(line)));
                }
                Some(b'-') => {
                    n_old += 1;
                    lines.push(Line::Removed(text(line)));
                }
                Some(b'+') => {
                    n_new += 1;
                    lines.push(Line::Added(text(line)));
                }
                Some(b'\\') => {}
                _ => return Err(self.wrong("a line in a hunk that is none")),
            }
            self.at += 1;
        }
        if (n_old, n_new) != (old.1, new.1) {
            return Err(self.wrong("a hunk that is too long"));
        }
        // `\ No newline at end of file`
        if self.peek().is_some_and(|line| line.starts_with('\\')) {
            self.at += 1;
        }
        Ok(Hunk { old, new, lines, text: self.lines[first..self.at].concat() })
    }
}

/// `@@ -1,2 +3,4 @@ …`; a missing number of lines is 1.
fn ranges(line: &str) -> Option<((u32, u32), (u32, u32))> {
    let mut words = line.trim_end_matches('\n').strip_prefix("@@ ")?.split(' ');
    let range = |text: &str| match text.split_once(',') {
        Some((start, n)) => Some((start.parse().ok()?, n.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let old = range(words.next()?.strip_prefix('-')?)?;
    let new = range(words.next()?.strip_prefix('+')?)?;
    (words.next()? == "@@").then_some((old, new))
}

/// One side of a file: `Some(None)` for `/dev/null`, `None` for what is neither that nor a path with the prefix.
fn side(text: &str, prefix: &str) -> Option<Option<String>> {
    // git ends a path with blanks in it by a tab.
    let text = text.strip_suffix('\t').unwrap_or(text);
    if text == "/dev/null" {
        return Some(None);
    }
    unquoted(text)?.strip_prefix(prefix).map(|path| Some(path.to_owned()))
}

/// The path of `diff --git a/<path> b/<path>`, which is the same twice, or quoted twice.
fn titled(line: &str) -> Option<String> {
    let rest = line.strip_prefix("diff --git ")?;
    if rest.starts_with('"') {
        let middle = rest.find("\" \"b/")?;
        return side(&rest[..=middle], "a/")?;
    }
    let path = rest.get(2..(rest.len().checked_sub(1)?) / 2)?;
    (rest == format!("a/{path} b/{path}")).then(|| path.to_owned())
}

/// A path as git quotes it when it has control characters, quotes or backslashes in it.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else { return Some(text.to_owned()) };
    let mut bytes = inner.strip_suffix('"')?.bytes();
    let mut path = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            path.push(byte);
            continue;
        }
        path.push(match bytes.next()? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'v' => 11,
            b'f' => 12,
            first @ b'0'..=b'3' => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    value = value * 8 + char::from(bytes.next()?).to_digit(8)?;
                }
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(path).ok()
}

#[cfg(test)]
mod tests;
