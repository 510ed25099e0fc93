//! Which files patterns name.
//!
//! A pattern is an absolute path with the wildcards of globset, for example `/var/log/app/*.log` or `/srv/**/error.log`. What a rotation
//! leaves behind is left out, as it is read through the name it had: see [`super::rotation`].

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use super::rotation::is_rotated_name;

/// Files that are followed at the same time; what patterns name beyond them is left out, with a warning.
pub(super) const MAX_FILES: usize = 16_384;

/// Endings of compressed files.
const COMPRESSED: [&str; 6] = ["gz", "bz2", "xz", "zst", "lz4", "zip"];

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPattern {
    #[error("`{0}` is not an absolute path")]
    Relative(String),
    #[error("failed to read `{pattern}` as a pattern")]
    Glob {
        pattern: String,
        #[source]
        source: globset::Error,
    },
}

/// Patterns of paths, ready to use.
#[derive(Debug, Clone, Default)]
pub struct Patterns(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    /// The part before the first wildcard.
    root: PathBuf,
    /// Folders below `root` that can match; `None` for any number.
    depth: Option<usize>,
    glob: GlobMatcher,
}

impl Patterns {
    /// Reads patterns.
    ///
    /// # Errors
    /// The first one that is no absolute path or no pattern.
    pub fn new<'p>(patterns: impl IntoIterator<Item = &'p str>) -> Result<Self, InvalidPattern> {
        patterns.into_iter().map(Pattern::new).collect::<Result<_, _>>().map(Self)
    }

    /// Whether no file can match.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Folders in which a file may come up that matches now or later.
    pub(super) fn roots(&self) -> BTreeSet<PathBuf> {
        self.0.iter().map(|pattern| pattern.root.clone()).collect()
    }

    /// All files that match, and the folders they lie in.
    pub(super) fn find(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let (mut files, mut folders) = (BTreeSet::new(), BTreeSet::new());
        for pattern in &self.0 {
            pattern.walk(&pattern.root, 0, &mut files, &mut folders);
        }
        (files, folders)
    }
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        if !Path::new(pattern).is_absolute() {
            return Err(InvalidPattern::Relative(pattern.to_owned()));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|source| InvalidPattern::Glob { pattern: pattern.to_owned(), source })?;
        let components: Vec<Component<'_>> = Path::new(pattern).components().collect();
        let is_plain =
            |it: &Component<'_>| !it.as_os_str().to_string_lossy().contains(['*', '?', '[', '{', '\\']);
        // The last one names the file.
        let n_folders = components.len().saturating_sub(1);
        let n_plain = components[..n_folders].iter().take_while(|it| is_plain(it)).count();
        Ok(Self {
            root: components[..n_plain].iter().collect(),
            // Braces may hold separators.
            depth: (!pattern.contains("**") && !pattern.contains('{')).then_some(n_folders - n_plain),
            glob: glob.compile_matcher(),
        })
    }

    fn walk(
        &self,
        folder: &Path,
        depth: usize,
        files: &mut BTreeSet<PathBuf>,
        folders: &mut BTreeSet<PathBuf>,
    ) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        if folders.len() >= MAX_FILES {
            return;
        }
        folders.insert(folder.to_owned());
        let mut matching = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            // Links to folders are not followed: they may lead round and round. Links to files are.
            let is_folder = entry.file_type().is_ok_and(|it| it.is_dir());
            if is_folder && self.depth.is_none_or(|max| depth < max) {
                self.walk(&path, depth + 1, files, folders);
            } else if !is_folder && self.glob.is_match(&path) {
                matching.push(path);
            }
        }
        let names: HashSet<String> = matching.iter().filter_map(|path| name_of(path)).collect();
        for path in matching {
            let is_left_over = name_of(&path).is_some_and(|name| {
                is_compressed(&path)
                    || names_before(&name)
                        .any(|other| names.contains(other.as_ref()) && is_rotated_name(&other, &name))
            });
            if !is_left_over && path.is_file() {
                files.insert(path);
            }
        }
    }
}

/// The names that a rotated file with this name may have had: without the mark at its end, or before its ending.
fn names_before(name: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let ending = name.rfind('.').map(|at| &name[at..]);
    let marks = name.match_indices(['.', '-', '_']).map(|(at, _)| at).filter(|at| *at > 0);
    marks
        .flat_map(move |at| {
            let inner = ending.map(|ending| Cow::Owned(format!("{}{ending}", &name[..at])));
            [Some(Cow::Borrowed(&name[..at])), inner].into_iter().flatten()
        })
        .filter(move |other| *other != name)
}

fn name_of(path: &Path) -> Option<String> {
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| COMPRESSED.iter().any(|it| extension.eq_ignore_ascii_case(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for file in
            ["a/app.log", "a/app.log.1", "a/app.log.2.gz", "a/web.log", "a/b/deep.log", "c/app.log", "x.txt"]
        {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root.join("x.txt"), root.join("a/link.log")).unwrap();
        std::os::unix::fs::symlink(root, root.join("a/round")).unwrap();
        let patterns: Vec<String> = patterns.iter().map(|it| format!("{}/{it}", root.display())).collect();
        let (files, _) = Patterns::new(patterns.iter().map(String::as_str)).unwrap().find();
        let files: Vec<String> =
            files.iter().map(|it| it.strip_prefix(root).unwrap().display().to_string()).collect();
        assert_eq!(files, expected, "{patterns:?}");
    }

    #[test]
    fn patterns_find_files_and_leave_out_what_was_rotated() {
        check(&["a/app.log"], &["a/app.log"]);
        check(&["a/app.log.1"], &["a/app.log.1"]);
        check(&["a/*"], &["a/app.log", "a/link.log", "a/web.log"]);
        check(&["*/app.log"], &["a/app.log", "c/app.log"]);
        check(&["**/*.log"], &["a/app.log", "a/b/deep.log", "a/link.log", "a/web.log", "c/app.log"]);
        check(&["{a,c}/app.log"], &["a/app.log", "c/app.log"]);
        check(&["nothing/*.log", "x.txt"], &["x.txt"]);
    }

    #[test]
    fn wrong_patterns_are_told() {
        assert!(matches!(Patterns::new(["logs/*.log"]), Err(InvalidPattern::Relative(_))));
        assert!(matches!(Patterns::new(["/logs/[.log"]), Err(InvalidPattern::Glob { .. })));
    }
}
