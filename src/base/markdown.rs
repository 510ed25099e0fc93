//! Foreign text in Markdown: the one place that escapes it.
//!
//! Whatever a service logged, a person reported or a model wrote may try to mention people, close tickets, show
//! images, link somewhere, break out of a code block or hide itself. Every text that goes to a tracker, a forge or a
//! messenger passes one of these: [`plain`] for titles and commit messages, [`code`] and [`block`] for what is shown
//! as it was, [`prose()`] for Markdown that a model wrote. The dialect is GitHub's: <https://github.github.com/gfm/>.

mod prose;

pub use prose::prose;

/// Whether a character shows nothing, or changes how others are shown: controls but `\n` and `\t`, bidi marks and
/// overrides, zero-width and filler characters, variation selectors, tags.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// One line of at most `max_chars` characters that mentions nobody, refers to no ticket and holds no address that
/// becomes a link. For titles, commit messages and notices, where no Markdown can protect it.
pub fn plain(text: &str, max_chars: usize) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len() + 8);
    let chars: Vec<char> = line.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        let next = chars.get(at + 1).copied();
        safe.push(c);
        if is_active(&chars[..at], c, next) {
            safe.push(' ');
        }
    }
    cap_chars(&safe, max_chars)
}

/// Whether `c` before `next` starts a mention (`@name`), a reference (`#12`, `GH-12`) or an address (`://`, `www.`).
fn is_active(before: &[char], c: char, next: Option<char>) -> bool {
    let Some(next) = next else { return false };
    let ends_with = |word: &str| {
        let n_chars = word.chars().count();
        before.len() >= n_chars
            && before[before.len() - n_chars..].iter().collect::<String>().eq_ignore_ascii_case(word)
    };
    match c {
        '@' => next.is_alphanumeric(),
        '#' => next.is_ascii_digit(),
        '-' => next.is_ascii_digit() && ends_with("gh"),
        ':' => next == '/',
        '.' => ends_with("www"),
        _ => false,
    }
}

/// A code span on one line: nothing in it is active, and no run of backticks can end it.
pub fn code(text: &str, max_chars: usize) -> String {
    let line = cap_chars(&one_line(text), max_chars);
    if line.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = "`".repeat(longest_run(&line, '`') + 1);
    // A space on both sides is taken away again by the reader, and lets a span begin or end with a backtick.
    if fence.len() > 1 { format!("{fence} {line} {fence}") } else { format!("{fence}{line}{fence}") }
}

/// A code span for a cell of a table, where a bar ends the cell even inside code. It is replaced, not escaped: behind
/// a backslash of the text an escaped bar would end the cell all the same.
pub fn cell(text: &str, max_chars: usize) -> String {
    code(&text.replace('|', "¦"), max_chars)
}

/// A fenced block of at most about `max_bytes` bytes, its middle left out where it is longer. `info` is a word of
/// ours, for example `text` or `diff`.
pub fn block(text: &str, info: &str, max_bytes: usize) -> String {
    let visible = lines(text);
    let capped = cap_middle(&visible, max_bytes);
    let fence = "`".repeat((longest_run(&capped, '`') + 1).max(3));
    format!("{fence}{info}\n{}\n{fence}", capped.trim_end_matches('\n'))
}

/// Something to unfold. `summary` is ours, `inner` is already safe Markdown.
pub fn details(summary: &str, inner: &str) -> String {
    format!("<details>\n<summary>{summary}</summary>\n\n{inner}\n\n</details>")
}

/// The first `max_chars` characters, with `…` as the last where something was left out.
pub fn cap_chars(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut capped: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    capped.truncate(capped.trim_end().len());
    capped.push('…');
    capped
}

/// The text without what cannot be seen, with all white space, line breaks among it, as single spaces.
pub fn one_line(text: &str) -> String {
    let spaced = text.chars().map(|c| if is_line_end(c) || c.is_whitespace() { ' ' } else { c });
    let visible: String = spaced.filter(|&c| !is_invisible(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text's lines without what cannot be seen; tabs stay.
pub fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let broken = text.chars().map(|c| if is_line_end(c) { '\n' } else { c });
    broken.filter(|&c| !is_invisible(c)).collect()
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A stranger's Markdown that is to stand as a part among others: its headings are only bold, and a code block that it opens ends with it,
/// so that nothing of what stands around it seems to be its own, or is swallowed by it.
pub fn contained(text: &str) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim();
        match &open {
            Some(fence) if bare.starts_with(fence.as_str()) && bare.chars().all(|c| fence.contains(c)) => {
                open = None;
            }
            Some(_) => {}
            None => open = prose::fence_of(line),
        }
        let is_title = open.is_none() && bare.starts_with('#');
        // A line of these under another one makes that one a heading.
        let is_underline = open.is_none()
            && kept.last().is_some_and(|last| !last.trim().is_empty())
            && !bare.is_empty()
            && (bare.bytes().all(|byte| byte == b'=') || bare.bytes().all(|byte| byte == b'-'));
        match (is_title, is_underline) {
            (true, _) => {
                let title = bare.trim_matches('#').trim();
                kept.push(if title.is_empty() { String::new() } else { format!("**{title}**") });
            }
            (false, true) => {}
            (false, false) => kept.push(line.to_owned()),
        }
    }
    kept.extend(open);
    kept.join("\n")
}

/// How often `c` stands in a row at most.
fn longest_run(text: &str, c: char) -> usize {
    let (mut longest, mut run) = (0, 0);
    for it in text.chars() {
        run = if it == c { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// Whole lines from the head and the tail of a text that is too long, and how many were left out between them. A
/// single line that is too long is cut.
pub fn cap_middle(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    let all: Vec<String> = text.lines().map(|line| cap_chars(line, (max_bytes / 8).max(80))).collect();
    let half = max_bytes / 2;
    let head = fitting(all.iter(), half);
    let tail = fitting(all[head..].iter().rev(), half);
    let n_left_out = all.len() - head - tail;
    if n_left_out == 0 {
        return all.join("\n");
    }
    let mut kept = all[..head].to_vec();
    kept.push(format!("… {n_left_out} lines left out …"));
    kept.extend_from_slice(&all[all.len() - tail..]);
    kept.join("\n")
}

/// How many of the lines, in their order, fit into `max_bytes`.
fn fitting<'a>(lines: impl Iterator<Item = &'a String>, max_bytes: usize) -> usize {
    let mut n_bytes = 0;
    lines
        .take_while(|line| {
            n_bytes += line.len() + 1;
            n_bytes <= max_bytes
        })
        .count()
}

#[cfg(test)]
mod tests;
