//! Killed between any two requests, or answered by a 502 after the work was done: in the end there is exactly one
//! ticket, one comment per event, one branch, one proposal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;

use futures_util::StreamExt;
use homeostat::base::id::IssueId;
use homeostat::forge::{self, Forge, GitHubForge};
use homeostat::heal::worker::Settings;
use homeostat::model::issue::IssueState;
use homeostat::model::job::{JobKind, JobState, NewJob};
use homeostat::model::stage::{Stage, StageContext, StageOutcome};
use homeostat::repo::{Credential, FetchToken, FetchTokens};
use homeostat::tracker::{self, GitHubTracker, Tracker};
use tokio::sync::Notify;

use super::given::{Given, PATCH, SHOP, quick};
use crate::support::git::Repository;
use crate::support::github::{Fault, GitHub, HANGING, TOKEN};
use crate::support::wait::{PATIENCE, eventually};

const NAME: &str = "acme/shop";

/// An issue with a ticket job, and an attempt with its propose job, on the scripted GitHub.
struct Scene {
    given: Given,
    github: GitHub,
    issue: IssueId,
}

impl Scene {
    async fn set() -> Self {
        let repository = Repository::create(NAME, SHOP);
        let github = GitHub::start(&repository, NAME).await;
        let given = Given::new(repository, Some(github.repository_url(NAME))).await;
        let issue = given.issue("ZeroDivisionError: by zero", vec![NewJob::open_ticket(false)]).await;
        let attempt = given.attempt(issue, PATCH).await;
        let now = given.clock.now();
        given.store.enqueue(NewJob::fix(issue, 0), now).await.unwrap();
        given.store.enqueue(NewJob::propose(issue, attempt.id), now).await.unwrap();
        Self { given, github, issue }
    }

    async fn stages(&self) -> Vec<Arc<dyn Stage>> {
        let client = self.github.client();
        let tracker: Arc<dyn Tracker> =
            Arc::new(GitHubTracker::new(client.clone(), tracker::Settings::default()));
        let forge: Arc<dyn Forge> = Arc::new(GitHubForge::new(client, forge::Settings::default()));
        let credential = Credential {
            user: "x-access-token".to_owned(),
            token: homeostat::base::secret::Secret::new(TOKEN),
        };
        let token = FetchToken { prefix: format!("{}/", self.github.url), credential };
        let repos = self.given.repos(FetchTokens(vec![token])).await;
        self.given.stages(vec![tracker], vec![forge], repos, Vec::new())
    }

    /// Works until everything is done.
    async fn finish(&self) {
        let working = self.given.work(self.stages().await, one_at_a_time());
        let jobs = self.given.quiet(self.issue).await;
        working.stopped().await;
        for job in jobs.iter().filter(|job| job.kind() != JobKind::Fix) {
            assert_eq!(job.state, JobState::Done, "{}: {:?}", job.unique_key, job.result);
        }
    }

    /// Exactly one of everything, whatever happened before.
    async fn expect_one_of_everything(&self, what: &str) {
        let issue = self.given.detail(self.issue).await;
        let told = |words: &str| issue.timeline.iter().filter(|entry| entry.what == words).count();
        assert_eq!((told("ticket opened"), told("proposal opened")), (1, 1), "{what}");
        assert_eq!(issue.issue.state, IssueState::Proposed, "{what}");
        let proposals = self.given.store.proposals(self.issue).await.unwrap();
        let ticket = self.given.store.ticket(self.issue).await.unwrap().unwrap();
        assert_eq!(proposals.len(), 1, "{what}");
        assert_eq!(self.given.repository.branches(), [proposals[0].branch.as_str(), "main"], "{what}");
        let mut state = self.github.state();
        let hosted = state.only();
        assert_eq!((hosted.issues.len(), hosted.pulls.len()), (1, 1), "{what}");
        assert_eq!(ticket.key, format!("{NAME}#{}", hosted.issues[0].number), "{what}");
        assert_eq!(hosted.issues[0].labels, ["homeostat"], "{what}");
        let comments: Vec<&str> =
            hosted.issues[0].comments.iter().filter_map(|it| it.body.lines().next()).collect();
        assert_eq!(comments.len(), 1, "{what}: {comments:?}");
        assert_eq!(proposals[0].key, hosted.pulls[0].number.to_string(), "{what}");
        assert_eq!(proposals[0].head, hosted.pulls[0].head_sha, "{what}");
    }
}

/// How many requests a run without any fault makes.
async fn n_requests() -> usize {
    let scene = Scene::set().await;
    scene.finish().await;
    scene.expect_one_of_everything("without a fault").await;
    let n = scene.github.seen().len();
    assert!((10..60).contains(&n), "{n} requests: {:#?}", scene.github.seen());
    n
}

/// So that a number means the same request in each run.
fn one_at_a_time() -> Settings {
    Settings { n_short: 1, ..quick() }
}

/// Plays a scene for each number, a few at a time.
async fn each<F: Future<Output = ()>>(n: usize, play: impl Fn(usize) -> F) {
    futures_util::stream::iter(1..=n).map(play).buffer_unordered(3).collect::<Vec<()>>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_after_any_request_leaves_one_of_everything() {
    each(n_requests().await, async |number| {
        let scene = Scene::set().await;
        scene.github.fail(number, Fault::Hang);
        let working = scene.given.work(scene.stages().await, one_at_a_time());
        eventually("the request that hangs", PATIENCE, async || {
            scene.github.seen().get(number - 1).is_some_and(|it| it.status == HANGING).then_some(())
        })
        .await;
        working.killed().await;
        scene.given.hands.put_forward(60);
        scene.finish().await;
        scene.expect_one_of_everything(&format!("killed after request {number}")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_502_after_any_request_leaves_one_of_everything() {
    each(n_requests().await, async |number| {
        let scene = Scene::set().await;
        scene.github.fail(number, Fault::After(502));
        scene.finish().await;
        scene.expect_one_of_everything(&format!("502 after request {number}")).await;
    })
    .await;
}

/// Runs the stage, and then never ends: the kill between the last write of a stage and its completion.
struct NeverEnds {
    inner: Arc<dyn Stage>,
    /// The job's key begins with this.
    key: &'static str,
    reached: Arc<Notify>,
}

#[async_trait::async_trait]
impl Stage for NeverEnds {
    fn kind(&self) -> JobKind {
        self.inner.kind()
    }

    async fn run(&self, context: StageContext) -> StageOutcome {
        let is_it = context.job.unique_key.starts_with(self.key);
        let outcome = self.inner.run(context).await;
        if is_it {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        outcome
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_any_completion_leaves_one_of_everything() {
    for key in ["ticket:", "propose:", "report:", "announce:"] {
        let scene = Scene::set().await;
        let reached = Arc::new(Notify::new());
        let wrap =
            |inner| -> Arc<dyn Stage> { Arc::new(NeverEnds { inner, key, reached: Arc::clone(&reached) }) };
        let stages = scene.stages().await.into_iter().map(wrap).collect();
        let working = scene.given.work(stages, one_at_a_time());
        tokio::time::timeout(PATIENCE, reached.notified()).await.expect(key);
        working.killed().await;
        scene.given.hands.put_forward(60);
        scene.finish().await;
        scene.expect_one_of_everything(&format!("killed before the completion of {key}")).await;
    }
}
