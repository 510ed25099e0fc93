//! Reading, writing and editing files.

use bytes::Bytes;

use super::edit::replace_once;
use super::input::{EditFile, ReadFile, WriteFile};
use super::path;
use super::run::{ToolError, ToolResult, Toolbox, said, seen_file};
use super::text::reveal;
use crate::agent::contract::CommandEnd;
use crate::agent::machine::ToolOutcome;
use crate::base::redact::unhide;

/// Lines shown around an edit.
const N_CONTEXT: usize = 3;

// Exit codes of the scripts below, far from those of the programs in them.
const NOT_FOUND: i64 = 93;
const OUTSIDE: i64 = 94;
const FOLDER: i64 = 95;
const HARD_LINK: i64 = 96;
const SPECIAL: i64 = 97;

/// Finds where a path really is, links followed: the deepest part of it that exists must lie in the repository.
/// `$1` is the repository, `$2` the relative path; sets `$p`.
const RESOLVE: &str = r#"
root=$(realpath "$1") || exit 93
t=$root/$2
while [ ! -e "$t" ] && [ ! -L "$t" ]; do t=${t%/*}; done
r=$(realpath "$t") || exit 93
case "$r/" in "$root/.git/"*) exit 94 ;; "$root/"*) ;; *) exit 94 ;; esac
rest=$root/$2
p=$r${rest#"$t"}
"#;

/// The content goes to stdout, the real path, relative to the repository, to stderr. A file with a second name may be one of `.git`'s, and
/// nothing ends the reading of a pipe.
const READ: &str = r#"
[ -d "$p" ] && exit 95
[ -e "$p" ] || exit 93
[ -f "$p" ] || exit 97
[ "$(stat -c %h "$p")" = 1 ] || exit 96
printf %s "${p#"$root"/}" >&2
exec cat "$p"
"#;

const WRITE: &str = r#"
[ -d "$p" ] && exit 95
if [ -e "$p" ]; then
  [ -f "$p" ] || exit 97
  [ "$(stat -c %h "$p")" = 1 ] || exit 96
fi
mkdir -p "${p%/*}" && cat > "$p" && printf %s "${p#"$root"/}" >&2
"#;

/// A file of the repository.
struct File {
    /// Where it really is, relative to the repository.
    path: String,
    text: String,
}

impl Toolbox<'_> {
    pub(super) async fn read_file(&self, input: ReadFile) -> ToolResult {
        let file = self.load(&input.path).await?;
        let (clean, _) = self.redactor.redact_numbered(&file.text);
        let lines: Vec<&str> = clean.as_str().lines().collect();
        let first = usize::try_from(input.first_line.unwrap_or(1)).unwrap_or(usize::MAX).max(1);
        let last = input.last_line.map_or(lines.len(), |last| usize::try_from(last).unwrap_or(usize::MAX));
        if first > lines.len().max(1) {
            return Err(ToolError::Tell(format!("`{}` has only {} lines", input.path, lines.len())));
        }
        let text = self.number(&lines, first, last.min(lines.len()));
        let seen = vec![seen_file(&file.path, file.text.as_bytes())];
        let text = if text.is_empty() { "(the file is empty)".to_owned() } else { text };
        Ok(ToolOutcome { seen, ..said(text) })
    }

    pub(super) async fn write_file(
        &self,
        input: WriteFile,
        seen: &(impl Fn(&str) -> Option<String> + Sync),
    ) -> ToolResult {
        let original = match self.find(&input.path).await? {
            Some(file) => {
                let known = seen(&file.path).ok_or_else(|| {
                    ToolError::Tell(format!(
                        "`{}` exists; read it before you replace it, or use edit_file",
                        input.path
                    ))
                })?;
                check_unchanged(&file, &known)?;
                file.text
            }
            None => String::new(),
        };
        let content = self.put_back(&input.content, &original)?;
        let real = self.store(&input.path, &content).await?;
        let text = format!("wrote {} lines to `{}`", content.lines().count(), real);
        Ok(ToolOutcome { seen: vec![seen_file(&real, content.as_bytes())], ..said(text) })
    }

    pub(super) async fn edit_file(
        &self,
        input: EditFile,
        seen: &(impl Fn(&str) -> Option<String> + Sync),
    ) -> ToolResult {
        let file = self.load(&input.path).await?;
        if let Some(known) = seen(&file.path) {
            check_unchanged(&file, &known)?;
        }
        let old = self.put_back(&input.old_text, &file.text)?;
        let new = self.put_back(&input.new_text, &file.text)?;
        let edited = replace_once(&file.text, &old, &new).map_err(ToolError::Tell)?;
        let real = self.store(&input.path, &edited.text).await?;
        let (clean, _) = self.redactor.redact_numbered(&edited.text);
        let lines: Vec<&str> = clean.as_str().lines().collect();
        let first = edited.first_line.saturating_sub(N_CONTEXT).max(1);
        let last = (edited.last_line + N_CONTEXT).min(lines.len());
        let text = format!("edited `{real}`, which now reads:\n{}", self.number(&lines, first, last));
        Ok(ToolOutcome { seen: vec![seen_file(&real, edited.text.as_bytes())], ..said(text) })
    }

    /// Lines `first..=last` with their numbers, as many as fit.
    fn number(&self, lines: &[&str], first: usize, last: usize) -> String {
        let mut text = String::new();
        let mut n_chars = 0;
        for (line_idx, line) in lines.iter().enumerate().take(last).skip(first - 1) {
            let line = reveal(line.trim_end_matches('\r'));
            n_chars += line.chars().count() + 8;
            if n_chars > self.limits.tool_result_chars {
                if text.is_empty() {
                    text = super::text::cap(&line, self.limits.tool_result_chars);
                }
                text.push_str(&format!(
                    "[... the file has {} lines; go on with first_line {} ...]\n",
                    lines.len(),
                    line_idx + 1
                ));
                break;
            }
            text.push_str(&format!("{}\t{line}\n", line_idx + 1));
        }
        text
    }

    /// Puts the values behind placeholders back; one that stands for nothing in `original` must not be written.
    fn put_back(&self, given: &str, original: &str) -> Result<String, ToolError> {
        let (_, hidden) = self.redactor.redact_numbered(original);
        let text = unhide(given, &hidden);
        for (at, _) in text.match_indices("[redacted:") {
            let rest = &text[at..];
            let placeholder = &rest[..=rest.find(']').unwrap_or(rest.len() - 1)];
            if !original.contains(placeholder) {
                return Err(ToolError::Tell(format!(
                    "`{placeholder}` stands for a value that this file does not have; keep the file's own placeholders, or read \
                     the value from the environment"
                )));
            }
        }
        Ok(text)
    }

    async fn load(&self, given: &str) -> Result<File, ToolError> {
        let file = self.find(given).await?;
        file.ok_or_else(|| ToolError::Tell(format!("there is no file `{given}`")))
    }

    /// `None` if there is no such file.
    async fn find(&self, given: &str) -> Result<Option<File>, ToolError> {
        let relative = path::relative(self.workspace.root(), given).map_err(ToolError::Tell)?;
        let output = self.script(&format!("{RESOLVE}{READ}"), &[&relative], Bytes::new()).await?;
        if output.end == (CommandEnd::Exited { code: NOT_FOUND }) {
            return Ok(None);
        }
        check_exit(given, output.end, &output.stderr)?;
        if output.is_truncated {
            return Err(ToolError::Tell(format!(
                "`{given}` is too large to read whole; use run_command, for example sed -n"
            )));
        }
        let path = String::from_utf8_lossy(&output.stderr).into_owned();
        match String::from_utf8(output.stdout) {
            Ok(text) if !text.contains('\0') => Ok(Some(File { path, text })),
            Ok(_) | Err(_) => Err(ToolError::Tell(format!("`{given}` is not a text file in UTF-8"))),
        }
    }

    /// Writes the file; gives its real path relative to the repository.
    async fn store(&self, given: &str, text: &str) -> Result<String, ToolError> {
        let relative = path::relative(self.workspace.root(), given).map_err(ToolError::Tell)?;
        if relative.is_empty() {
            return Err(ToolError::Tell("the path is empty".to_owned()));
        }
        let content = Bytes::copy_from_slice(text.as_bytes());
        let output = self.script(&format!("{RESOLVE}{WRITE}"), &[&relative], content).await?;
        check_exit(given, output.end, &output.stderr)?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn check_exit(given: &str, end: CommandEnd, stderr: &[u8]) -> Result<(), ToolError> {
    let code = match end {
        CommandEnd::Exited { code } => code,
        CommandEnd::TimedOut | CommandEnd::Flooded | CommandEnd::EndedWorkspace => -1,
    };
    let why = match code {
        0 => return Ok(()),
        NOT_FOUND => format!("`{given}` is a link that leads nowhere"),
        OUTSIDE => {
            format!("`{given}` leads out of the repository, or into .git, through a link")
        }
        FOLDER => format!("`{given}` is a folder"),
        HARD_LINK => format!("`{given}` has a second name, perhaps outside the repository: copy it first"),
        SPECIAL => format!("`{given}` is not a plain file"),
        _ => format!("`{given}` cannot be used: {}", String::from_utf8_lossy(stderr).trim()),
    };
    Err(ToolError::Tell(why))
}

fn check_unchanged(file: &File, known: &str) -> Result<(), ToolError> {
    if seen_file(&file.path, file.text.as_bytes()).hash == known {
        return Ok(());
    }
    Err(ToolError::Tell(format!("`{}` has changed since you read it; read it again", file.path)))
}
