//! Pushing and merging: the real git over HTTP and over paths, pull requests through the real client.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use homeostat::base::clock::SystemClock;
use homeostat::base::id::{IssueId, ProposalId};
use homeostat::base::secret::Secret;
use homeostat::forge::{Forge, ForgeError, GitHubForge, LocalForge, NewProposal, Push, Pushed, Settings};
use homeostat::github::Client;
use homeostat::model::proposal::ProposalState;
use homeostat::model::service::Repository as Home;
use homeostat::model::stage::Setback;
use homeostat::repo::{self, Author, Credential, FetchToken, FetchTokens, Repos, WorkTree};
use tempfile::TempDir;

use super::given::PAGE;
use crate::support::git::Repository;
use crate::support::github::{Fault, GitHub, TOKEN, Token};

const NAME: &str = "acme/shop";
const BRANCH: &str = "homeostat/abc-1";

/// A commit in a clone, ready to be pushed, and where to.
struct Scene {
    _folder: TempDir,
    repository: Repository,
    github: GitHub,
    home: Home,
    clone: WorkTree,
    commit: String,
}

impl Scene {
    async fn set() -> Self {
        let repository = Repository::create(NAME, &[("a.py", "a\n")]);
        let github = GitHub::start(&repository, NAME).await;
        let home = Home {
            url: github.repository_url(NAME),
            base_branch: "main".to_owned(),
            revision: None,
            folder: String::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let credential = Credential { user: "x-access-token".to_owned(), token: Secret::new(TOKEN) };
        let token = FetchToken { prefix: format!("{}/", github.url), credential };
        let settings = repo::Settings::new(folder.path());
        let repos = Repos::new(settings, std::sync::Arc::new(FetchTokens(vec![token]))).await.unwrap();
        let mirror = repos.mirror(&home.url).await.unwrap();
        let clone = mirror.checkout(&mirror.branch("main").await.unwrap()).await.unwrap();
        let commit = change(&clone, "b\n", 0).await;
        Self { _folder: folder, repository, github, home, clone, commit }
    }

    fn github_forge(&self, settings: Settings) -> GitHubForge {
        GitHubForge::new(self.github.client(), settings)
    }

    fn push(&self) -> Push<'_> {
        Push { repository: &self.home, clone: self.clone.folder(), commit: &self.commit, branch: BRANCH }
    }

    const fn proposal<'a>(&'a self, title: &'a str) -> NewProposal<'a> {
        NewProposal {
            id: ProposalId::from_uuid(uuid::Uuid::nil()),
            issue: IssueId::from_uuid(uuid::Uuid::nil()),
            repository: &self.home,
            branch: BRANCH,
            title,
            body: "b",
        }
    }
}

/// Commits a change of the one file.
async fn change(clone: &WorkTree, text: &str, second: i64) -> String {
    std::fs::write(clone.folder().join("a.py"), text).unwrap();
    clone.stage().await.unwrap();
    let author = Author { name: "homeostat".to_owned(), email: "h@localhost".to_owned() };
    let at = homeostat::base::clock::Timestamp::from_second(second).unwrap();
    clone.commit(&author, "change", at).await.unwrap().as_str().to_owned()
}

#[tokio::test]
async fn a_push_is_done_once_and_moves_nothing() {
    let scene = Scene::set().await;
    let forge = scene.github_forge(Settings::default());
    let ours = Pushed::Ours { head: scene.commit.clone() };
    assert_eq!(forge.push(scene.push()).await.unwrap(), ours);
    assert_eq!(forge.push(scene.push()).await.unwrap(), ours, "again");
    assert_eq!(scene.repository.git(&["rev-parse", BRANCH]), scene.commit);
    // A later version of homeostat might make another commit of the same files.
    let twin =
        scene.repository.git(&["commit-tree", &format!("{BRANCH}^{{tree}}"), "-p", "main", "-m", "twin"]);
    scene.repository.git(&["update-ref", &format!("refs/heads/{BRANCH}"), &twin]);
    assert_eq!(
        forge.push(scene.push()).await.unwrap(),
        Pushed::Ours { head: twin.clone() },
        "the same files"
    );
    scene.repository.git(&["update-ref", &format!("refs/heads/{BRANCH}"), &scene.commit]);
    let on_top =
        scene.repository.git(&["commit-tree", "main^{tree}", "-p", &scene.commit, "-m", "a person's"]);
    scene.repository.git(&["update-ref", &format!("refs/heads/{BRANCH}"), &on_top]);
    assert_eq!(
        forge.push(scene.push()).await.unwrap(),
        Pushed::Ours { head: on_top.clone() },
        "with more on top"
    );
    assert_eq!(scene.repository.git(&["rev-parse", BRANCH]), on_top, "nothing was moved back");
}

#[tokio::test]
async fn a_branch_with_other_content_is_taken() {
    let scene = Scene::set().await;
    let theirs = scene.repository.commit(BRANCH, "theirs", &[("z.py", "z\n")]);
    let forge = scene.github_forge(Settings::default());
    assert_eq!(forge.push(scene.push()).await.unwrap(), Pushed::Taken);
    assert_eq!(scene.repository.git(&["rev-parse", BRANCH]), theirs);
}

#[tokio::test]
async fn the_credential_is_sent_and_never_written() {
    let scene = Scene::set().await;
    scene.github_forge(Settings::default()).push(scene.push()).await.unwrap();
    let pushes: Vec<_> =
        scene.github.seen().into_iter().filter(|it| it.target.contains("receive-pack")).collect();
    assert!(pushes.iter().any(|it| it.authorization.as_deref().is_some_and(|it| it.starts_with("Basic "))));
    let config = std::fs::read_to_string(scene.clone.folder().join(".git/config")).unwrap();
    assert!(!config.contains(TOKEN) && !config.contains("extraheader"), "{config}");
}

#[tokio::test]
async fn a_push_that_may_not_be_says_what_to_do() {
    let scene = Scene::set().await;
    let reader = Token { login: "r".to_owned(), may_write: false, sees: vec![NAME.to_owned()] };
    scene.github.state().tokens.insert("ghp_reader".to_owned(), reader);
    for (token, expected) in
        [("ghp_reader", "may not write there"), ("ghp_wrong", "the token is wrong or expired")]
    {
        let client = Client::new(scene.github.settings(token), SystemClock::shared()).unwrap();
        let error = GitHubForge::new(client, Settings::default()).push(scene.push()).await.unwrap_err();
        assert!(!error.to_string().contains(token), "{error}");
        let Setback::Failed { reason } = Setback::from(error) else { panic!("{token} must not be retried") };
        assert!(reason.contains(expected), "{reason}");
    }
    let n = scene.github.seen().len();
    scene.github.fail(n + 1, Fault::Before(503));
    let error = scene.github_forge(Settings::default()).push(scene.push()).await.unwrap_err();
    assert!(matches!(Setback::from(error), Setback::Retry { .. }));
}

#[tokio::test]
async fn a_pull_request_is_found_again_in_any_state() {
    let scene = Scene::set().await;
    let forge = scene.github_forge(Settings::default());
    forge.push(scene.push()).await.unwrap();
    assert_eq!(forge.find(&scene.home, BRANCH).await.unwrap(), None);
    let opened = forge.open(&scene.proposal("t")).await.unwrap();
    assert_eq!((opened.key.as_str(), opened.state), ("1", ProposalState::Open));
    assert_eq!(opened.url, format!("{}/acme/shop/pull/1", scene.github.url));
    assert_eq!(forge.find(&scene.home, BRANCH).await.unwrap(), Some(opened));
    scene.github.state().only().pulls[0].is_open = false;
    let closed = forge.find(&scene.home, BRANCH).await.unwrap().unwrap();
    assert_eq!(closed.state, ProposalState::Closed);
    assert_eq!(forge.find(&scene.home, "main").await.unwrap(), None);
}

#[tokio::test]
async fn a_second_pull_request_is_refused_by_the_server() {
    let scene = Scene::set().await;
    let forge = scene.github_forge(Settings::default());
    forge.push(scene.push()).await.unwrap();
    forge.open(&scene.proposal("t")).await.unwrap();
    let error = forge.open(&scene.proposal("t")).await.unwrap_err().to_string();
    assert!(error.contains("A pull request already exists for acme:homeostat/abc-1."), "{error}");
}

#[tokio::test]
async fn drafts_fall_back_where_there_are_none() {
    let scene = Scene::set().await;
    let forge = scene.github_forge(Settings { is_draft: true, ..Settings::default() });
    forge.push(scene.push()).await.unwrap();
    scene.github.state().only().allows_drafts = false;
    assert!(!forge.open(&scene.proposal("t")).await.unwrap().is_draft);
    scene.github.state().only().allows_drafts = true;
    scene.github.state().only().pulls.clear();
    assert!(forge.open(&scene.proposal("t")).await.unwrap().is_draft);
}

#[tokio::test]
async fn each_forge_knows_its_own() {
    let scene = Scene::set().await;
    let local = LocalForge::new(Settings::default(), PAGE);
    let github = scene.github_forge(Settings::default());
    let at = |url: &str| Home { url: url.to_owned(), ..scene.home.clone() };
    for (url, is_local, is_github) in [
        ("/srv/git/shop.git", true, false),
        ("file:///srv/git/shop.git", true, false),
        ("relative/shop.git", false, false),
        ("https://gitlab.com/acme/shop", false, false),
        (scene.home.url.as_str(), false, true),
    ] {
        assert_eq!((local.accepts(&at(url)), github.accepts(&at(url))), (is_local, is_github), "{url}");
    }
    let foreign = at("https://gitlab.com/acme/shop");
    let error = local.push(Push { repository: &foreign, ..scene.push() }).await.unwrap_err();
    assert!(matches!(error, ForgeError::ForeignRepository { forge: "local", .. }), "{error}");
}

#[tokio::test]
async fn a_local_repository_that_is_not_there_is_told() {
    let scene = Scene::set().await;
    let local = LocalForge::new(Settings::default(), PAGE);
    let gone = Home { url: "/nonexistent/shop.git".to_owned(), ..scene.home.clone() };
    let error = local.push(Push { repository: &gone, ..scene.push() }).await.unwrap_err();
    let Setback::Failed { reason } = Setback::from(error) else { panic!("a retry will not make it") };
    assert!(reason.contains("no such repository"), "{reason}");
}
