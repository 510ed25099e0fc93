//! Pages that are not there, words that must stay words, and every action with what it leaves in the store.

use homeostat::base::id::ProposalId;
use homeostat::model::issue::{IssueEvent, IssueState};
use homeostat::model::job::{JobKind, JobState, NewJob};
use homeostat::model::occurrence::CommitBatch;
use homeostat::model::proposal::ProposalState;
use homeostat::store::types::{IssueFilter, JobFilter, TimelineEntry};
use reqwest::Method;

use super::{SEE_OTHER, ask, ask_with, get, post};
use crate::pages::server::Server;
use crate::pages::story::{Given, hostile};

#[tokio::test]
async fn what_is_not_there_is_told_on_a_page() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let nobody = "0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f";
    for (path, status, words) in [
        ("/nothing".to_owned(), 404, "there is no such page".to_owned()),
        (format!("/issues/{nobody}"), 404, format!("there is no issue `{nobody}`")),
        ("/tickets/99".to_owned(), 404, "there is no local ticket `99`".to_owned()),
        ("/issues/seven".to_owned(), 400, "an id looks like 0190c2d4-".to_owned()),
        ("/issues/..%2f..%2fetc".to_owned(), 400, "an id looks like".to_owned()),
        ("/tickets/seven".to_owned(), 400, "something in the address or the form cannot be read".to_owned()),
        ("/pause".to_owned(), 405, "this address takes POST, not GET".to_owned()),
        ("/assets/nothing.css".to_owned(), 404, "there is no such page".to_owned()),
    ] {
        let answer = get(&server, &path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert!(answer.body.contains(&words), "{path}: {}", answer.body);
        assert!(answer.body.contains("All issues"), "{path} leads on");
    }
    for path in ["/?page=minus", "/?page=-1", "/?page=", "/?page=4294967295", "/?page=99999999999999999999"] {
        assert_eq!(get(&server, path).await.status, 200, "{path}");
    }
    assert_eq!(get(&server, "/?state=nonsense&q=%25_%27").await.status, 200);
}

#[tokio::test]
async fn programs_are_told_in_json() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    for (method, path, status, words) in [
        (Method::GET, "/v1/alerts", 405, "this address takes POST, not GET"),
        (Method::POST, "/v1/alert", 404, "there is no such page"),
        (Method::GET, "/metrics", 404, "this process records no metrics"),
        (Method::DELETE, "/metrics", 405, "this address takes GET, not DELETE"),
        (Method::GET, "/events?seen=minus", 400, "something in the address or the form cannot be read"),
    ] {
        let answer = ask(&server, method, path, &[]).await;
        let told = (answer.status, answer.header("content-type"), answer.body.as_str());
        assert_eq!(
            told,
            (status, "application/json", format!(r#"{{"error":"{words}"}}"#).as_str()),
            "{path}"
        );
    }
    let answer = ask(&server, Method::DELETE, "/jobs", &[]).await;
    assert_eq!(answer.header("allow"), "GET,HEAD", "what a page says goes with what the header says");
    assert!(answer.body.contains("this address takes GET, not DELETE"), "{}", answer.body);
    let answer = ask_with(&server, Method::POST, "/login", &[], "word=x").await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("the body is no form, or a field of it is missing"), "{}", answer.body);
}

#[tokio::test]
async fn a_mute_whose_time_is_over_is_none() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let ago = given.clock.now().checked_sub(jiff::SignedDuration::from_secs(1)).unwrap();
    let entry =
        TimelineEntry { at: ago, actor: "test".to_owned(), what: "muted".to_owned(), detail: String::new() };
    let event = IssueEvent::Muted { until: Some(ago) };
    given.store.apply_issue_event(shown.issue, event, Vec::new(), entry).await.unwrap();
    let page = format!("/issues/{}", shown.issue);
    let listed = async |state: &str| get(&server, &format!("/?state={state}")).await.body.contains(&page);
    assert!(listed("open").await && !listed("muted").await);
    let body = get(&server, &page).await.body;
    assert!(body.contains(r#"<span class="badge open">open</span>"#) && !body.contains("Unmute"), "{body}");
}

#[tokio::test]
async fn health_and_readiness_differ() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let answer = get(&server, "/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ready\n"));
    given.store.close().await;
    let answer = get(&server, "/readyz").await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "the database does not answer\n"));
    let answer = get(&server, "/healthz").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    let answer = get(&server, "/").await;
    assert!(matches!(answer.status, 500 | 503), "{}", answer.status);
    assert!(
        !answer.body.contains("sqlx") && !answer.body.contains("pool"),
        "the inside stays inside: {}",
        answer.body
    );
}

#[tokio::test]
async fn hostile_words_come_out_inert() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let batch = CommitBatch {
        groups: vec![hostile(&given, "\"><script>alert(2)</script>")],
        ..CommitBatch::default()
    };
    let issue = given.store.commit(batch, given.clock.now()).await.unwrap().groups[0].issue;
    let evil = "<script>alert(3)</script> <img src=x onerror=alert(4)> ![x](https://evil.example/x.png) \
                [a](javascript:alert(5)) [b](data:text/html,x) <a href='javascript:alert(6)'>c</a>\n\n<iframe src=x></iframe>";
    let mut attempt = given.store.attempts(shown.issue).await.unwrap().remove(0);
    attempt.report = evil.to_owned();
    attempt.patch =
        "diff --git a/x b/x\n@@ -1 +1 @@\n-</span></pre><script>alert(7)</script>\n+x\n".to_owned();
    given.store.save_attempt(&attempt).await.unwrap();
    given.tell(shown.issue, 0, "<script>alert(8)</script>", "<b>detail</b>").await;
    let ticket = given
        .store
        .open_local_ticket("evil", "<script>alert(9)</script>", evil, given.clock.now())
        .await
        .unwrap();

    let service = "%22%3E%3Cscript%3Ealert(2)%3C/script%3E";
    for path in [
        "/".to_owned(),
        format!("/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&service={service}&state={service}"),
        format!("/issues/{issue}"),
        format!("/issues/{}", shown.issue),
        format!("/tickets/{ticket}"),
    ] {
        let body = get(&server, &path).await.body.to_lowercase();
        let body = body.replace("<script src=\"/assets/live.js\" defer></script>", "");
        for active in [
            "<script",
            "<iframe",
            "<img src=x",
            "<style",
            "<b>detail",
            "<b>origin",
            "href=\"javascript",
            "href=\"data:",
            "evil.example/x.png\"",
        ] {
            assert!(!body.contains(active), "`{active}` in {path}:\n{body}");
        }
    }
}

#[tokio::test]
async fn an_issue_is_muted_unmuted_and_tried_again() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let store = &given.store;
    let issue = shown.issue;
    let page = format!("/issues/{issue}");
    let state = async || store.issue(issue).await.unwrap().state;

    for hours in ["0", "-1", "many", "9000"] {
        assert_eq!(
            post(&server, &format!("{page}/mute"), &format!("hours={hours}")).await.status,
            400,
            "{hours}"
        );
    }
    assert_eq!(state().await, IssueState::Proposed);
    let answer = post(&server, &format!("{page}/mute"), "hours=24").await;
    assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, page.as_str()));
    let IssueState::Muted { until: Some(until) } = state().await else { panic!("it is muted for a time") };
    assert!((until.as_second() - given.clock.now().as_second() - 24 * 3600).abs() < 60);
    post(&server, &format!("{page}/mute"), "hours=").await;
    assert_eq!(state().await, IssueState::Muted { until: None });
    post(&server, &format!("{page}/unmute"), "").await;
    assert_eq!(state().await, IssueState::Open);

    // While a proposal is open there is no other fix.
    let proposals = store.proposals(issue).await.unwrap();
    let open = proposals.iter().find(|it| it.state == ProposalState::Open).unwrap();
    let answer = post(&server, &format!("{page}/retry"), "").await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("a proposal of this issue is open"), "{}", answer.body);
    for status in [SEE_OTHER, 409] {
        assert_eq!(post(&server, &format!("/proposals/{}/close", open.id), "").await.status, status);
    }
    assert_eq!(store.proposal(open.id).await.unwrap().state, ProposalState::Closed);
    let answer = post(&server, &format!("{page}/retry"), "").await;
    assert_eq!((answer.status, state().await), (SEE_OTHER, IssueState::Fixing));
    assert_eq!(post(&server, &format!("{page}/retry"), "").await.status, 409, "one fix at a time");
    let filter =
        JobFilter { issue: Some(issue), kind: Some(JobKind::Fix), state: Some(JobState::Queued), limit: 9 };
    assert_eq!(store.jobs(&filter).await.unwrap().len(), 1);

    let story = store.issue_detail(issue).await.unwrap().timeline;
    let told: Vec<&str> =
        story.iter().filter(|it| it.actor == "dashboard").map(|it| it.what.as_str()).collect();
    assert_eq!(told, ["muted", "muted", "unmuted", "proposal closed", "retry asked for"]);
    assert!(store.verify_audit().await.unwrap());
}

#[tokio::test]
async fn a_patch_is_shown_and_saved_without_secrets() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let mut attempt = given.store.attempts(shown.issue).await.unwrap().remove(0);
    let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
    attempt.patch = format!("diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+{token}\n");
    given.store.save_attempt(&attempt).await.unwrap();
    let saved = get(&server, &format!("/attempts/{}/patch", attempt.id)).await;
    assert_eq!(saved.body, attempt.patch.replace(token, "[redacted:github-token]"));
    assert!(saved.header("content-disposition").starts_with("attachment; filename=\"attempt-"));
    assert!(saved.header("content-type").starts_with("text/plain"));
    let page = get(&server, &format!("/issues/{}", shown.issue)).await.body;
    assert!(page.contains("[redacted:github-token]") && !page.contains(token));
    assert!(page.contains(&format!("/attempts/{}/patch", attempt.id)));
}

#[tokio::test]
async fn only_an_open_local_proposal_is_accepted() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let store = &given.store;
    let accept = |id: ProposalId| format!("/proposals/{id}/accept");
    assert_eq!(post(&server, &accept(ProposalId::new()), "").await.status, 404);

    for _ in 0..2 {
        let answer = post(&server, &accept(shown.proposal), "").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (SEE_OTHER, format!("/issues/{}", shown.issue).as_str())
        );
    }
    let filter = JobFilter { kind: Some(JobKind::Land), ..JobFilter::default() };
    assert_eq!(store.jobs(&filter).await.unwrap().len(), 1, "twice is once");
    let page = get(&server, &format!("/issues/{}", shown.issue)).await.body;
    assert!(page.contains("accepted, merging…") && !page.contains("Accept and merge"));
    let accepted = |entries: Vec<homeostat::store::types::TimelineEntry>| {
        entries.iter().filter(|it| it.what == "proposal accepted").count()
    };
    assert_eq!(accepted(store.issue_detail(shown.issue).await.unwrap().timeline), 1, "told once");

    // The merge is refused: the page says why, and accepting it again tries again.
    let now = given.clock.now();
    let lease = store.lease(&[JobKind::Land], "test", now, std::time::Duration::from_secs(60)).await.unwrap();
    let lease = lease.expect("the merge is due");
    let refused = homeostat::model::stage::StageOutcome::failed("conflicts with `main` in shop.py");
    store.complete(lease.job.id, lease.token, refused, None, now).await.unwrap();
    let page = get(&server, &format!("/issues/{}", shown.issue)).await.body;
    assert!(page.contains("Accept and merge") && page.contains("in shop.py"), "{page}");
    assert_eq!(post(&server, &accept(shown.proposal), "").await.status, SEE_OTHER);
    let lands = store.jobs(&filter).await.unwrap();
    assert_eq!(lands.iter().filter(|job| job.is_open()).count(), 1, "{lands:#?}");
    assert_eq!(accepted(store.issue_detail(shown.issue).await.unwrap().timeline), 2);

    store.set_proposal_state(shown.proposal, ProposalState::Merged, given.clock.now()).await.unwrap();
    let answer = post(&server, &accept(shown.proposal), "").await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("this proposal is merged"));

    let mut attempt = store.attempts(shown.issue).await.unwrap().remove(0);
    (attempt.id, attempt.number) = (homeostat::base::id::AttemptId::new(), 2);
    store.save_attempt(&attempt).await.unwrap();
    let elsewhere = homeostat::model::proposal::Proposal {
        id: ProposalId::new(),
        attempt: attempt.id,
        forge: "github".to_owned(),
        key: "2".to_owned(),
        state: ProposalState::Open,
        branch: "homeostat/other-2".to_owned(),
        ..store.proposal(shown.proposal).await.unwrap()
    };
    store.save_proposal(&elsewhere).await.unwrap();
    let answer = post(&server, &accept(elsewhere.id), "").await;
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("merged at its forge"), "{}", answer.body);
}

#[tokio::test]
async fn jobs_are_cancelled_and_requeued_and_healing_is_paused() {
    let (given, shown) = Given::with_story().await;
    let server = Server::start(&given).await;
    let store = &given.store;
    let job = store.enqueue(NewJob::fix(shown.issue, 9), given.clock.now()).await.unwrap();
    let page = format!("/issues/{}", shown.issue);
    for (action, expected) in [("cancel", JobState::Cancelled), ("requeue", JobState::Queued)] {
        let answer = post(&server, &format!("/jobs/{job}/{action}"), "").await;
        assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, page.as_str()), "{action}");
        assert_eq!(store.job(job).await.unwrap().state, expected);
    }
    for (action, expected) in [("pause", true), ("pause", true), ("resume", false)] {
        let answer = post(&server, &format!("/{action}"), "").await;
        assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, "/"), "{action}");
        assert_eq!(store.is_paused().await.unwrap(), expected);
    }
    for path in ["/pause", "/resume", &format!("{page}/mute"), &format!("/jobs/{job}/cancel")] {
        assert_eq!(get(&server, path).await.status, 405, "a link or a prefetch changes nothing: {path}");
    }
    assert_eq!(store.issues(&IssueFilter::default()).await.unwrap().len(), 7);
}
