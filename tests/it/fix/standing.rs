//! What must be there before an attempt is made: where it is not, no money is spent and the report says what is missing.

use homeostat::model::attempt::{Attempt, Outcome};

use super::given::{Given, RECORD, SHOP, model};
use super::play::{always, right_fix};

/// Runs the job; its only attempt needs a person and has called nobody.
async fn check(given: &mut Given, why: &str) -> Attempt {
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let outcome = given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::NeedsPerson), "{outcome:?}\n{attempt:#?}");
    assert!(attempt.report.contains(why) && attempt.report.contains("What to do next"), "{}", attempt.report);
    assert_eq!(model.books().n_requests, 0);
    assert_eq!(given.containers().await, Vec::<String>::new());
    attempt
}

/// The package with one file in another form, or more.
fn shop_with<'a>(path: &'a str, text: &'a str) -> Vec<(&'a str, &'a str)> {
    let rest = SHOP.iter().filter(|(it, _)| *it != path).copied();
    rest.chain([(path, text)]).collect()
}

#[tokio::test]
async fn a_dependency_that_is_not_in_the_image() {
    let source = format!("import flask\n{}", SHOP[3].1);
    let mut given = Given::new(&shop_with("shop/stats.py", &source)).await;
    let attempt = check(&mut given, "the tests need `flask`").await;
    assert_eq!(attempt.base_commit, given.repository.git(&["rev-parse", "main"]));
}

#[tokio::test]
async fn a_repository_that_says_nothing_of_tests() {
    let mut given = Given::new(&[("README.md", "nothing\n")]).await;
    check(&mut given, "nothing in the repository says how its tests are run").await;
}

#[tokio::test]
async fn an_image_that_is_not_allowed_or_not_there() {
    let asks = "[test]\ncommand = \"true\"\nimage = \"production/shop:1\"\n";
    let mut given = Given::new(&shop_with(".homeostat.toml", asks)).await;
    check(&mut given, "which the config does not allow").await;
    let asks = "[test]\ncommand = \"true\"\nimage = \"homeostat/sandbox-nowhere:1\"\n";
    let mut given = Given::new(&shop_with(".homeostat.toml", asks)).await;
    check(&mut given, "is not on the container engine").await;
}

#[tokio::test]
async fn a_branch_that_is_not_there() {
    let mut given = Given::new(SHOP).await;
    given.repository.git(&["branch", "-m", "main", "trunk"]);
    check(&mut given, "has no branch `main`").await;
}

#[tokio::test]
async fn a_repository_that_no_sandbox_has_room_for() {
    let data = "0123456789abcdef".repeat(700_000);
    let mut given = Given::new(&shop_with("data.txt", &data)).await;
    given.settings.sandbox.workspace_bytes = 16 << 20;
    check(&mut given, "the repository is 10 MiB, too many for a sandbox with 16 MiB").await;
}
