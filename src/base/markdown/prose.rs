//! Markdown that a model wrote, made harmless: its paragraphs, lists, headings, emphasis and code stay, everything
//! that reaches outside (HTML, links, images, mentions, references, addresses) becomes text.

use super::{block, cap_middle, code, is_active, lines};

/// The Markdown of a stranger as safe Markdown, at most about `max_bytes` bytes of it.
///
/// Code is written anew with fences of its own, all other text is escaped. Where this reading and GitHub's differ,
/// only the looks suffer: text outside of code holds no unescaped `<`, `[`, `` ` ``, `@name` or `://`.
pub fn prose(text: &str, max_bytes: usize) -> String {
    let text = cap_middle(&lines(text), max_bytes);
    let mut safe = Vec::new();
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        match fence_of(line) {
            None => safe.push(safe_line(line)),
            Some(fence) => {
                let body: Vec<&str> = rest.by_ref().take_while(|line| !closes(line, &fence)).collect();
                safe.push(block(&body.join("\n"), "text", max_bytes));
            }
        }
    }
    safe.join("\n").trim().to_owned()
}

/// The run of backticks or tildes that opens a fenced block on this line.
pub(super) fn fence_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    let first = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let run: String = line.chars().take_while(|&c| c == first).collect();
    let is_fence = run.len() >= 3 && !(first == '`' && line[run.len()..].contains('`'));
    is_fence.then_some(run)
}

fn closes(line: &str, fence: &str) -> bool {
    let line = line.trim();
    line.starts_with(fence) && line.chars().all(|c| fence.starts_with(c))
}

/// One line: code spans that close on it stay code, the rest is escaped.
fn safe_line(line: &str) -> String {
    let mut safe = String::with_capacity(line.len() + 16);
    let mut rest = line;
    while let Some(start) = rest.find('`') {
        let run = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let after = &rest[start + run..];
        let Some(end) = closing_run(after, run) else {
            escape(&rest[..start + run], &mut safe);
            rest = after;
            continue;
        };
        escape(&rest[..start], &mut safe);
        safe.push_str(&code(&after[..end], usize::MAX));
        rest = &after[end + run..];
    }
    escape(rest, &mut safe);
    safe
}

/// Where a run of exactly `n` backticks begins.
fn closing_run(text: &str, n: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        if run == n {
            return Some(start);
        }
        at = start + run;
    }
    None
}

fn escape(text: &str, safe: &mut String) {
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        match c {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '`' | '[' | ']' | '!' | '\\' | '$' | '~' => {
                safe.push('\\');
                safe.push(c);
            }
            _ => {
                safe.push(c);
                if is_active(&chars[..at], c, chars.get(at + 1).copied()) {
                    safe.push(' ');
                }
            }
        }
    }
}
