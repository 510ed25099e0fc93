//! Languages by the names of files, as far as rules differ by them, and where comments begin.

use std::fmt;

use serde::Deserialize;

/// Files that are read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Python,
    Node,
    Go,
    Rust,
    Jvm,
    Ruby,
    Php,
    Dotnet,
    Shell,
    C,
    Elixir,
    Other,
}

impl Language {
    /// The language of a file, by its name.
    pub fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default();
        match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "py" | "pyi" | "pyx" => Self::Python,
            "js" | "jsx" | "ts" | "tsx" | "mjs" | "cjs" | "mts" | "cts" | "vue" | "svelte" => Self::Node,
            "go" => Self::Go,
            "rs" => Self::Rust,
            "java" | "kt" | "kts" | "groovy" | "scala" => Self::Jvm,
            "rb" | "rake" | "ru" => Self::Ruby,
            "php" | "phtml" => Self::Php,
            "cs" | "fs" | "vb" => Self::Dotnet,
            "sh" | "bash" | "zsh" | "bats" | "ksh" | "mk" => Self::Shell,
            "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" => Self::C,
            "ex" | "exs" => Self::Elixir,
            _ if matches!(name, "Rakefile" | "Gemfile") => Self::Ruby,
            _ if matches!(name, "Makefile" | "makefile" | "GNUmakefile") => Self::Shell,
            _ => Self::Other,
        }
    }

    /// What begins a comment that goes to the end of its line; `None` where none is known.
    const fn comment(self) -> Option<&'static str> {
        match self {
            Self::Python | Self::Ruby | Self::Shell | Self::Elixir => Some("#"),
            Self::Node | Self::Go | Self::Rust | Self::Jvm | Self::Php | Self::Dotnet | Self::C => Some("//"),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", format!("{self:?}").to_lowercase())
    }
}

/// A line without its comment. What cannot be told from code stays: a `#` in a text that began on an earlier line, say.
pub fn code_of(language: Language, line: &str) -> &str {
    let Some(mark) = language.comment() else { return line };
    let start = line.trim_start();
    // A line that begins with a `*` may be a product.
    if mark == "//" && start.starts_with("/*") && !start.contains("*/") {
        return "";
    }
    // In Rust a single quote may begin a lifetime.
    let quotes: &[char] = if language == Language::Rust { &['"'] } else { &['"', '\'', '`'] };
    let mut open: Option<char> = None;
    let mut is_escaped = false;
    for (at, c) in line.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if let Some(quote) = open {
            is_escaped = c == '\\';
            if c == quote {
                open = None;
            }
        } else if quotes.contains(&c) {
            open = Some(c);
        } else if line[at..].starts_with(mark) && (mark != "#" || begins_word(line, at)) {
            return &line[..at];
        }
    }
    line
}

/// `$#` and `a#b` are no comments of a shell, nor is Ruby's `#{`.
fn begins_word(line: &str, at: usize) -> bool {
    line[..at].chars().next_back().is_none_or(char::is_whitespace)
        || line[..at].ends_with([';', ')', ':', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, line: &str, expected: &str) {
        assert_eq!(code_of(Language::of(path), line), expected, "{path}: {line}");
    }

    #[test]
    fn comments_are_told_from_code() {
        check("a.py", "x = 1  # sys.exit()", "x = 1  ");
        check("a.py", "x = '# no comment'", "x = '# no comment'");
        check("a.py", "x = 'it\\'s'  # y", "x = 'it\\'s'  ");
        check("a.js", "get('http://a') // y", "get('http://a') ");
        check("a.js", "/* process.exit(0)", "");
        check("a.js", " * process.exit(0)", " * process.exit(0)");
        check("a.rs", "fn f<'a>(x: &'a str) {} // y", "fn f<'a>(x: &'a str) {} ");
        check("a.sh", "echo $# # y", "echo $# ");
        check("a.rb", "\"#{exit}\"", "\"#{exit}\"");
        check("a.txt", "x # y", "x # y");
        check("a.go", "x := 2 * y // z", "x := 2 * y ");
    }
}
