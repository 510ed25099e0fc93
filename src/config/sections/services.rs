//! `[[file]]`, `[[service]]` and `[labels]`: which files are watched, what logs belong to which service, and where its code lives.

use std::collections::HashMap;
use std::path::Path;

use super::super::document::Section;
use super::watch::{ROUTES, globs};
use crate::base::chain::Chain;
use crate::model::service::{Repository, Route};
use crate::watch::ingest::services::{Entry, Settings};
use crate::watch::source::file;

/// Reads `[[file]]`, `[[service]]` and `[labels]`.
pub(in crate::config) fn services(root: &Section<'_>, default_route: Route) -> (Settings, file::Settings) {
    let mut entries = Vec::new();
    let files = files(root, &mut entries);
    let mut lines_of_names: HashMap<String, usize> = HashMap::new();
    for section in root.sections("service") {
        let Some(mut entry) = service(&section, default_route) else {
            section.finish();
            continue;
        };
        let line = section.line_of("name").unwrap_or_default();
        if let Some(first) = lines_of_names.get(&entry.name) {
            let message = format!("there is a service `{}` already, in line {first}", entry.name);
            section.wrong::<()>("name", None, message, "give it another name, or make one entry of both");
        } else {
            lines_of_names.insert(entry.name.clone(), line);
            // An entry of [[file]] for the same service lends it its files and gives way.
            entries.retain_mut(|other: &mut Entry| {
                let is_same = other.name == entry.name;
                if is_same {
                    entry.files.append(&mut other.files);
                }
                !is_same
            });
            entries.push(entry);
        }
        section.finish();
    }
    let labels = root.section("labels");
    let label_repositories = globs(&labels, "repositories");
    labels.finish();
    (Settings { entries, default_route, label_repositories }, files)
}

/// Reads `[[file]]`. What names a service becomes an entry of it.
fn files(root: &Section<'_>, entries: &mut Vec<Entry>) -> file::Settings {
    let mut patterns: Vec<String> = Vec::new();
    let mut is_from_start = false;
    for section in root.sections("file") {
        let found = section.texts("paths");
        for path in found.as_ref().map(|found| found.value.as_slice()).unwrap_or_default() {
            match file::Patterns::new([path.as_str()]) {
                Ok(_) => patterns.push(path.clone()),
                Err(error) => section.wrong(
                    "paths",
                    found.as_ref(),
                    Chain(&error).to_string(),
                    "write the whole path, for example \"/var/log/app/*.log\"",
                ),
            }
        }
        is_from_start |= section.flag("from_start", false);
        if !section.has("paths") {
            section.wrong::<()>("paths", None, "is missing", "write paths = [\"/var/log/app/*.log\"]");
        }
        if let Some(service) = section.text("service") {
            let paths = found.map(|found| found.value).unwrap_or_default();
            let globs = paths.iter().filter_map(|it| globset::Glob::new(it).ok());
            let files = globs.map(|it| it.compile_matcher()).collect();
            entries.push(Entry { files, ..empty_entry(service.value) });
        }
        section.finish();
    }
    let patterns = file::Patterns::new(patterns.iter().map(String::as_str)).unwrap_or_default();
    file::Settings { patterns, is_from_start, ..file::Settings::default() }
}

/// Reads one `[[service]]`; `None` if it has no name. Every key is asked for, so that all its mistakes are told.
fn service(section: &Section<'_>, default_route: Route) -> Option<Entry> {
    let name = section.text("name");
    if !section.has("name") {
        let hint = "write name = \"…\": what tickets and the dashboard call it";
        section.wrong::<()>("name", None, "is missing", hint);
    }
    let repository = repository(section);
    let has_route = section.has("route");
    let route = section.choice("route", &ROUTES, default_route);
    if route == Route::Fix && repository.is_none() && has_route && !section.has("repository") {
        section.wrong::<()>(
            "route",
            None,
            "\"fix\" needs a repository",
            "add `repository`, or set route = \"ticket\"",
        );
    }
    // Their own reader takes them: they need the rules.
    let _ = section.sections("rule");
    let (containers, images) = (globs(section, "containers"), globs(section, "images"));
    let files = globs(section, "files");
    Some(Entry {
        name: name?.value,
        containers,
        images,
        files,
        repository,
        route: has_route.then_some(route),
    })
}

fn repository(section: &Section<'_>) -> Option<Repository> {
    let url = section.text("repository");
    let base_branch = section.text("base_branch").map_or_else(|| "main".to_owned(), |found| found.value);
    let folder = section.read("folder", |value| {
        let text =
            value.as_str().filter(|it| !it.starts_with('/') && !it.split('/').any(|part| part == ".."));
        text.map(str::to_owned).ok_or_else(|| "write a path inside the repository, without `..`".to_owned())
    });
    if let Some(found) = &url
        && let Ok(parsed) = url::Url::parse(&found.value)
        && (parsed.password().is_some() || (parsed.scheme() == "https" && !parsed.username().is_empty()))
    {
        let hint = "leave them out of the address and add a [[repository.token]] for it";
        section.wrong("repository", Some(found), "has a user or a password in it", hint);
        return None;
    }
    if let Some(found) = &url
        && !can_be_fetched(&found.value)
    {
        let hint = "write `https://…`, or the absolute path of a repository on this machine";
        section.wrong("repository", Some(found), "is not an address to fetch from", hint);
        return None;
    }
    Some(Repository {
        url: url?.value,
        base_branch,
        revision: None,
        folder: folder.map_or_else(String::new, |found| found.value.trim_matches('/').to_owned()),
    })
}

/// What `repo` takes: an address on the web, or a path. Whether something answers there shows when it is fetched.
fn can_be_fetched(address: &str) -> bool {
    let scheme = url::Url::parse(address).map(|it| it.scheme().to_owned());
    Path::new(address).is_absolute() || matches!(scheme.as_deref(), Ok("https" | "http"))
}

fn empty_entry(name: String) -> Entry {
    Entry {
        name,
        containers: Vec::new(),
        images: Vec::new(),
        files: Vec::new(),
        repository: None,
        route: None,
    }
}
