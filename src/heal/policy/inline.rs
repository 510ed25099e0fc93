//! Rust's tests inside the source: which lines of a file belong to an item under `#[cfg(test)]` or `#[test]`.
//!
//! It reads tokens only as far as braces need it (strings, characters, comments), which is enough for source that compiles; for
//! source that does not, no patch is proven anyway.

use std::ops::RangeInclusive;

/// Lines (counted from 1) of test items, attributes included, in order.
pub fn test_lines(source: &str) -> Vec<RangeInclusive<u32>> {
    let lines: Vec<&str> = source.lines().collect();
    let code = without_text(source);
    let code: Vec<&str> = code.lines().collect();
    let mut found: Vec<RangeInclusive<u32>> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if !is_test_attribute(code.get(at).copied().unwrap_or_default()) {
            at += 1;
            continue;
        }
        // Attributes and doc comments above belong to the item too.
        let mut first = at;
        while first > 0 && is_above_item(lines[first - 1]) {
            first -= 1;
        }
        let last = end_of_item(&code, at);
        found.push(number(first)..=number(last));
        at = last + 1;
    }
    found
}

/// Whether the whole file is under `#![cfg(test)]`.
pub fn is_all_test(source: &str) -> bool {
    source.lines().any(|line| line.trim() == "#![cfg(test)]")
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

fn is_test_attribute(line: &str) -> bool {
    let line = line.trim_start();
    ["#[cfg(test)", "#[cfg(all(test", "#[test]", "#[tokio::test", "#[rstest"]
        .iter()
        .any(|start| line.starts_with(start))
}

fn is_above_item(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("#[") || line.starts_with("///")
}

/// The line on which the item that begins at `from` ends: its matching brace, or the `;` before any brace.
fn end_of_item(code: &[&str], from: usize) -> usize {
    let (mut depth, mut brackets) = (0_u32, 0_u32);
    for (at, line) in code.iter().enumerate().skip(from) {
        for c in line.chars() {
            match c {
                '[' | '(' => brackets += 1,
                ']' | ')' => brackets = brackets.saturating_sub(1),
                '{' => depth += 1,
                '}' if depth <= 1 => return at,
                '}' => depth -= 1,
                ';' if depth == 0 && brackets == 0 => return at,
                _ => {}
            }
        }
    }
    code.len().saturating_sub(1)
}

/// The source with the content of strings, characters and comments blanked out, line for line.
fn without_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => {
                chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n)
            }
            '/' if chars.get(at + 1) == Some(&'*') => end_of_comment(&chars, at),
            '"' => end_of_string(&chars, at),
            'r' if !is_word(&chars, at) => end_of_raw_string(&chars, at),
            '\'' => end_of_char(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| blank(*c)));
            at = end;
        }
    }
    out
}

/// Whether the character before belongs to a name, as in `for`.
fn is_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_') && chars[at - 1] != 'b'
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_u32, start);
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') if depth == 1 => return at + 2,
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn end_of_raw_string(chars: &[char], start: usize) -> usize {
    let n_hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + 1 + n_hashes) != Some(&'"') {
        return start;
    }
    let mut at = start + 2 + n_hashes;
    while at < chars.len() {
        if chars[at] == '"'
            && chars[at + 1..].iter().take(n_hashes).filter(|c| **c == '#').count() == n_hashes
        {
            return at + 1 + n_hashes;
        }
        at += 1;
    }
    chars.len()
}

/// A character, not a lifetime.
fn end_of_char(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let from = start + 3;
            let rest = chars.get(from..).unwrap_or_default();
            rest.iter().take(12).position(|c| *c == '\'').map_or(start, |n| from + n + 1)
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &[(u32, u32)]) {
        let found: Vec<(u32, u32)> =
            test_lines(source).into_iter().map(|lines| (*lines.start(), *lines.end())).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn finds_test_modules_and_functions() {
        check("fn a() {}\n", &[]);
        check(
            "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {\n    }\n}\nfn c() {}\n",
            &[(3, 8)],
        );
        check("#[cfg(test)]\nmod tests;\nfn c() {}\n", &[(1, 2)]);
        check("/// Doc.\n#[expect(x)]\n#[cfg(test)]\nuse a::{b, c};\nfn c() {}\n", &[(1, 4)]);
        check("#[test]\nfn a() -> [u8; 2] {\n}\n#[test]\nfn b() {}\n", &[(1, 3), (4, 5)]);
    }

    #[test]
    fn text_is_not_code() {
        let source = "#[cfg(test)]\nmod tests {\n    const A: &str = \"}\";\n    const B: &str = r#\"}\"}\"#;\n    // }\n    /* } /* } */ */\n    const C: char = '}';\n    const D: char = '\\'';\n    fn f<'a>(x: &'a str) {}\n}\nfn real() {}\n";
        check(source, &[(1, 10)]);
        check("const A: &str = \"\n#[cfg(test)]\nmod tests {\";\nfn real() {}\n", &[]);
    }
}
