//! The demo's service and its recorded fix, inside the binary.
//!
//! The service bills orders of a feed; a replacement at no charge makes it fail (`config/demo/service`). The recorded fix is a script
//! for the scripted model server, which plays it through the real tools (`config/demo/script.json`).

/// (path, text) of every file of the service's repository.
pub const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../config/demo/service/README.md")),
    ("feed.jsonl", include_str!("../../config/demo/service/feed.jsonl")),
    ("orders.py", include_str!("../../config/demo/service/orders.py")),
    ("service.py", include_str!("../../config/demo/service/service.py")),
    ("tests/__init__.py", include_str!("../../config/demo/service/tests/__init__.py")),
    ("tests/test_orders.py", include_str!("../../config/demo/service/tests/test_orders.py")),
];

/// What runs the service, in the folder with its files. `INTERVAL` sets the seconds between two orders (half a second), `ROUNDS`
/// how often it goes through the feed (0: until it is stopped).
pub const COMMAND: &[&str] = &["python3", "service.py"];

/// The recorded fix, for [`crate::agent::scripted::script::Script::from_json`].
pub const SCRIPT: &str = include_str!("../../config/demo/script.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn on_disk(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true if name.ends_with("__pycache__") => {}
                true => on_disk(&entry.path(), &format!("{name}/"), found),
                false => drop(found.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_of_the_service_is_in_the_binary() {
        let mut found = BTreeSet::new();
        on_disk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/service"), "", &mut found);
        let listed: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(listed, found);
    }
}
