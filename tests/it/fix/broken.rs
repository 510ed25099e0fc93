//! Commands that end their sandbox, spoil what keeps their changes, or leave more than can be kept: a result for the agent, never the end of
//! the job.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use homeostat::agent::scripted::script::Turn;
use homeostat::model::attempt::Outcome;
use homeostat::model::job::JobPayload;
use serde_json::Value;

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::{
    TEST, TEST_COMMAND, always, claim_fixed, edit_source, read_source, right_fix, run, write_test,
};

/// Texts of the tool results of the only attempt.
async fn results(given: &Given) -> Vec<String> {
    let attempt = given.attempt().await;
    let transcript = given.store.transcript(attempt.id).await.unwrap();
    let text = |line: &String| {
        let entry: Value = serde_json::from_str(line).unwrap();
        entry["entry"]["tool"]["text"].as_str().map(str::to_owned)
    };
    transcript.iter().filter_map(text).collect()
}

/// The right fix with `between` after the edit: the attempt is proven all the same. Gives what the agent was told of `between`.
async fn check(between: Vec<Turn>) -> Vec<String> {
    let mut turns = right_fix();
    let n_between = between.len();
    turns.splice(4..4, between);
    let mut given = Given::new(SHOP).await;
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let outcome = given.run_until(&leased, &model, &desk).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{outcome:?}\n{attempt:#?}\n{:#?}", desk.steps());
    assert!(outcome.next.iter().any(|job| matches!(job.payload, JobPayload::Propose { .. })));
    assert_eq!(given.containers().await, Vec::<String>::new());
    results(&given).await[4..4 + n_between].to_vec()
}

#[tokio::test]
async fn a_command_that_ends_the_sandbox_is_told_and_the_changes_stay() {
    let told =
        check(vec![run("echo lost > shop/lost.py; kill -9 -1"), run("git status --short; ls shop")]).await;
    assert!(told[0].starts_with("the command ended the sandbox"), "{}", told[0]);
    // The test and the edit are there again, what the command itself wrote is not.
    let expected = "exit code 0\n M shop/stats.py\n?? tests/test_empty.py\n__init__.py\nstats.py\n";
    assert_eq!(told[1], expected);
}

#[tokio::test]
async fn changes_that_cannot_be_kept_are_taken_back_and_that_is_told() {
    let told = check(vec![
        run("head -c 9M /dev/urandom > shop/data.bin; ls shop"),
        run("rm shop/stats.py && mkfifo shop/stats.py"),
        run("rm -rf /sandbox/.homeostat.git; echo gone > gone.txt"),
        run("echo 'exec false' > /sandbox/.homeostat.git/index"),
        run("git status --short; ls; cat shop/stats.py | head -1; ls -d /sandbox/.homeostat.git"),
    ])
    .await;
    for result in &told[..4] {
        assert!(result.contains("cannot be kept and was taken back"), "{result}");
    }
    assert!(told[0].contains("data.bin") && told[0].contains("more than 4 MiB"), "{}", told[0]);
    assert!(told[4].contains("\n M shop/stats.py\n?? tests/test_empty.py\nREADME.md\n"), "{}", told[4]);
    assert!(told[4].ends_with("/sandbox/.homeostat.git\n"), "{}", told[4]);
}

/// A test that kills everything in its container is a test that fails.
#[tokio::test]
async fn a_test_that_ends_its_sandbox_has_not_passed() {
    let kills = format!("{TEST}\n\ndef test_more():\n    import os\n    os.kill(-1, 9)\n");
    let turns = vec![
        read_source(),
        write_test(&kills),
        edit_source("    return sum(values) / len(values) if values else 0"),
        claim_fixed(TEST_COMMAND, &["tests/test_empty.py"]),
    ];
    let mut given = Given::new(SHOP).await;
    given.settings.max_attempts = 1;
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    let outcome = given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert!(matches!(attempt.outcome, Some(Outcome::NotReproduced | Outcome::GaveUp)), "{attempt:#?}");
    assert!(outcome.next.iter().all(|job| !matches!(job.payload, JobPayload::Propose { .. })), "{outcome:?}");
    assert_eq!(given.containers().await, Vec::<String>::new());
}

/// Build outputs and the container's own `.git` are not taken out, however large; a file that the repository tracks is, wherever it lies.
#[tokio::test]
async fn only_what_belongs_to_the_repository_is_taken_out() {
    let mut files = SHOP.to_vec();
    files.push((".gitignore", "target/\n"));
    files.push((".gitattributes", "README.md export-ignore\n*.py export-subst\n"));
    files.push(("target/tracked.txt", "tracked\n"));
    let mut turns = right_fix();
    turns.insert(4, run("mkdir -p target node_modules/x && head -c 600M /dev/zero > /dev/null; for d in target node_modules/x; do head -c 60M /dev/urandom > $d/big; done; git gc -q"));
    let mut given = Given::new(&files).await;
    // Less than the build outputs are.
    given.settings.export.max_bytes = 8 << 20;
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{attempt:#?}");
    let patch = homeostat::repo::patch::Patch::parse(&attempt.patch).unwrap();
    assert_eq!(patch.paths(), ["shop/stats.py", "tests/test_empty.py"]);
}

/// A change of a file that is not UTF-8 is kept whole, as a binary one, and the rest of the patch stays text.
#[tokio::test]
async fn a_file_in_latin_1_can_be_changed() {
    let mut turns = right_fix();
    turns.insert(4, run("python3 -c \"p='names.txt'; t=open(p,encoding='latin-1').read(); open(p,'w',encoding='latin-1').write(t+'M\\u00fcller\\n')\""));
    let mut given = Given::new(SHOP).await;
    let checkout = given.repository.root().join("checkout");
    std::fs::write(checkout.join("names.txt"), b"J\xfcrgen\nZo\xeb\n").unwrap();
    given.repository.commit("main", "names", &[]);
    let model = model(always(turns)).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let attempt = given.attempts().await.remove(0);
    assert_ne!(attempt.outcome, Some(Outcome::GaveUp), "{attempt:#?}");
    let patch = homeostat::repo::patch::Patch::parse(&attempt.patch).unwrap();
    assert_eq!(patch.paths(), ["names.txt", "shop/stats.py", "tests/test_empty.py"]);
    assert!(attempt.patch.contains("GIT binary patch") && attempt.patch.contains("+    return sum(values)"));
    assert!(attempt.validation.is_some(), "{attempt:#?}");
}
