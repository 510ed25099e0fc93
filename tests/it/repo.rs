//! Git on the host, with real git over HTTP: mirrors, credentials, archives, clones, patches.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its repository must fail")]

use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use homeostat::base::clock::Timestamp;
use homeostat::base::secret::Secret;
use homeostat::repo::patch::Patch;
use homeostat::repo::unpack::Limits;
use homeostat::repo::{
    Author, Credential, EntryKind, FetchToken, FetchTokens, RepoError, Repos, Reverse, Settings, Step,
};
use tempfile::TempDir;

use crate::support::git::{self, GitServer, Repository};

async fn repos(folder: &TempDir) -> Repos {
    Repos::new(Settings::new(folder.path()), Arc::new(FetchTokens::default())).await.unwrap()
}

/// A tar of a folder's files and symlinks.
fn tar_of(folder: &Path) -> Cursor<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", folder).unwrap();
    Cursor::new(builder.into_inner().unwrap())
}

fn names(archive: homeostat::repo::Archive) -> Vec<(String, u32, String)> {
    let mut archive = tar::Archive::new(archive.into_file());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            text = format!("-> {}", target.display());
        }
        (name, entry.header().mode().unwrap(), text)
    });
    entries.collect()
}

#[tokio::test]
async fn a_mirror_follows_its_repository() {
    let source = Repository::create("shop", &[("a.txt", "one\n")]);
    let server = GitServer::start(source.root(), Vec::new()).await;
    let url = server.repository_url("shop");
    let folder = tempfile::tempdir().unwrap();
    let repos = repos(&folder).await;

    let first = source.git(&["rev-parse", "main"]);
    let mirror = repos.mirror(&url).await.unwrap();
    assert_eq!(mirror.branch("main").await.unwrap().as_str(), first);
    let second = source.commit("main", "two", &[("a.txt", "two\n")]);
    source.commit("side", "three", &[("b.txt", "three\n")]);
    let again = repos.mirror(&url).await.unwrap();
    assert_eq!(again.branch("main").await.unwrap().as_str(), second);
    assert_eq!(again.revision(&first[..10]).await.unwrap().as_str(), first);
    let commit = again.branch("side").await.unwrap();
    assert_eq!(again.read(&commit, "b.txt", 100).await.unwrap().as_deref(), Some(&b"three\n"[..]));
    assert_eq!(again.read(&commit, "b.txt", 5).await.unwrap(), None);

    source.git(&["branch", "-D", "side"]);
    let gone = repos.mirror(&url).await.unwrap().branch("side").await.unwrap_err();
    assert_eq!(gone.to_string(), format!("`{url}` has no branch `side`"));
    // Asked for by its id: the mirror still holds it.
    assert_eq!(repos.revision(&again, commit.as_str()).await.unwrap(), commit);
    let never = "0123456789012345678901234567890123456789";
    for wrong in [never, "main..side", "--help", "", "a\nb"] {
        let error = repos.revision(&again, wrong).await.unwrap_err();
        assert!(matches!(error, RepoError::NoSuchRevision { .. }), "{wrong}: {error}");
    }
    // A bare repository on this machine, without any server.
    let local = repos.mirror(source.bare().to_str().unwrap()).await.unwrap();
    assert_eq!(local.branch("main").await.unwrap().as_str(), second);
}

#[tokio::test]
async fn a_mirror_is_packed_when_fetches_have_left_much_behind() {
    let source = Repository::create("shop", &[("a.txt", "one\n")]);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { max_packs: 3, max_loose_objects: 8, ..Settings::new(folder.path()) };
    let repos = Repos::new(settings, Arc::new(FetchTokens::default())).await.unwrap();
    // Small fetches are unpacked or kept as packs, as git likes.
    let left_behind = || {
        let mirror = std::fs::read_dir(folder.path().join("mirrors")).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            path.is_dir().then_some(path)
        });
        let objects = mirror.unwrap().join("objects");
        let names = |folder: std::path::PathBuf| {
            let entries = std::fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let n_loose = names(objects.clone()).iter().filter(|name| name.len() == 2).count();
        let n_packs = names(objects.join("pack")).iter().filter(|name| name.ends_with(".pack")).count();
        (n_packs, n_loose)
    };
    let url = source.root().join("shop.git").display().to_string();
    let mut seen = Vec::new();
    for n in 0..8 {
        let commit = source.commit("main", "more", &[("a.txt", &format!("{n}\n"))]);
        let mirror = repos.mirror(&url).await.unwrap();
        seen.push(left_behind());
        let head = mirror.branch("main").await.unwrap();
        assert_eq!(head.as_str(), commit);
        let text = mirror.read(&head, "a.txt", 100).await.unwrap().unwrap();
        assert_eq!(text, format!("{n}\n").as_bytes());
    }
    assert!(seen.iter().all(|(n_packs, n_loose)| *n_packs <= 3 && *n_loose <= 8), "{seen:?}");
    assert!(seen.windows(2).any(|two| two[1].0 + two[1].1 < two[0].0 + two[0].1), "never packed: {seen:?}");
}

#[tokio::test]
async fn the_credential_goes_to_the_server_and_nowhere_else() {
    let source = Repository::create("closed", &[("a.txt", "one\n")]);
    let reader =
        git::Credential { user: "reader".to_owned(), password: "s3cr3t-t0ken".to_owned(), may_push: false };
    let server = GitServer::start(source.root(), vec![reader]).await;
    let url = server.repository_url("closed");
    let folder = tempfile::tempdir().unwrap();
    let with = |token: &str| {
        let credential = Credential { user: "reader".to_owned(), token: Secret::new(token) };
        let tokens = FetchTokens(vec![FetchToken { prefix: format!("{}/", server.url), credential }]);
        Repos::new(Settings::new(folder.path()), Arc::new(tokens))
    };

    let nobody = repos(&folder).await.mirror(&url).await.unwrap_err();
    assert!(matches!(nobody, RepoError::Unauthorized { .. }) && !nobody.is_transient(), "{nobody}");
    let stranger = with("wr0ng-t0ken").await.unwrap().mirror(&url).await.unwrap_err();
    assert!(matches!(stranger, RepoError::Unauthorized { .. }), "{stranger}");
    let mirror = with("s3cr3t-t0ken").await.unwrap().mirror(&url).await.unwrap();
    let tree = mirror.checkout(&mirror.branch("main").await.unwrap()).await.unwrap();
    assert_eq!(std::fs::read_to_string(tree.folder().join("a.txt")).unwrap(), "one\n");
    assert!(server.seen().iter().any(|seen| seen.user.as_deref() == Some("reader") && seen.status == 200));
    let encoded = "cmVhZGVyOnMzY3IzdC10MGtlbg";
    for needle in ["s3cr3t", encoded] {
        let hits =
            std::process::Command::new("grep").args(["-rIl", needle]).arg(folder.path()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&hits.stdout), "", "`{needle}` is on the disk");
    }
}

#[tokio::test]
async fn what_cannot_be_fetched_says_why() {
    let source = Repository::create("shop", &[("a.txt", "one\n")]);
    let server = GitServer::start(source.root(), Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let repos = repos(&folder).await;
    let missing = repos.mirror(&server.repository_url("other")).await.unwrap_err();
    assert!(matches!(missing, RepoError::NoSuchRepository { .. }), "{missing}");
    let nowhere = repos.mirror("/nonexistent/x.git").await.unwrap_err();
    assert!(matches!(nowhere, RepoError::NoSuchRepository { .. }), "{nowhere}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let away = repos.mirror(&format!("http://127.0.0.1:{port}/x.git")).await.unwrap_err();
    assert!(matches!(away, RepoError::Unreachable { .. }) && away.is_transient(), "{away}");
}

#[tokio::test]
async fn two_processes_share_a_mirror() {
    let source = Repository::create("shop", &[("a.txt", "one\n")]);
    let server = GitServer::start(source.root(), Vec::new()).await;
    let url = server.repository_url("shop");
    let folder = tempfile::tempdir().unwrap();
    // Two values share nothing but the folder, as two processes do; locks of files are per open file.
    let (first, second) = (repos(&folder).await, repos(&folder).await);
    let fetched = futures_util::future::join_all((0..6).map(|n| {
        let repos = if n % 2 == 0 { first.clone() } else { second.clone() };
        let url = url.clone();
        async move { repos.mirror(&url).await.unwrap().branch("main").await.unwrap() }
    }))
    .await;
    assert!(fetched.windows(2).all(|pair| pair[0] == pair[1]), "{fetched:?}");
}

#[tokio::test]
async fn attributes_links_and_submodules_of_a_repository_do_nothing_on_the_host() {
    let source = Repository::create("odd", &[("src/a.py", "print(1)\n"), ("run.sh", "#!/bin/sh\n")]);
    let checkout = source.root().join("checkout");
    let attributes = "*.py export-ignore filter=evil eol=crlf\nrun.sh -diff ident\n";
    std::fs::write(checkout.join("run.sh"), "#!/bin/sh\n# $Id$\n").unwrap();
    symlink("/etc/passwd", checkout.join("link")).unwrap();
    let run = |arguments: &[&str]| {
        let status = std::process::Command::new("git").arg("-C").arg(&checkout).args(arguments).status();
        assert!(status.unwrap().success(), "{arguments:?}");
    };
    std::fs::set_permissions(checkout.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    let head = source.git(&["rev-parse", "main"]);
    run(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/sub")]);
    std::fs::create_dir_all(checkout.join("vendor/sub")).unwrap();
    let commit = source.commit("main", "odd things", &[(".gitattributes", attributes)]);

    let folder = tempfile::tempdir().unwrap();
    let mirror = repos(&folder).await.mirror(source.bare().to_str().unwrap()).await.unwrap();
    let base = mirror.branch("main").await.unwrap();
    assert_eq!(base.as_str(), commit);
    let kinds: Vec<(String, EntryKind)> =
        mirror.files(&base).await.unwrap().into_iter().map(|entry| (entry.path, entry.kind)).collect();
    assert!(kinds.contains(&("vendor/sub".to_owned(), EntryKind::Submodule)), "{kinds:?}");
    let archive = mirror.archive(&base).await.unwrap();
    assert_eq!(archive.submodules, ["vendor/sub"]);
    assert_eq!(
        names(archive),
        [
            (".gitattributes".to_owned(), 0o644, attributes.to_owned()),
            ("link".to_owned(), 0o777, "-> /etc/passwd".to_owned()),
            ("run.sh".to_owned(), 0o755, "#!/bin/sh\n# $Id$\n".to_owned()),
            ("src/a.py".to_owned(), 0o644, "print(1)\n".to_owned()),
        ]
    );
    let tree = mirror.checkout(&base).await.unwrap();
    assert!(tree.folder().join("link").symlink_metadata().unwrap().is_file());
    assert_eq!(std::fs::read_to_string(tree.folder().join("src/a.py")).unwrap(), "print(1)\n");
    assert_eq!(tree.diff().await.unwrap(), "");
    // What comes back unchanged from a container is no change, though the container has real symlinks.
    let back = Cursor::new(mirror.archive(&base).await.unwrap().bytes().unwrap());
    let taken = tree.replace_with(back, Limits::default()).await.unwrap();
    assert_eq!((taken.n_files, taken.refused.len()), (4, 0));
    assert_eq!(tree.diff().await.unwrap(), "");
}

#[tokio::test]
async fn a_tree_from_a_container_becomes_a_patch() {
    let source =
        Repository::create("shop", &[("a.py", "one\n"), ("b.py", "two\n"), (".gitignore", "*.log\n")]);
    let folder = tempfile::tempdir().unwrap();
    let mirror = repos(&folder).await.mirror(source.bare().to_str().unwrap()).await.unwrap();
    let base = mirror.branch("main").await.unwrap();
    let tree = mirror.checkout(&base).await.unwrap();

    let work = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("a.py", "one\nmore\n"),
        ("tests/test_a.py", "assert True\n"),
        (".gitignore", "*.log\n"),
        ("debug.log", "noise"),
        ("__pycache__/a.pyc", "noise"),
        (".git/hooks/pre-commit", "evil"),
    ] {
        let path = work.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    symlink("/etc/passwd", work.path().join("b.py")).unwrap();
    let taken = tree.replace_with(tar_of(work.path()), Limits::default()).await.unwrap();
    // A file that became a symlink is refused and stays as it was.
    assert_eq!(taken.refused.len(), 1, "{taken:?}");
    let text = tree.diff().await.unwrap();
    let patch = Patch::parse(&text).unwrap();
    assert_eq!(patch.paths(), ["a.py", "tests/test_a.py"]);

    let (tests, rest) = patch.partition(|file| file.path.starts_with("tests/"));
    let final_tree = tree.stage().await.unwrap();
    let steps = vec![Step::Take("tests/test_a.py".to_owned())];
    let tests_tree = tree.compose(&tree.base_tree(), &final_tree, steps).await.unwrap();
    assert_eq!(tree.diff_trees(&tree.base_tree(), &tests_tree).await.unwrap(), tests.to_string());
    assert_eq!(tree.diff_trees(&tests_tree, &final_tree).await.unwrap(), rest.to_string());
    assert_eq!(tree.patched(&tests_tree, &rest.to_string(), Reverse::No).await.unwrap(), final_tree);
    assert_eq!(tree.patched(&final_tree, &rest.to_string(), Reverse::Yes).await.unwrap(), tests_tree);
    let steps = vec![Step::Write("a.py".to_owned(), b"half\n".to_vec())];
    let half = tree.compose(&tree.base_tree(), &final_tree, steps).await.unwrap();
    assert_eq!(tree.read(&half, "a.py").await.unwrap().as_deref(), Some(&b"half\n"[..]));
    assert_eq!(tree.read(&half, "tests/test_a.py").await.unwrap(), None);
    assert_eq!(names(tree.archive(&tests_tree).await.unwrap()).len(), 4);
}

#[tokio::test]
async fn a_patch_is_applied_and_committed_the_same_way_twice() {
    let source = Repository::create("shop", &[("a.py", "one\n")]);
    let folder = tempfile::tempdir().unwrap();
    let mirror = repos(&folder).await.mirror(source.bare().to_str().unwrap()).await.unwrap();
    let base = mirror.branch("main").await.unwrap();
    let patch = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-one\n+two\n";
    let author = Author { name: "homeostat".to_owned(), email: "homeostat@localhost".to_owned() };
    let mut ids = Vec::new();
    let mut places = Vec::new();
    for _ in 0..2 {
        let tree = mirror.checkout(&base).await.unwrap();
        tree.apply(patch).await.unwrap();
        ids.push(tree.commit(&author, "shop: two\n\nBecause.\n", Timestamp::UNIX_EPOCH).await.unwrap());
        assert_eq!(std::fs::read_to_string(tree.folder().join("a.py")).unwrap(), "two\n");
        let again = tree.apply(patch).await.unwrap_err();
        assert!(matches!(again, RepoError::DoesNotApply { .. }), "{again}");
        for hostile in ["../evil", "/etc/evil", ".git/config"] {
            let patch = format!(
                "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/{hostile}\n@@ -0,0 +1 @@\n+x\n"
            );
            assert!(tree.apply(&patch).await.is_err(), "{hostile}");
        }
        places.push(tree.folder().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], base);
    for place in places {
        crate::support::wait::eventually(
            "the clone is removed",
            crate::support::wait::PATIENCE,
            async || (!place.exists()).then_some(()),
        )
        .await;
    }
}

#[tokio::test]
async fn clones_of_a_killed_process_are_removed_and_living_ones_are_not() {
    let source = Repository::create("shop", &[("a.py", "one\n")]);
    let folder = tempfile::tempdir().unwrap();
    let repos_before = repos(&folder).await;
    let mirror = repos_before.mirror(source.bare().to_str().unwrap()).await.unwrap();
    let tree = mirror.checkout(&mirror.branch("main").await.unwrap()).await.unwrap();
    let orphan = folder.path().join("clones/orphan");
    std::fs::create_dir_all(orphan.join("tree")).unwrap();
    std::fs::write(orphan.with_extension("lock"), "").unwrap();
    repos(&folder).await;
    assert!(!orphan.exists() && !orphan.with_extension("lock").exists());
    assert!(tree.folder().join("a.py").exists());
}

#[tokio::test]
async fn a_repository_over_the_limits_is_refused_before_it_is_written() {
    let source = Repository::create("shop", &[("a", "12345"), ("b", "12345"), ("c", "12345")]);
    let folder = tempfile::tempdir().unwrap();
    for (max_files, max_bytes, unit) in [(2, 1000, "files"), (10, 14, "bytes")] {
        let settings = Settings { max_files, max_bytes, ..Settings::new(folder.path()) };
        let repos = Repos::new(settings, Arc::new(FetchTokens::default())).await.unwrap();
        let mirror = repos.mirror(source.bare().to_str().unwrap()).await.unwrap();
        let commit = mirror.branch("main").await.unwrap();
        for error in [mirror.archive(&commit).await.unwrap_err(), mirror.checkout(&commit).await.unwrap_err()]
        {
            assert!(matches!(error, RepoError::TooLarge { unit: it, .. } if it == unit), "{error}");
        }
    }
}
