//! Looking around: files, search, what is changed.

use bytes::Bytes;
use globset::GlobBuilder;

use super::input::{GitDiff, ListFiles, SearchCode};
use super::path;
use super::run::{ToolError, ToolResult, Toolbox, said};
use crate::agent::contract::{CommandEnd, WorkspaceOutput};

/// Lines of a list that are shown.
const MAX_LINES: usize = 400;

const LIST: &str =
    r#"cd "$1" && exec git -c core.quotePath=off ls-files --cached --others --exclude-standard -- "./$2""#;

/// `$2` path, `$3` pattern, the rest options. ripgrep where the image has it; grep knows neither ignore files nor globs on paths.
const SEARCH: &str = r#"
cd "$1" || exit 2
path=./$2 pattern=$3
shift 3
if command -v rg >/dev/null; then
  exec rg --no-config --line-number --with-filename --no-heading --color=never --max-columns=400 --max-columns-preview \
    --sort=path --hidden --glob '!.git' "$@" -e "$pattern" -- "$path"
fi
for it; do
  case $it in --ignore-case) case_option=-i ;; --glob=*) include=--include=${it#--glob=} ;; esac
done
exec grep -rnEI ${case_option:+"$case_option"} ${include:+"$include"} --exclude-dir=.git -e "$pattern" "$path"
"#;

const STATUS: &str =
    r#"cd "$1" && exec git -c core.quotePath=off status --short --branch --untracked-files=all"#;

/// New files are marked as such first, so that they stand in the diff. `$2` is the base commit, `$3` the path.
const DIFF: &str = r#"
cd "$1" && git add --intent-to-add --all &&
exec git -c core.quotePath=off diff --no-ext-diff --no-textconv --no-color "$2" -- "./$3"
"#;

impl Toolbox<'_> {
    pub(super) async fn list_files(&self, input: ListFiles) -> ToolResult {
        let folder = self.relative(input.path.as_deref())?;
        let output = self.script(LIST, &[&folder], Bytes::new()).await?;
        let listed = self.checked(output, &[0])?;
        let glob = input.glob.as_deref().map(|glob| {
            let glob = GlobBuilder::new(glob).literal_separator(true).build();
            glob.map(|glob| glob.compile_matcher())
                .map_err(|error| ToolError::Tell(format!("the glob cannot be read: {error}")))
        });
        let glob = glob.transpose()?;
        let mut paths: Vec<&str> =
            listed.lines().filter(|path| glob.as_ref().is_none_or(|glob| glob.is_match(path))).collect();
        paths.sort_unstable();
        paths.dedup();
        if paths.is_empty() {
            return Ok(said("no files match".to_owned()));
        }
        Ok(said(self.present(first_lines(&paths, "give a path or a glob").as_bytes())))
    }

    pub(super) async fn search_code(&self, input: SearchCode) -> ToolResult {
        let folder = self.relative(input.path.as_deref())?;
        let mut arguments = vec![folder, input.pattern];
        if input.ignore_case == Some(true) {
            arguments.push("--ignore-case".to_owned());
        }
        arguments.extend(input.glob.map(|glob| format!("--glob={glob}")));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = self.script(SEARCH, &arguments, Bytes::new()).await?;
        // 1: nothing found.
        let found = self.checked(output, &[0, 1])?;
        let lines: Vec<&str> = found.lines().map(|line| line.strip_prefix("./").unwrap_or(line)).collect();
        if lines.is_empty() {
            return Ok(said("nothing found".to_owned()));
        }
        Ok(said(self.present(first_lines(&lines, "narrow the pattern, the path or the glob").as_bytes())))
    }

    pub(super) async fn git_status(&self) -> ToolResult {
        let output = self.script(STATUS, &[], Bytes::new()).await?;
        Ok(said(self.present(self.checked(output, &[0])?.as_bytes())))
    }

    pub(super) async fn git_diff(&self, input: GitDiff) -> ToolResult {
        let path = self.relative(input.path.as_deref())?;
        let output = self.script(DIFF, &[self.base_commit, &path], Bytes::new()).await?;
        let diff = self.checked(output, &[0])?;
        if diff.is_empty() {
            return Ok(said("nothing is changed".to_owned()));
        }
        Ok(said(self.present(diff.as_bytes())))
    }

    fn relative(&self, given: Option<&str>) -> Result<String, ToolError> {
        path::relative(self.workspace.root(), given.unwrap_or_default()).map_err(ToolError::Tell)
    }

    /// The output, if the command ended with one of `codes`.
    fn checked(&self, output: WorkspaceOutput, codes: &[i64]) -> Result<String, ToolError> {
        match output.end {
            CommandEnd::Exited { code } if codes.contains(&code) => {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            CommandEnd::Exited { .. } => {
                Err(ToolError::Tell(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
            }
            CommandEnd::TimedOut => Err(ToolError::Tell("it took too long".to_owned())),
            CommandEnd::Flooded => Err(ToolError::Tell("it gave far too much output".to_owned())),
            CommandEnd::EndedWorkspace => Err(ToolError::Tell("it ended the sandbox".to_owned())),
        }
    }
}

fn first_lines(lines: &[&str], advice: &str) -> String {
    let shown = lines[..lines.len().min(MAX_LINES)].join("\n");
    if lines.len() <= MAX_LINES {
        return shown;
    }
    format!("{shown}\n[... {} more; {advice} ...]", lines.len() - MAX_LINES)
}
