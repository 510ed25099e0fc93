//! GitHub Issues through the real client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::secret::Secret;
use homeostat::daemon::FetchCredentials;
use homeostat::github::{Auth, Client, RepositoryName, Settings};
use homeostat::model::service::Repository as Home;
use homeostat::model::stage::Setback;
use homeostat::repo::{self, CredentialSource, FetchTokens, Repos};
use homeostat::tracker::{self, GitHubTracker, NewTicket, Place, Tracker, TrackerError};

use crate::support::git::Repository;
use crate::support::github::{Fault, GitHub, TOKEN, Token, app};

const NAME: &str = "acme/shop";
const MARKER: &str = "<!-- homeostat:issue:1 -->";

async fn github() -> (Repository, GitHub) {
    let repository = Repository::create(NAME, &[("README", "shop\n")]);
    let github = GitHub::start(&repository, NAME).await;
    (repository, github)
}

fn home(github: &GitHub) -> Home {
    Home {
        url: github.repository_url(NAME),
        base_branch: "main".to_owned(),
        revision: None,
        folder: String::new(),
    }
}

fn place(home: &Home) -> Place<'_> {
    Place { repository: Some(home), since: SystemClock.now() }
}

fn ticket() -> NewTicket {
    NewTicket { marker: MARKER.to_owned(), title: "t".to_owned(), body: format!("{MARKER}\n\nbody") }
}

fn tracker(client: Client) -> GitHubTracker {
    GitHubTracker::new(client, tracker::Settings::default())
}

fn with_token(github: &GitHub, token: &str) -> Client {
    Client::new(github.settings(token), SystemClock::shared()).unwrap()
}

#[tokio::test]
async fn finds_what_it_opened_and_nothing_else() {
    let (_repository, github) = github().await;
    let (home, tracker) = (home(&github), tracker(github.client()));
    assert_eq!(tracker.find(place(&home), MARKER).await.unwrap(), None);
    // What a service logged stands in the tickets of others; a pull request is no ticket.
    github.state().plant_issue(NAME, "quotes it", &format!("```\n{MARKER}\n```"), &["homeostat"]);
    let opened = tracker.open(place(&home), &ticket()).await.unwrap();
    assert_eq!(opened.key, "acme/shop#2");
    assert_eq!(opened.url, format!("{}/acme/shop/issues/2", github.url));
    assert_eq!(tracker.find(place(&home), MARKER).await.unwrap(), Some(opened));
}

#[tokio::test]
async fn finds_a_ticket_behind_many_and_without_its_label() {
    let (_repository, github) = github().await;
    let (home, tracker) = (home(&github), tracker(github.client()));
    github.state().plant_issue(NAME, "ours", &format!("{MARKER}\n\nbody"), &[]);
    for n in 0..230 {
        github.state().plant_issue(NAME, &format!("other {n}"), "b", &["homeostat"]);
    }
    let found = tracker.find(place(&home), MARKER).await.unwrap().unwrap();
    assert_eq!(found.key, "acme/shop#1");
    let targets: Vec<String> = github.seen().into_iter().map(|it| it.target).collect();
    assert_eq!(targets.len(), 6, "three pages with the label, three without: {targets:#?}");
}

#[tokio::test]
async fn comments_once_and_reopens_what_is_closed() {
    let (_repository, github) = github().await;
    let (home, tracker) = (home(&github), tracker(github.client()));
    let opened = tracker.open(place(&home), &ticket()).await.unwrap();
    for _ in 0..2 {
        tracker.comment(&opened.key, "<!-- m -->", "<!-- m -->\n\nb", SystemClock.now()).await.unwrap();
    }
    github.state().only().issues[0].is_open = false;
    tracker.reopen(&opened.key).await.unwrap();
    tracker.reopen(&opened.key).await.unwrap();
    let mut state = github.state();
    let issue = &state.only().issues[0];
    assert_eq!((issue.comments.len(), issue.is_open), (1, true));
    drop(state);
    let n_patches = github.seen().iter().filter(|it| it.method == "PATCH").count();
    assert_eq!(n_patches, 1, "an open ticket is not opened again");
}

#[tokio::test]
async fn keeps_all_tickets_in_one_repository_if_told_to() {
    let (_repository, github) = github().await;
    let settings = tracker::Settings { repository: RepositoryName::parse(NAME) };
    let own = GitHubTracker::new(github.client(), tracker::Settings::default());
    let one = GitHubTracker::new(github.client(), settings);
    let elsewhere = Home { url: "/srv/git/other.git".to_owned(), ..home(&github) };
    assert!(!own.accepts(Some(&elsewhere)) && !own.accepts(None));
    assert!(one.accepts(Some(&elsewhere)) && one.accepts(None));
    let place = Place { repository: None, since: SystemClock.now() };
    assert_eq!(one.open(place, &ticket()).await.unwrap().key, "acme/shop#1");
    let refused = own.open(place, &ticket()).await.unwrap_err();
    assert!(matches!(refused, TrackerError::NoRepository), "{refused}");
}

#[tokio::test]
async fn says_what_a_person_can_do() {
    let (_repository, github) = github().await;
    let reader = Token { login: "r".to_owned(), may_write: false, sees: vec![NAME.to_owned()] };
    github.state().tokens.insert("ghp_reader".to_owned(), reader);
    let home = home(&github);
    let hidden = Home { url: github.repository_url("acme/other"), ..home.clone() };
    let refused = async |token: &str, home: &Home| {
        let opened = tracker(with_token(&github, token)).open(place(home), &ticket()).await;
        match Setback::from(opened.unwrap_err()) {
            Setback::Failed { reason } => reason,
            other @ (Setback::Retry { .. } | Setback::Postponed { .. } | Setback::Released) => {
                panic!("{other:?}")
            }
        }
    };
    let words = refused("ghp_wrong", &home).await;
    assert_eq!(
        words,
        "failed to open an issue in acme/shop: GitHub answered 401 (Bad credentials): the token is wrong or expired, set a new one"
    );
    assert!(refused(TOKEN, &hidden).await.contains("answered 404 (Not Found): no such repository"));
    github.state().only().has_issues = false;
    assert!(refused(TOKEN, &home).await.contains("answered 410"));
    github.state().only().has_issues = true;
    let long = NewTicket { title: "t".repeat(300), ..ticket() };
    let words = tracker(github.client()).open(place(&home), &long).await.unwrap_err().to_string();
    assert!(words.contains("422 (Validation Failed; title: title is too long (maximum is 256"), "{words}");
    tracker(with_token(&github, TOKEN)).open(place(&home), &ticket()).await.unwrap();
    let closed = tracker(with_token(&github, "ghp_reader"));
    github.state().only().issues[0].is_open = false;
    let words = closed.reopen("acme/shop#1").await.unwrap_err().to_string();
    assert!(
        words.contains("403 (Resource not accessible by personal access token): the token may not do this"),
        "{words}"
    );
}

#[tokio::test]
async fn waits_as_long_as_it_is_asked_to() {
    let (_repository, github) = github().await;
    let (home, tracker) = (home(&github), tracker(github.client()));
    let faults = [
        (Fault::SecondaryLimit { status: 403, retry_after: Some(120) }, Some(120..=120)),
        (Fault::SecondaryLimit { status: 429, retry_after: Some(7) }, Some(7..=7)),
        (Fault::SecondaryLimit { status: 403, retry_after: None }, Some(60..=60)),
        (Fault::PrimaryLimit { reset_in: 90 }, Some(85..=92)),
        (Fault::Before(502), None),
        (Fault::Before(503), None),
    ];
    for (number, (fault, expected)) in (1..).zip(faults) {
        github.fail(number, fault.clone());
        let error = tracker.open(place(&home), &ticket()).await.unwrap_err();
        let Setback::Retry { after, .. } = Setback::from(error) else { panic!("{fault:?}") };
        match (after, expected) {
            (Some(after), Some(expected)) => {
                assert!(expected.contains(&after.as_secs()), "{fault:?}: {after:?}")
            }
            (after, expected) => assert_eq!((after, expected.is_none()), (None, true), "{fault:?}"),
        }
    }
    assert_eq!(github.seen().len(), 6, "nothing is repeated behind the queue's back");
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again_later() {
    let (_repository, github) = github().await;
    let home = home(&github);
    let settings = Settings { timeout: Duration::from_millis(300), ..github.settings(TOKEN) };
    let impatient = tracker(Client::new(settings.clone(), SystemClock::shared()).unwrap());
    github.fail(1, Fault::Hang);
    let late = impatient.open(place(&home), &ticket()).await.unwrap_err();
    assert!(matches!(Setback::from(late), Setback::Retry { after: None, .. }));
    let gone = Settings { api_url: "http://127.0.0.1:9".to_owned(), ..settings };
    let gone = tracker(Client::new(gone, SystemClock::shared()).unwrap());
    let error = gone.open(place(&home), &ticket()).await.unwrap_err();
    assert!(matches!(Setback::from(error), Setback::Retry { after: None, .. }));
}

#[tokio::test]
async fn wrong_settings_are_told_before_anything_is_sent() {
    let (_repository, github) = github().await;
    for auth in [
        Auth::Token(Secret::new("")),
        Auth::Token(Secret::new("ghp_with a blank\n")),
        Auth::App { app_id: 1, private_key: Secret::new("not a key"), installation_id: None },
    ] {
        let settings = Settings { auth, ..github.settings(TOKEN) };
        let error = Client::new(settings, SystemClock::shared()).unwrap_err();
        assert!(error.to_string().starts_with("the settings of GitHub are wrong: "), "{error}");
    }
    assert_eq!(github.seen(), []);
    let shown = format!("{:?}", github.client());
    assert!(!shown.contains(TOKEN), "{shown}");
}

#[tokio::test]
async fn an_app_calls_with_the_token_of_its_installation() {
    let (_repository, github) = github().await;
    let folder = tempfile::tempdir().unwrap();
    let (private_key, public_key) = app::key_pair(folder.path());
    github.state().app = Some((4711, public_key));
    let home = home(&github);
    for (installation_id, n_requests) in [(None, 3), (Some(app::INSTALLATION), 2)] {
        let before = github.seen().len();
        let auth =
            Auth::App { app_id: 4711, private_key: Secret::new(private_key.as_str()), installation_id };
        let settings = Settings { auth, ..github.settings(TOKEN) };
        let client = Client::new(settings, SystemClock::shared()).unwrap();
        tracker(client.clone()).open(place(&home), &ticket()).await.unwrap();
        assert_eq!(github.seen().len() - before, n_requests, "find the installation, buy a token, call");
        let name = client.repository(&home.url).unwrap();
        let credential = client.git_credential(&name).await.unwrap();
        assert!(credential.header.expose().starts_with("Authorization: Basic "));
        assert_eq!(github.seen().len() - before, n_requests, "the token is kept for git");
        assert_eq!(github.state().only().issues.last().unwrap().author, "homeostat[bot]");

        // A private repository is cloned with a token of the app that can do nothing else.
        let cloned = tempfile::tempdir().unwrap();
        let credentials = FetchCredentials { tokens: FetchTokens::default(), github: Some(client) };
        let source = Arc::new(credentials.clone());
        let repos = Repos::new(repo::Settings::new(cloned.path()), source).await.unwrap();
        repos.mirror(&home.url).await.unwrap().branch("main").await.unwrap();
        let elsewhere = credentials.credential(&github.repository_url("acme/other")).await.unwrap();
        assert!(elsewhere.is_none(), "what the app does not see is fetched as nobody");
        let read_only = github.state().tokens.values().filter(|it| !it.may_write).count();
        assert_eq!(read_only, 1 + usize::from(installation_id.is_some()), "one for each clone");
    }
    let auth = Auth::App { app_id: 4712, private_key: Secret::new(private_key), installation_id: None };
    let stranger = Client::new(Settings { auth, ..github.settings(TOKEN) }, SystemClock::shared()).unwrap();
    let error = tracker(stranger).open(place(&home), &ticket()).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
}
