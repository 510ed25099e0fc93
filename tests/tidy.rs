//! Guards the house: the direction of imports, the size of files, and a `//!` at the head of each.
//!
//! The list below is the design's "Direction" written out. A new arrow is a reviewed line here.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the source must fail")]

use std::fs;
use std::path::{Path, PathBuf};

const BOTTOM: &[&str] = &["base", "model"];
const WATCH_PARTS: &[&str] =
    &["watch/source", "watch/rules", "watch/scan", "watch/join", "watch/fingerprint", "watch/triage"];
const ADAPTERS: &[&str] = &["store", "agent", "sandbox", "repo", "github", "forge", "tracker", "messenger"];
const STAGES: &[&str] =
    &["heal/worker", "heal/ticket", "heal/fix", "heal/propose", "heal/land", "heal/announce"];

/// What each part may name besides itself. The longest matching path decides which part a file belongs to.
fn allowed(part: &str) -> Vec<&'static str> {
    let below_stages = || [BOTTOM, WATCH_PARTS, ADAPTERS].concat();
    let without = |removed: &[&str]| -> Vec<&'static str> {
        below_stages().into_iter().filter(|it| !removed.contains(it)).collect()
    };
    match part {
        "base" => vec![],
        "model" => vec!["base"],
        // `scan` asks the rules for their literals.
        "watch/scan" => [BOTTOM, &["watch/rules"]].concat(),
        // The fingerprint is taken of what the joiner peeled and by the shapes it joined with.
        "watch/fingerprint" => [BOTTOM, &["watch/join"]].concat(),
        // The local forge and the local tracker keep their proposals and tickets in the store; those on GitHub share one client.
        "forge" | "tracker" => [BOTTOM, &["store", "github"]].concat(),
        part if WATCH_PARTS.contains(&part) || ADAPTERS.contains(&part) => BOTTOM.to_vec(),
        "watch/ingest" => [BOTTOM, WATCH_PARTS, &["store"]].concat(),
        // Walls: what touches hostile text cannot push, what pushes cannot talk to the model.
        "heal/fix" => [&without(&["forge", "github"])[..], &["heal/story", "heal/policy"]].concat(),
        "heal/propose" => [&without(&["agent"])[..], &["heal/story", "heal/policy"]].concat(),
        "heal/land" => [&without(&["agent"])[..], &["heal/story"]].concat(),
        // The texts for people and the timeline, which every stage writes alike.
        "heal/story" => [BOTTOM, &["store", "heal/policy"]].concat(),
        // What a patch may not do, as data.
        "heal/policy" => [BOTTOM, &["repo"]].concat(),
        part if STAGES.contains(&part) => [&below_stages()[..], &["heal/story"]].concat(),
        "watch" | "heal" => vec![],
        "http" => [&below_stages()[..], STAGES, &["watch/ingest"]].concat(),
        // `config` builds the settings of every part, `http`'s among them.
        "config" => [&below_stages()[..], STAGES, &["heal/policy", "watch/ingest", "http"]].concat(),
        "daemon" => {
            [&below_stages()[..], STAGES, &["heal/policy", "watch/ingest", "http", "config"]].concat()
        }
        "cli" => [&below_stages()[..], STAGES, &["watch/ingest", "http", "config", "daemon"]].concat(),
        "lib.rs" | "main.rs" => vec!["cli"],
        other => panic!("`{other}` is not on the list of parts in tests/tidy.rs"),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Programs among the fixtures are data: their traces name their lines.
        if path.ends_with("tests/fixtures") {
            continue;
        }
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `src/watch/scan/block.rs` and `crate::watch::scan::block` both belong to `watch/scan`.
fn part_of(segments: &[&str]) -> String {
    match segments {
        [half @ ("watch" | "heal"), inner, ..] if *inner != "mod.rs" => format!("{half}/{inner}"),
        [first, ..] => (*first).to_owned(),
        [] => String::new(),
    }
}

/// Every `crate::a::b` named in code (not in comments), as path segments.
fn named_paths(text: &str) -> Vec<Vec<String>> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut paths = Vec::new();
    for line in code {
        for (start, _) in line.match_indices("crate::") {
            let path = &line[start + "crate::".len()..];
            let end =
                path.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(path.len());
            paths.push(path[..end].split("::").map(str::to_owned).collect());
        }
    }
    paths
}

#[test]
fn parts_name_only_what_stands_before_them() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).unwrap();
        let segments: Vec<&str> = relative.iter().map(|it| it.to_str().unwrap()).collect();
        let part = part_of(&segments);
        let allowed = allowed(&part);
        let text = fs::read_to_string(&file).unwrap();
        for path in named_paths(&text) {
            let segments: Vec<&str> = path.iter().map(String::as_str).collect();
            if segments.first().is_some_and(|it| it.is_empty()) {
                wrong.push(format!(
                    "{}: `use crate::{{…}}`: one path per `use`, so that this test can read it",
                    relative.display()
                ));
                continue;
            }
            let named = part_of(&segments);
            if named != part && !allowed.contains(&named.as_str()) {
                wrong.push(format!(
                    "{}: `{part}` may not name `{named}` (crate::{})",
                    relative.display(),
                    path.join("::")
                ));
            }
        }
        if text.contains("super::super::super") {
            wrong.push(format!("{}: a path of three `super` leaves its part unseen", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        let folder = root().join(folder);
        if !folder.exists() {
            continue;
        }
        for file in rust_files(&folder) {
            let text = fs::read_to_string(&file).unwrap();
            let name = file.strip_prefix(root()).unwrap().display().to_string();
            if !text.starts_with("//!") {
                wrong.push(format!("{name}: does not begin with `//!`"));
            }
            let n_lines = text.lines().count();
            if n_lines > 500 {
                wrong.push(format!("{name}: {n_lines} lines, over 500: probably two concepts"));
            }
            if text.lines().any(|line| line.ends_with([' ', '\t'])) {
                wrong.push(format!("{name}: trailing blanks"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
