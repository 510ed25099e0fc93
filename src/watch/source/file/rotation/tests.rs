//! Rotations as rotators make them, and what is read after each.

use super::*;

#[test]
fn rotated_names_are_the_file_s_own_with_a_number_or_a_date() {
    let cases = [
        ("app.log.1", true),
        ("app.log.10", true),
        ("app.log-20260101", true),
        ("app.log.2026-01-01T10:00", true),
        ("app.log.old", true),
        ("app-2026-01-01.log", true),
        ("app.1.log", true),
        ("app.log", false),
        ("app.log.1.gz", false),
        ("app.log.json", false),
        ("app.log.", false),
        ("app-debug.log", false),
        ("other.log.1", false),
        ("app2.log", false),
    ];
    for (sibling, expected) in cases {
        assert_eq!(is_rotated_name("app.log", sibling), expected, "{sibling}");
    }
}

/// A folder in which files are written one after the other, each later than the one before.
struct Folder(tempfile::TempDir, std::cell::Cell<u64>);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), std::cell::Cell::new(1_000_000))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        self.1.set(self.1.get() + 1);
        let modified = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(self.1.get());
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
    }

    /// Compresses a file as gzip does.
    fn pack(&self, name: &str) {
        use std::io::Write;
        let packed = std::fs::File::create(self.path(&format!("{name}.gz"))).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(&std::fs::read(self.path(name)).unwrap()).unwrap();
        let packed = packed.finish().unwrap();
        packed.set_modified(std::fs::metadata(self.path(name)).unwrap().modified().unwrap()).unwrap();
        std::fs::remove_file(self.path(name)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Place after the first `n` bytes of `app.log`.
    fn place(&self, n: u64) -> Place {
        let mut reader = Reader::open(&self.path("app.log")).unwrap();
        reader.go_to(n);
        reader.place()
    }

    /// What is to be read after `place`, file by file, and whether something is lost.
    fn check(&self, place: &Place, so_far: ReadSoFar, expected: &[&str], is_lost: bool) {
        let mut plan = plan(&self.path("app.log"), place, so_far).unwrap();
        let texts: Vec<String> = plan
            .readers
            .iter_mut()
            .map(|reader| {
                let block = reader.next_block().unwrap().or_else(|| reader.give_rest());
                block.map_or_else(String::new, |it| String::from_utf8_lossy(&it.text).into_owned())
            })
            .collect();
        assert_eq!(texts, expected);
        assert_eq!(plan.loss.is_some(), is_lost);
    }
}

const HEAD: &str = "the head of this very file\n";

#[test]
fn the_same_file_is_read_on() {
    let folder = Folder::new();
    folder.write("app.log", HEAD);
    let place = folder.place(27);
    folder.write("app.log", &format!("{HEAD}more\n"));
    folder.check(&place, ReadSoFar::Partly, &["more\n"], false);
}

#[test]
fn a_renamed_file_comes_first_and_what_was_rotated_after_it_next() {
    let folder = Folder::new();
    folder.write("app.log.1", "read long ago, before the place\n");
    folder.write("app.log", &format!("{HEAD}rest\n"));
    let place = folder.place(27);
    folder.rename("app.log.1", "app.log.3");
    folder.rename("app.log", "app.log.2");
    folder.write("app.log.1", "between\n");
    folder.write("app.log", "now\n");
    folder.check(&place, ReadSoFar::Partly, &["rest\n", "between\n", "now\n"], false);
    folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &["between\n", "now\n"], false);
}

#[test]
fn a_compressed_file_is_read_like_the_one_it_was_made_of() {
    let folder = Folder::new();
    folder.write("app.log", &format!("{HEAD}rest\n"));
    let place = folder.place(27);
    folder.write("app.log.2", &format!("{HEAD}rest\n"));
    folder.pack("app.log.2");
    folder.write("app.log.1", "between\n");
    folder.write("app.log.1.gz", "half of between, not compressed to its end");
    std::fs::remove_file(folder.path("app.log")).unwrap();
    folder.write("app.log", "now\n");
    folder.check(&place, ReadSoFar::Partly, &["rest\n", "between\n", "now\n"], false);
}

#[test]
fn what_was_rotated_away_since_is_a_loss_if_others_came_between() {
    let folder = Folder::new();
    folder.write("app.log", HEAD);
    let place = folder.place(27);
    let written_at = Some(std::fs::metadata(folder.path("app.log")).unwrap().modified().unwrap());
    let so_far = ReadSoFar::ToEnd { written_at };
    folder.rename("app.log", "elsewhere");
    folder.write("app.log.1", "between\n");
    folder.write("app.log", "now\n");
    folder.check(&place, so_far, &["between\n", "now\n"], true);
    std::fs::remove_file(folder.path("app.log.1")).unwrap();
    folder.check(&place, so_far, &["now\n"], false);
}

#[test]
fn a_copy_of_a_truncated_file_has_the_rest() {
    let folder = Folder::new();
    folder.write("app.log", HEAD);
    let place = folder.place(27);
    folder.write("app.log.1", &format!("{HEAD}rest\n"));
    folder.write("app.log", "new\n");
    let read_just_now = |is_quiet| ReadSoFar::ToEndWhenLastSeen { is_quiet };
    folder.check(&place, ReadSoFar::Partly, &["rest\n", "new\n"], true);
    folder.check(&place, read_just_now(false), &["rest\n", "new\n"], true);
    folder.check(&place, read_just_now(true), &["rest\n", "new\n"], true);
    folder.write("app.log.1", HEAD);
    folder.check(&place, read_just_now(true), &["", "new\n"], false);
    std::fs::remove_file(folder.path("app.log.1")).unwrap();
    folder.check(&place, read_just_now(true), &["new\n"], true);
    folder.check(&place, ReadSoFar::Partly, &["new\n"], true);
}

#[test]
fn a_copy_that_has_less_than_was_read_is_passed_over() {
    let folder = Folder::new();
    folder.write("app.log.2", "read before it\n");
    for (n_copied, readers) in [(10, &["", "new\n"][..]), (1, &["new\n"][..])] {
        folder.write("app.log", &HEAD.repeat(11));
        let before = before(&folder.path("app.log")).unwrap();
        let place = Place { before, ..folder.place(27 * 11) };
        folder.write("app.log.1", &HEAD.repeat(n_copied));
        folder.write("app.log", "new\n");
        folder.check(&place, ReadSoFar::ToEndWhenLastSeen { is_quiet: false }, readers, true);
        folder.check(&place, ReadSoFar::Partly, readers, true);
        std::fs::remove_file(folder.path("app.log.1")).unwrap();
    }
}

#[test]
fn a_file_that_was_cut_and_then_renamed_follows_its_copy() {
    let folder = Folder::new();
    folder.write("app.log", HEAD);
    let place = folder.place(27);
    folder.write("app.log.2", &format!("{HEAD}rest\n"));
    folder.write("app.log", "after the cut, and longer than it was before that\n");
    folder.rename("app.log", "app.log.1");
    folder.write("app.log", "now\n");
    let texts = ["rest\n", "after the cut, and longer than it was before that\n", "now\n"];
    folder.check(&place, ReadSoFar::Partly, &texts, true);
}

#[test]
fn what_came_after_a_file_that_is_gone_is_read() {
    let folder = Folder::new();
    folder.write("app.log.1", "read before it\n");
    let known = before(&folder.path("app.log")).unwrap();
    folder.write("app.log", HEAD);
    let place = |before| Place { before, ..folder.place(20) };
    let (known, none, unknown) = (place(known), place(hash(b"")), place(0));
    folder.rename("app.log.1", "app.log.4");
    folder.rename("app.log", "gone");
    folder.write("app.log.2", "between\n");
    folder.write("app.log.1", "also between\n");
    folder.write("app.log", "now\n");
    let newer = ["between\n", "also between\n", "now\n"];
    folder.check(&known, ReadSoFar::Partly, &newer, true);
    folder.check(&unknown, ReadSoFar::Partly, &["now\n"], true);
    std::fs::remove_file(folder.path("app.log.4")).unwrap();
    folder.check(&known, ReadSoFar::Partly, &newer, true);
    folder.check(&none, ReadSoFar::Partly, &newer, true);
    // It has its name, but what it had is gone: nothing beside it came after.
    let cut = Place { inode: folder.place(0).inode, ..none };
    folder.check(&cut, ReadSoFar::Partly, &["now\n"], true);
}

#[test]
fn a_file_that_has_the_inode_of_one_that_is_gone_is_new_with_all_that_came_after_it() {
    let folder = Folder::new();
    folder.write("app.log", "after the cut, or another\n");
    let gone =
        Place { prefix_hash: hash(b"gone"), prefix_len: 30, before: hash(b"gone too"), ..folder.place(9) };
    folder.write("app.log.3", "long ago\n");
    folder.rename("app.log", "app.log.2");
    folder.write("app.log.1", "between\n");
    folder.write("app.log", "now\n");
    let all = ["long ago\n", "after the cut, or another\n", "between\n", "now\n"];
    let known = Place { before: hash(b"long ago\n"), ..gone };
    folder.check(&known, ReadSoFar::Partly, &all[1..], true);
    folder.check(&Place { before: 0, ..gone }, ReadSoFar::Partly, &all[1..], true);
    // The one before it is gone, and with it all that is as old: what is left came after.
    folder.check(&gone, ReadSoFar::Partly, &all, true);
    // What is packed was written anew, whatever its inode.
    folder.pack("app.log.1");
    let inode = std::fs::metadata(folder.path("app.log.1.gz")).unwrap().ino();
    folder.check(&Place { inode, ..gone }, ReadSoFar::Partly, &all, true);
}

#[test]
fn what_is_gone_is_a_loss_unless_it_was_read() {
    let folder = Folder::new();
    folder.write("app.log", HEAD);
    let place = folder.place(20);
    folder.write("keep-the-inode", "x");
    folder.rename("app.log", "elsewhere");
    folder.write("app.log", "new and longer than what was there before\n");
    let new = ["new and longer than what was there before\n"];
    folder.check(&place, ReadSoFar::Partly, &new, true);
    folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &new, false);
    folder.check(&Place::NOWHERE, ReadSoFar::Partly, &new, false);
    std::fs::remove_file(folder.path("app.log")).unwrap();
    folder.check(&place, ReadSoFar::ToEnd { written_at: None }, &[], false);
}

/// A reader of `app.log` as it is now, and what copies there are to read before it whenever `check` is called.
struct Unread<'f> {
    folder: &'f Folder,
    reader: Reader,
}

impl<'f> Unread<'f> {
    fn of(folder: &'f Folder) -> Self {
        let path = folder.path("app.log");
        let before = before(&path).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        reader.set_before(before);
        Self { folder, reader }
    }

    fn check(&self, expected: Option<&[&str]>) {
        let plan = copied_unread(&self.folder.path("app.log"), &self.reader).unwrap();
        let names = plan.map(|mut plan| {
            assert!(plan.loss.is_some());
            let texts = plan.readers.iter_mut().map(|reader| reader.next_block().unwrap().unwrap().text);
            texts.map(|text| String::from_utf8_lossy(&text).into_owned()).collect::<Vec<_>>()
        });
        assert_eq!(names, expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect()));
    }
}

#[test]
fn copies_of_a_file_that_was_empty_when_it_was_found_are_read_before_it() {
    for is_first in [true, false] {
        let folder = Folder::new();
        if !is_first {
            folder.write("app.log.1", "read before it\n");
        }
        folder.write("app.log", "");
        let unread = Unread::of(&folder);
        unread.check(None);
        folder.write("app.log", "one\ntwo\n");
        unread.check(None);
        // In the making, and made; then the file is longer.
        if !is_first {
            folder.rename("app.log.1", "app.log.2");
        }
        folder.write("app.log.1", "one\n");
        unread.check(None);
        folder.write("app.log", "one\ntwo\nthree\n");
        unread.check(None);
        folder.write("app.log.1", "one\ntwo\n");
        folder.write("app.log", "");
        unread.check(Some(&["one\ntwo\n"]));
        folder.write("app.log", "four\n");
        unread.check(Some(&["one\ntwo\n"]));
        // Once more.
        if !is_first {
            folder.rename("app.log.2", "app.log.3");
        }
        folder.rename("app.log.1", "app.log.2");
        folder.write("app.log.1", "four\nfive\n");
        unread.check(Some(&["one\ntwo\n", "four\nfive\n"]));
        folder.write("app.log", "four\nfive\n");
        unread.check(Some(&["one\ntwo\n"]));
        // Renamed, and all that comes after it is newer.
        if !is_first {
            folder.rename("app.log.3", "app.log.5");
        }
        folder.rename("app.log.2", "app.log.4");
        folder.rename("app.log", "app.log.2");
        folder.write("app.log", "six\n");
        unread.check(Some(&["one\ntwo\n"]));
        // The file before it is gone: nobody knows any more.
        if !is_first {
            std::fs::remove_file(folder.path("app.log.5")).unwrap();
            unread.check(None);
        }
    }
}
