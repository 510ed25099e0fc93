//! Patches as git writes them, and texts that are none.

use super::*;

const TWO_FILES: &str = "\
diff --git a/src/a.py b/src/a.py
index 1111111..2222222 100644
--- a/src/a.py
+++ b/src/a.py
@@ -1,3 +1,4 @@ def f():
 one
-two
+zwei
+drei
 four
@@ -10 +11 @@
-x
\\ No newline at end of file
+y
diff --git a/new file.txt b/new file.txt
new file mode 100755
index 0000000..3333333
--- /dev/null
+++ b/new file.txt\t
@@ -0,0 +1 @@
+--- a/trap
";

#[test]
fn reads_files_and_shows_them_again() {
    let patch = Patch::parse(TWO_FILES).unwrap();
    assert_eq!(patch.to_string(), TWO_FILES);
    assert_eq!(patch.paths(), ["src/a.py", "new file.txt"]);
    let [first, second] = &patch.files[..] else { panic!("two files: {patch:?}") };
    assert_eq!(
        (first.change, first.old_mode, first.new_mode),
        (Change::Modified, Some(0o100_644), Some(0o100_644))
    );
    assert_eq!(first.n_changed(), (3, 2));
    assert_eq!((first.hunks[0].old, first.hunks[0].new), ((1, 3), (1, 4)));
    assert_eq!((first.hunks[1].old, first.hunks[1].new), ((10, 1), (11, 1)));
    assert_eq!(first.removed_lines().collect::<Vec<_>>(), ["two", "x"]);
    assert_eq!((second.change, second.new_mode), (Change::Added, Some(0o100_755)));
    assert_eq!(second.added_lines().collect::<Vec<_>>(), ["--- a/trap"]);
    let (tests, rest) = patch.clone().partition(|file| file.path.ends_with(".txt"));
    assert_eq!(format!("{rest}{tests}"), TWO_FILES);
    assert!(Patch::parse("").unwrap().is_empty());
}

#[test]
fn reads_files_without_lines() {
    let cases = [
        ("diff --git a/e b/e\nnew file mode 100644\nindex 0..1\n", "e", Change::Added, false),
        ("diff --git a/b c b/b c\nold mode 100644\nnew mode 100755\n", "b c", Change::Modified, false),
        (
            "diff --git a/x.png b/x.png\nindex 0..1 100644\nGIT binary patch\nliteral 1\nIcmZ\n\nliteral 0\nHc\n\n",
            "x.png",
            Change::Modified,
            true,
        ),
        (
            "diff --git \"a/q\\\"\\303\\244\" \"b/q\\\"\\303\\244\"\ndeleted file mode 100644\nindex 1..0\n",
            "q\"ä",
            Change::Deleted,
            false,
        ),
    ];
    for (text, path, change, is_binary) in cases {
        let patch = Patch::parse(text).unwrap();
        assert_eq!(patch.to_string(), text);
        let [file] = &patch.files[..] else { panic!("one file: {patch:?}") };
        assert_eq!((file.path.as_str(), file.change, file.is_binary), (path, change, is_binary));
    }
}

#[test]
fn refuses_what_is_no_patch() {
    let head = "diff --git a/a b/a\n--- a/a\n+++ b/a\n";
    let cases = [
        ("hello\n".to_owned(), 1),
        ("--- a/a\n+++ b/a\n".to_owned(), 1),
        (format!("{head}@@ -1 +1 @@\n-a\n"), 6),
        (format!("{head}@@ -1 +1 @@\n-a\n+b\n+c\n"), 7),
        (format!("{head}@@ nonsense @@\n"), 4),
        (format!("{head}@@ -1 +1 @@\nxa\n"), 5),
        ("diff --git a/a b/b\n--- a/a\n+++ b/b\n".to_owned(), 4),
        ("diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n".to_owned(), 2),
        ("diff --git a/a b/a\n--- /etc/passwd\n+++ b/a\n".to_owned(), 2),
    ];
    for (text, line) in cases {
        assert_eq!(Patch::parse(&text).expect_err(&text).line, line, "{text}");
    }
}
