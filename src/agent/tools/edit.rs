//! Replaces one piece of a text, or says why not in words that help to try again.

/// Near misses that are shown.
const MAX_NEAR: usize = 3;

/// Longest line shown in an error.
const MAX_LINE_CHARS: usize = 160;

/// The text with its one piece replaced, and the lines that now hold the new one (counted from 1).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) first_line: usize,
    pub(super) last_line: usize,
}

/// Replaces `old` by `new` in `text`, if it is there exactly once.
pub(super) fn replace_once(text: &str, old: &str, new: &str) -> Result<Edited, String> {
    if old.is_empty() {
        return Err("old_text is empty; use write_file to make a file".to_owned());
    }
    if old == new {
        return Err("old_text and new_text are the same".to_owned());
    }
    // The model never sees carriage returns; a file that has them keeps them.
    let (old, new) = if text.contains("\r\n") && !old.contains('\r') {
        (old.replace('\n', "\r\n"), new.replace("\r\n", "\n").replace('\n', "\r\n"))
    } else {
        (old.to_owned(), new.to_owned())
    };
    let matches: Vec<usize> = text.match_indices(&old).map(|(at, _)| at).collect();
    match matches.as_slice() {
        [at] => {
            let first_line = line_of(text, *at);
            let last_line = first_line + new.trim_end_matches('\n').matches('\n').count();
            let text = format!("{}{new}{}", &text[..*at], &text[at + old.len()..]);
            Ok(Edited { text, first_line, last_line })
        }
        [] => Err(not_found(text, &old)),
        many => {
            let lines: Vec<String> = many.iter().map(|at| line_of(text, *at).to_string()).collect();
            Err(format!(
                "old_text is there {} times, at lines {}; give more lines around the one you mean",
                many.len(),
                lines.join(", ")
            ))
        }
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn not_found(text: &str, old: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let wanted: Vec<&str> = old.lines().map(str::trim).collect();
    let is_same = |at: usize| {
        wanted.iter().enumerate().all(|(n, line)| lines.get(at + n).is_some_and(|it| it.trim() == *line))
    };
    if let Some(at) = (0..lines.len()).find(|at| !wanted.is_empty() && is_same(*at)) {
        let shown = show(&lines, at, wanted.len());
        return format!(
            "old_text is not there exactly, but with other white space at line {}:\n{shown}",
            at + 1
        );
    }
    let first = wanted.iter().find(|line| !line.is_empty()).copied().unwrap_or_default();
    let mut near: Vec<(usize, usize)> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| (likeness(line.trim(), first), at))
        .filter(|(likeness, _)| *likeness >= 50)
        .collect();
    near.sort_by_key(|(likeness, at)| (std::cmp::Reverse(*likeness), *at));
    near.truncate(MAX_NEAR);
    if near.is_empty() {
        return "old_text is not in the file; read it again".to_owned();
    }
    let shown: Vec<String> = near.iter().map(|(_, at)| show(&lines, *at, 1)).collect();
    format!("old_text is not in the file; its first line is most like:\n{}", shown.join("\n"))
}

/// `n` lines from `at`, numbered.
fn show(lines: &[&str], at: usize, n: usize) -> String {
    let shown = lines.iter().enumerate().skip(at).take(n.min(20));
    let shown = shown.map(|(at, line)| {
        let line: String = line.chars().take(MAX_LINE_CHARS).collect();
        format!("{}\t{line}", at + 1)
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// How alike two lines are, in percent: shared pairs of characters (Dice).
fn likeness(left: &str, right: &str) -> usize {
    let pairs = |line: &str| -> Vec<(char, char)> {
        let chars: Vec<char> = line.chars().filter(|c| !c.is_whitespace()).take(MAX_LINE_CHARS).collect();
        chars.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let (left, mut right) = (pairs(left), pairs(right));
    let n_all = left.len() + right.len();
    if n_all == 0 {
        return 0;
    }
    let n_shared = left
        .iter()
        .filter(|pair| right.iter().position(|it| it == *pair).map(|at| right.swap_remove(at)).is_some())
        .count();
    200 * n_shared / n_all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "def area(w, h):\n    return w * h\n\ndef edge(w, h):\n    return 2 * (w + h)\n";

    fn fails(old: &str, expected: &str) {
        assert_eq!(replace_once(TEXT, old, "new").unwrap_err(), expected, "{old:?}");
    }

    #[test]
    fn one_match_is_replaced() {
        let edited = replace_once(
            TEXT,
            "    return w * h\n",
            "    if w < 0:\n        raise ValueError\n    return w * h\n",
        )
        .unwrap();
        let expected = Edited {
            text: TEXT
                .replace("    return w * h\n", "    if w < 0:\n        raise ValueError\n    return w * h\n"),
            first_line: 2,
            last_line: 4,
        };
        assert_eq!(edited, expected);
        let deleted = replace_once(TEXT, "    return w * h\n", "").unwrap();
        assert_eq!((deleted.first_line, deleted.last_line), (2, 2));
    }

    #[test]
    fn carriage_returns_stay() {
        let edited = replace_once("a\r\nb\r\nc\r\n", "a\nb", "a\nx\nb").unwrap();
        assert_eq!(edited.text, "a\r\nx\r\nb\r\nc\r\n");
    }

    #[test]
    fn what_does_not_match_once_is_explained() {
        fails("", "old_text is empty; use write_file to make a file");
        fails("x", "old_text is not in the file; read it again");
        fails("(w, h):", "old_text is there 2 times, at lines 1, 4; give more lines around the one you mean");
        fails(
            "def area(w, h):\n  return w * h",
            "old_text is not there exactly, but with other white space at line 1:\n1\tdef area(w, h):\n2\t    return w * h",
        );
        fails(
            "    return 2 * (w + h) + 1",
            "old_text is not in the file; its first line is most like:\n5\t    return 2 * (w + h)",
        );
        assert_eq!(replace_once(TEXT, "def", "def").unwrap_err(), "old_text and new_text are the same");
    }
}
