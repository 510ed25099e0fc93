//! The dashboard in a real Chromium: what a person sees, that it stays at home, that it refreshes itself, that its buttons work.

#![expect(clippy::unwrap_used, reason = "a page that cannot be opened must fail the test")]

pub(crate) mod browser;
pub(crate) mod server;
pub(crate) mod story;
mod texts;

use std::path::{Path, PathBuf};

use fantoccini::Locator;
use homeostat::base::env;
use homeostat::model::issue::IssueState;
use homeostat::model::job::{JobKind, JobState};
use homeostat::store::types::{IssueFilter, JobFilter};

use self::browser::{Browser, Scripts};
use self::server::Server;
use self::story::Given;
use crate::support::wait::{PATIENCE, eventually};

const WIDE: u32 = 1280;
const NARROW: u32 = 400;
/// A picture of the README stays small.
const MAX_PICTURE: usize = 200_000;

/// Where the two pictures of the README and the others go: `HOMEOSTAT_SCREENSHOTS=1` renews those in `docs`, any other value is a
/// folder for all of them; else all are gone afterwards.
fn picture_folders(given: &Given) -> (PathBuf, PathBuf) {
    let aside = given.folder.path().to_owned();
    match env::var("HOMEOSTAT_SCREENSHOTS").as_deref() {
        Some("1") => (Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"), aside),
        Some(folder) => (folder.into(), folder.into()),
        None => (aside.clone(), aside),
    }
}

fn save(folder: &Path, name: &str, picture: &[u8]) {
    assert!(picture.starts_with(b"\x89PNG"), "{name} is a picture");
    assert!(picture.len() < MAX_PICTURE, "{name} has {} bytes", picture.len());
    std::fs::write(folder.join(name), picture).unwrap();
}

fn missing<'w>(text: &str, words: &[&'w str]) -> Vec<&'w str> {
    words.iter().filter(|it| !text.contains(**it)).copied().collect()
}

/// What was asked for elsewhere; the browser's own first tab (`chrome:`) and pictures within a page (`data:`) go nowhere.
async fn strangers(browser: &Browser, home: &str) -> Vec<String> {
    let goes_nowhere = |it: &String| it.starts_with("chrome:") || it.starts_with("data:");
    let requests = browser.requests().await.into_iter();
    requests.filter(|it| !it.starts_with(home) && !goes_nowhere(it)).collect()
}

const LIST_SAYS: &[&str] = &[
    "ZeroDivisionError: division by zero",
    "shop",
    "proposed",
    "needs person",
    "fixing",
    "landed",
    "muted",
    "resolved",
    "Pause healing",
    "$0.31 of $50.00 today",
];

const ISSUE_SAYS: &[&str] = &[
    "ZeroDivisionError: division by zero",
    "proposed",
    "occurrences",
    "Accept and merge",
    "Return 0 as the average of an empty cart",
    "fails with the logged error",
    "failed (1) in 1.4 s",
    "passed in 1.3 s",
    "+        return 0",
    "File \"/app/shop/cart.py\", line 41, in average_price",
    "proposal opened",
    "ticket 1",
    "claude-sonnet-5-5",
];

#[tokio::test]
async fn a_person_sees_the_issues_and_one_of_them() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let browser = Browser::start(Scripts::On).await;
    let (pictures, aside) = picture_folders(&given);
    let list = server.url("/");
    let issue = server.url(&format!("/issues/{}", shown.issue));

    for (url, name, words) in [(&list, "issues", LIST_SAYS), (&issue, "issue", ISSUE_SAYS)] {
        for (width, is_dark, file) in [
            (WIDE, false, pictures.join(format!("{name}.png"))),
            (WIDE, true, aside.join(format!("{name}-dark.png"))),
            (NARROW, false, aside.join(format!("{name}-narrow.png"))),
        ] {
            browser.open(url, width, is_dark).await;
            assert_eq!(missing(&browser.text().await, words), Vec::<&str>::new(), "{name} at {width}");
            assert!(browser.overflow().await <= 0, "{name} is wider than {width} px");
            save(
                file.parent().unwrap(),
                file.file_name().unwrap().to_str().unwrap(),
                &browser.picture(width).await,
            );
        }
    }
    for path in ["/jobs", "/gaps", &format!("/tickets/{}", shown.ticket), "/?state=muted", "/?q=nothing+such"]
    {
        for width in [WIDE, NARROW] {
            browser.open(&server.url(path), width, false).await;
            assert!(browser.overflow().await <= 0, "{path} is wider than {width} px");
        }
    }
    let home = server.url("/");
    let strangers = strangers(&browser, &home).await;
    assert_eq!(strangers, Vec::<String>::new(), "every request stays at home");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn everything_can_be_read_without_javascript() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let browser = Browser::start(Scripts::Off).await;
    browser.open(&server.url("/"), WIDE, false).await;
    assert_eq!(missing(&browser.text().await, LIST_SAYS), Vec::<&str>::new());

    let link = browser.client.find(Locator::LinkText("ZeroDivisionError: division by zero")).await.unwrap();
    link.click().await.unwrap();
    browser.says("Accept and merge").await;
    assert_eq!(missing(&browser.text().await, ISSUE_SAYS), Vec::<&str>::new());
    assert!(
        !browser.requests().await.iter().any(|it| it.contains("/events?")),
        "the script that asks for events did not run"
    );

    browser.click("Accept and merge").await;
    browser.says("accepted, merging…").await;
    let filter = JobFilter { kind: Some(JobKind::Land), ..JobFilter::default() };
    let lands = given.store.jobs(&filter).await.unwrap();
    assert_eq!(lands.iter().map(|it| it.issue).collect::<Vec<_>>(), [Some(shown.issue)]);
    browser.close().await;
}

#[tokio::test]
async fn the_page_follows_the_store_by_itself() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let browser = Browser::start(Scripts::On).await;

    browser.open(&server.url("/"), WIDE, false).await;
    eventually("the page to listen", PATIENCE, async || {
        browser.requests().await.iter().any(|it| it.contains("/events?")).then_some(())
    })
    .await;
    let batch = homeostat::model::occurrence::CommitBatch {
        groups: vec![story::hostile(&given, "newcomer")],
        ..Default::default()
    };
    given.store.commit(batch, given.clock.now()).await.unwrap();
    browser.says("newcomer").await;
    given.store.set_paused(true, "somebody", given.clock.now()).await.unwrap();
    browser.says("Healing is paused").await;
    given.store.set_paused(false, "somebody", given.clock.now()).await.unwrap();
    browser.says("Pause healing").await;
    assert!(!browser.text().await.contains("Healing is paused"), "the banner is gone again");

    browser.open(&server.url(&format!("/issues/{}", shown.issue)), WIDE, false).await;
    let summary = browser.client.find(Locator::Css("section.card > details > summary")).await.unwrap();
    summary.click().await.unwrap();
    eventually("the issue's page to listen", PATIENCE, async || {
        browser.requests().await.iter().any(|it| it.contains("/events?")).then_some(())
    })
    .await;
    given.tell(shown.issue, 0, "said by a test", "nothing else").await;
    given.store.enqueue(homeostat::model::job::NewJob::fix(shown.issue, 7), given.clock.now()).await.unwrap();
    browser.says("said by a test").await;
    let open = browser
        .client
        .find(Locator::Css("section.card > details"))
        .await
        .unwrap()
        .prop("open")
        .await
        .unwrap();
    assert_eq!(open.as_deref(), Some("true"), "what was unfolded stays so");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn buttons_do_what_they_say() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let browser = Browser::start(Scripts::On).await;
    let page = server.url(&format!("/issues/{}", shown.issue));

    browser.open(&page, WIDE, false).await;
    browser.click("Accept and merge").await;
    browser.says("accepted, merging…").await;
    let filter = JobFilter { kind: Some(JobKind::Land), ..JobFilter::default() };
    let lands = given.store.jobs(&filter).await.unwrap();
    assert_eq!(
        lands.iter().map(|it| (it.issue, it.state)).collect::<Vec<_>>(),
        [(Some(shown.issue), JobState::Queued)]
    );

    browser.click("Mute").await;
    browser.says("Unmute").await;
    let state = given.store.issue(shown.issue).await.unwrap().state;
    assert!(matches!(state, IssueState::Muted { until: Some(_) }), "{state:?}");
    browser.click("Unmute").await;
    eventually("the issue to be open", PATIENCE, async || {
        (given.store.issue(shown.issue).await.unwrap().state == IssueState::Open).then_some(())
    })
    .await;

    browser.open(&server.url("/"), WIDE, false).await;
    browser.click("Pause healing").await;
    browser.says("Healing is paused").await;
    assert!(given.store.is_paused().await.unwrap());
    browser.click("Resume healing").await;
    browser.says("Pause healing").await;
    assert!(!given.store.is_paused().await.unwrap());
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let browser = Browser::start(Scripts::On).await;
    let batch = homeostat::model::occurrence::CommitBatch {
        groups: vec![story::hostile(&given, "<script>alert(1)</script>")],
        ..Default::default()
    };
    given.store.commit(batch, given.clock.now()).await.unwrap();
    let issues = given.store.issues(&IssueFilter::default()).await.unwrap();

    for path in ["/".to_owned(), format!("/issues/{}", issues[0].id)] {
        browser.open(&server.url(&path), WIDE, false).await;
        browser.says("<script>document.title='owned'</script>").await;
        assert!(browser.client.title().await.unwrap().contains("homeostat"));
        let foreign =
            browser.client.find_all(Locator::Css("main script, main iframe, main img, main style")).await;
        assert_eq!(foreign.unwrap().len(), 0, "{path}");
    }
    let home = server.url("/");
    let strangers = strangers(&browser, &home).await;
    assert_eq!(strangers, Vec::<String>::new());
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    browser.close().await;
}
