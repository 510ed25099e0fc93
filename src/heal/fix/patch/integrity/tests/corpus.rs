//! The recorded right fixes of the corpus and of the demo meet no rule, of this stage or of the push.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn read_below(root: &Path, files: &mut BTreeMap<String, String>, folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_below(root, files, &path);
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), text);
        }
    }
}

/// The files after the script's edits.
fn played(script: &Path, before: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let script: Value = serde_json::from_str(&fs::read_to_string(script).unwrap()).unwrap();
    let mut files = before.clone();
    let turns = script["turns"].as_array().unwrap();
    for block in turns.iter().filter_map(|turn| turn["blocks"].as_array()).flatten() {
        let input = &block["tool_use"]["input"];
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
        match block["tool_use"]["name"].as_str() {
            Some("write_file") => drop(files.insert(text("path"), text("content"))),
            Some("edit_file") => {
                let Some(file) = files.get_mut(&text("path")) else { continue };
                *file = file.replacen(&text("old_text"), &text("new_text"), 1);
            }
            _ => {}
        }
    }
    files
}

fn check(repository: &Path, script: &Path) {
    let mut before = BTreeMap::new();
    read_below(repository, &mut before, repository);
    let after = played(script, &before);
    let changed = after.iter().filter(|(path, text)| before.get(*path) != Some(text));
    let files: Vec<File<'_>> = changed
        .map(|(path, text)| (path.as_str(), before.get(path).map(String::as_str), Some(text.as_str())))
        .collect();
    assert!(files.len() > 1, "{}: a fix and a test, {files:?}", script.display());
    assert_eq!(found(&files, RECORD, true), [], "{}", script.display());
    let patch = patch_of(&files);
    let last = |path: &str| after.get(path).cloned();
    let lines = Lines::of(&patch, &TestLines::of(&patch, last));
    let mut met = Rules::builtin().of_lines(&lines);
    met.extend(patch.paths().iter().flat_map(|path| Rules::builtin().of_path(path)));
    met.retain(|finding| finding.level > Level::Allow);
    assert_eq!(met, [], "{}", script.display());
}

#[test]
fn the_right_fixes_of_the_corpus_meet_no_rule() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    check(&root.join("config/demo/service"), &root.join("config/demo/script.json"));
    let mut n_checked = 0;
    for bug in fs::read_dir(root.join("tests/fixtures/bugs")).unwrap() {
        let bug = bug.unwrap().path();
        let script = bug.join("scripts/right.json");
        if script.is_file() {
            check(&bug.join("repo"), &script);
            n_checked += 1;
        }
    }
    assert!(n_checked > 5, "{n_checked}");
}
