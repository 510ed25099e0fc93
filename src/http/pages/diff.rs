//! A unified diff as lines with a kind each, for colouring.

/// One line of a diff.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DiffLine {
    /// CSS class: `file`, `hunk`, `add`, `del` or `ctx`.
    pub(super) class: &'static str,
    pub(super) text: String,
}

/// Splits a diff into lines. Shows at most `max` of them, and says how many more there are.
pub(super) fn lines(diff: &str, max: usize) -> Vec<DiffLine> {
    let n_lines = diff.lines().count();
    let mut lines: Vec<DiffLine> = Vec::new();
    // Inside a hunk `---` and `+++` are changed lines that begin with dashes, not file names.
    let mut is_in_hunk = false;
    for text in diff.lines().take(max) {
        let class = match text.as_bytes().first() {
            Some(b'd') if text.starts_with("diff ") => {
                is_in_hunk = false;
                "file"
            }
            Some(b'@') => {
                is_in_hunk = true;
                "hunk"
            }
            Some(b'+') if is_in_hunk => "add",
            Some(b'-') if is_in_hunk => "del",
            _ if is_in_hunk => "ctx",
            _ => "file",
        };
        lines.push(DiffLine { class, text: text.to_owned() });
    }
    if n_lines > max {
        lines.push(DiffLine { class: "hunk", text: format!("… {} more lines", n_lines - max) });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_lines() {
        let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n ctx\n--- old\n+++ new\n";
        let classes: Vec<&str> = lines(diff, 99).iter().map(|it| it.class).collect();
        assert_eq!(classes, ["file", "file", "file", "hunk", "ctx", "del", "add"]);
        assert_eq!(lines(diff, 3).last().unwrap().text, "… 4 more lines");
    }
}
