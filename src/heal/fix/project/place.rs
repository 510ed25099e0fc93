//! Where in a repository a service's project stands: the folder the config names, or, where a repository holds several, the nearest
//! one above the code that failed.

use std::collections::BTreeSet;

use super::Language;
use super::manifest;
use crate::model::trace::{Frame, Runtime};

/// Frames that are looked for in the repository.
const MAX_FRAMES: usize = 32;

/// The folders that may be the project's, best first; the last one is the root, an empty text. `configured` is the service's own.
pub fn folders(
    paths: &BTreeSet<String>,
    configured: &str,
    runtime: Runtime,
    frames: &[Frame],
) -> Vec<String> {
    let configured = configured.trim_matches('/');
    let mut folders = Language::of_runtime(runtime)
        .and_then(|language| Some((language, source_of(paths, configured, frames)?)))
        .map_or_else(Vec::new, |(language, source)| homes(paths, configured, language, &source));
    folders.push(configured.to_owned());
    folders.push(String::new());
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// Folders between `source` and the service's own that hold build files of the language: the nearest first, or only the outermost
/// where parts are built together.
fn homes(paths: &BTreeSet<String>, configured: &str, language: Language, source: &str) -> Vec<String> {
    let mut homes = Vec::new();
    let mut folder = parent(source);
    while !folder.is_empty() && folder != configured {
        let is_home = files_in(paths, folder).any(|name| language.is_at_home(name) || name == manifest::PATH);
        if is_home {
            homes.push(folder.to_owned());
        }
        folder = parent(folder);
    }
    let is_root_home = || files_in(paths, configured).any(|name| language.is_at_home(name));
    if language.is_built_as_a_whole() {
        return if is_root_home() { Vec::new() } else { homes.pop().into_iter().collect() };
    }
    homes
}

/// The file of the innermost in-app frame that is one file of the repository beyond doubt.
fn source_of(paths: &BTreeSet<String>, configured: &str, frames: &[Frame]) -> Option<String> {
    let own = frames.iter().filter(|frame| frame.in_app).take(MAX_FRAMES);
    own.filter_map(printed_path).find_map(|printed| {
        let inside = |path: &&String| is_below(path, configured);
        best_match(paths.iter().filter(inside), &printed).or_else(|| best_match(paths.iter(), &printed))
    })
}

/// The frame's file with what else is known of its folders: a JVM prints the class with its package, and the file without.
fn printed_path(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref()?.replace('\\', "/");
    let file = file.strip_prefix("file://").unwrap_or(&file);
    if file.contains('/') || ![".java", ".kt", ".scala", ".groovy"].iter().any(|end| file.ends_with(end)) {
        return Some(file.to_owned());
    }
    let mut parts: Vec<&str> = frame.function.split('.').collect();
    // The class and the method.
    parts.truncate(parts.len().saturating_sub(2));
    parts.push(file);
    Some(parts.join("/"))
}

/// The one path that ends with the most parts of `printed`; none if the file is not there, or two fit alike.
fn best_match<'p>(paths: impl Iterator<Item = &'p String>, printed: &str) -> Option<String> {
    let mut best: (usize, Option<&String>) = (0, None);
    for path in paths {
        let n_alike = path.rsplit('/').zip(printed.rsplit('/')).take_while(|(a, b)| a == b).count();
        if n_alike > best.0 {
            best = (n_alike, Some(path));
        } else if n_alike == best.0 {
            best.1 = None;
        }
    }
    best.1.cloned()
}

/// Names of the files that stand in `folder` itself.
fn files_in<'p>(paths: &'p BTreeSet<String>, folder: &'p str) -> impl Iterator<Item = &'p str> {
    let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let n_start = start.len();
    let below = paths.range(start.clone()..).take_while(move |path| path.starts_with(&start));
    below.map(move |path| &path[n_start..]).filter(|name| !name.contains('/'))
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], configured: &str, runtime: Runtime, frames: &[(&str, &str)], expected: &[&str]) {
        let paths: BTreeSet<String> = paths.iter().map(|it| (*it).to_owned()).collect();
        let frame = |(function, file): &(&str, &str)| Frame {
            function: (*function).to_owned(),
            file: Some((*file).to_owned()),
            in_app: !file.contains("site-packages"),
            ..Frame::default()
        };
        let frames: Vec<Frame> = frames.iter().map(frame).collect();
        assert_eq!(folders(&paths, configured, runtime, &frames), expected, "{paths:?}");
    }

    #[test]
    fn the_nearest_build_file_above_the_code_that_failed() {
        let node =
            ["package.json", "services/shop/package.json", "services/shop/src/a.js", "services/x/src/b.js"];
        check(&node, "", Runtime::Node, &[("total", "/app/services/shop/src/a.js")], &["services/shop", ""]);
        // The image holds the service alone: the end of the path decides.
        check(&node, "", Runtime::Node, &[("total", "file:///app/src/a.js")], &["services/shop", ""]);
        check(&node, "", Runtime::Node, &[("total", "/app/src/unknown.js")], &[""]);
        check(&node, "", Runtime::Message, &[], &[""]);
        check(
            &node,
            "/services/",
            Runtime::Node,
            &[("f", "/app/src/a.js")],
            &["services/shop", "services", ""],
        );
        let python = ["api/requirements.txt", "api/app/main.py", "job/requirements.txt", "job/app/main.py"];
        check(&python, "", Runtime::Python, &[("f", "/srv/app/main.py")], &[""]);
        check(&python, "", Runtime::Python, &[("f", "/srv/job/app/main.py")], &["job", ""]);
        check(&python, "api", Runtime::Python, &[("f", "/srv/app/main.py")], &["api", ""]);
        let library = [("g", "/usr/lib/site-packages/job/app/main.py"), ("f", "/srv/api/app/main.py")];
        check(&python, "", Runtime::Python, &library, &["api", ""]);
    }

    #[test]
    fn parts_that_are_built_together_are_tested_together() {
        let maven =
            ["backend/pom.xml", "backend/shop/pom.xml", "backend/shop/src/main/java/org/shop/Cart.java"];
        check(&maven, "", Runtime::Jvm, &[("org.shop.Cart.total", "Cart.java")], &["backend", ""]);
        let cargo = ["Cargo.toml", "shop/Cargo.toml", "shop/src/cart.rs"];
        check(&cargo, "", Runtime::Rust, &[("shop::cart::total", "shop/src/cart.rs")], &[""]);
        let dotnet = ["src/Shop.sln", "src/Shop/Shop.csproj", "src/Shop/Cart.cs"];
        check(&dotnet, "", Runtime::Dotnet, &[("Shop.Cart.Total", "C:\\x\\Shop\\Cart.cs")], &["src", ""]);
        let make = ["java/Makefile", "java/src/Cart.java"];
        check(&make, "", Runtime::Jvm, &[("Cart.total", "Cart.java")], &["java", ""]);
    }
}
