//! Hostile archives against the rules.

use std::io::Cursor;

use super::*;

/// A tar made byte by byte, as the `tar` crate refuses to write what is tested here.
#[derive(Default)]
struct Hostile(Vec<u8>);

impl Hostile {
    fn entry(mut self, path: &str, kind: u8, link: &str, content: &[u8]) -> Self {
        let mut header = [0_u8; 512];
        header[..path.len()].copy_from_slice(path.as_bytes());
        header[100..108].copy_from_slice(b"0000755\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = kind;
        header[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].copy_from_slice(b"        ");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(path, b'0', "", content)
    }

    fn take_in(mut self, folder: &Path, special: &Special, limits: &Limits) -> Result<Taken, RepoError> {
        self.0.resize(self.0.len() + 1024, 0);
        take_in(Cursor::new(self.0), folder, special, limits)
    }
}

fn names(set: &[&str]) -> BTreeSet<String> {
    set.iter().map(|name| (*name).to_owned()).collect()
}

fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn nothing_leaves_the_folder_and_nothing_is_followed() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("tree");
    std::fs::create_dir(&folder).unwrap();
    let special = Special { symlinks: names(&["link", "was-link"]), submodules: names(&["vendor/sub"]) };
    let taken = Hostile::default()
        .file("./src/a.py", b"a")
        .file("../evil", b"x")
        .file("src/../../evil", b"x")
        .file("/etc/evil", b"x")
        .file(".git/config", b"[core]\nfsmonitor = evil\n")
        .file("deep/.GIT/hooks/post-checkout", b"x")
        .entry("way-out", b'2', "/etc", b"")
        .file("way-out/evil", b"x")
        .entry("link", b'2', "src/a.py", b"")
        .file("was-link", b"x")
        .entry("hard", b'1', "/etc/passwd", b"")
        .entry("device", b'3', "", b"")
        .entry("pipe", b'6', "", b"")
        .file("vendor/sub/x", b"x")
        .file("src/a.py", b"second")
        .file("src/a.py/below", b"x")
        .file("bad\x1bname", b"x")
        .take_in(&folder, &special, &Limits::default())
        .unwrap();
    assert_eq!(listing(&folder), ["link", "src/a.py", "way-out/evil"]);
    assert_eq!(listing(outside.path()), ["tree/link", "tree/src/a.py", "tree/way-out/evil"]);
    assert_eq!(std::fs::read_to_string(folder.join("src/a.py")).unwrap(), "a");
    assert_eq!(std::fs::read_to_string(folder.join("link")).unwrap(), "src/a.py");
    let refused: Vec<(&str, &str)> = taken.refused.iter().map(|it| (it.path.as_str(), it.reason)).collect();
    assert_eq!(
        refused,
        [
            ("../evil", "its path leads out of the folder"),
            ("src/../../evil", "its path leads out of the folder"),
            ("/etc/evil", "its path is absolute"),
            ("way-out", "it is a new symlink"),
            ("was-link", "it replaces a symlink"),
            ("hard", "it is not a plain file"),
            ("device", "it is not a plain file"),
            ("pipe", "it is not a plain file"),
            ("vendor/sub/x", "it lies in a submodule"),
            ("src/a.py", "the path is there twice"),
            ("src/a.py/below", "it cannot be written under this name"),
            ("bad\u{fffd}name", "its path has control characters"),
        ]
    );
}

#[test]
fn limits_hold() {
    let limits = Limits { max_files: 3, max_bytes: 10, max_file_bytes: 6 };
    let run = |tar: Hostile| {
        let folder = tempfile::tempdir().unwrap();
        tar.take_in(folder.path(), &Special::default(), &limits)
    };
    let large = run(Hostile::default().file("a", b"1234567").file("b", b"12")).unwrap();
    assert_eq!((large.n_bytes, large.refused.len(), large.refused[0].reason), (2, 1, "it is too large"));
    let bytes = run(Hostile::default().file("a", b"123456").file("b", b"123456"));
    assert!(matches!(bytes, Err(RepoError::TooLarge { limit: 10, unit: "bytes" })), "{bytes:?}");
    let many = run((0..4).fold(Hostile::default(), |tar, n| tar.file(&n.to_string(), b"")));
    assert!(matches!(many, Err(RepoError::TooLarge { limit: 3, unit: "files" })), "{many:?}");
}
