//! Merging issues on their page, taking that back, and what to do with a suggestion.

use homeostat::base::id::{AliasId, IssueId};
use homeostat::model::detection::Severity;
use homeostat::model::issue::IssueState;
use homeostat::model::job::NewJob;

use super::{SEE_OTHER, get, post};
use crate::pages::server::Server;
use crate::pages::story::{Given, Logged};

const POOLS: [&str; 6] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
const PATTERN: &str = "pattern=pool+%3C*%3E+is+empty";

async fn log(given: &Given, text: &str) -> IssueId {
    let seen = &[(5, 2)];
    let logged = Logged { service: "shop", text, rule: "generic.error", severity: Severity::Error, seen };
    given.log(logged, Vec::new()).await
}

/// Issues that differ in one word.
async fn pools(given: &Given, n: usize) -> Vec<IssueId> {
    let mut ids = Vec::new();
    for name in &POOLS[..n] {
        ids.push(log(given, &format!("ERROR pool {name} is empty")).await);
    }
    ids
}

#[tokio::test]
async fn an_issue_is_merged_into_another_and_comes_back() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let store = &given.store;
    let (one, other) = (log(&given, "ERROR no way out").await, log(&given, "ERROR the door is shut").await);
    let page = async |id: IssueId| get(&server, &format!("/issues/{id}")).await.body;
    assert!(page(one).await.contains("Merge this issue into another"));

    let merge = format!("/issues/{one}/merge");
    for (into, status) in [("", 400), ("h1:0000", 400), ("0", 400), (&*one.to_string(), 409)] {
        assert_eq!(post(&server, &merge, &format!("into={into}")).await.status, status, "`{into}`");
    }
    let identity = store.issue(other).await.unwrap().levels.identity;
    let answer = post(&server, &merge, &format!("into=+{identity}+")).await;
    assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, format!("/issues/{other}").as_str()));
    assert_eq!(store.issue(one).await.unwrap().state, IssueState::Merged { into: other });

    let merged = page(one).await;
    assert!(merged.contains("Merged into") && merged.contains(&format!("/issues/{other}")), "{merged}");
    assert!(!merged.contains("/mute") && !merged.contains("/retry"), "{merged}");
    assert_eq!(post(&server, &format!("/issues/{one}/mute"), "hours=1").await.status, 409);
    assert_eq!(log(&given, "ERROR no way out").await, other, "it counts for the other");
    let target = page(other).await;
    for words in ["no way out", "2 counted here", "merged by dashboard", "came as <code>h1:", "Unmerge"] {
        assert!(target.contains(words), "`{words}`: {target}");
    }
    let list = get(&server, "/").await.body;
    assert!(!list.contains(&format!("/issues/{one}")) && list.contains("merged 1"), "{list}");
    assert!(get(&server, "/?state=merged").await.body.contains(&format!("/issues/{one}")));

    let alias = store.issue_detail(other).await.unwrap().aliases[0].id;
    assert_eq!(post(&server, &format!("/aliases/{}/unmerge", AliasId::new()), "").await.status, 404);
    let answer = post(&server, &format!("/aliases/{alias}/unmerge"), "").await;
    assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, format!("/issues/{one}").as_str()));
    assert_eq!(post(&server, &format!("/aliases/{alias}/unmerge"), "").await.status, 409, "once");
    assert!(page(other).await.contains("taken back by dashboard"));
    assert_eq!(log(&given, "ERROR no way out").await, one);

    // What is at work is not merged, and the page says why.
    store.enqueue(NewJob::fix(one, 0), given.clock.now()).await.unwrap();
    let answer = post(&server, &merge, &format!("into={other}")).await;
    assert!(answer.status == 409 && answer.body.contains("or let it end before merging"), "{}", answer.body);
    let audit = store.audit_entries(2).await.unwrap();
    let audit: Vec<_> = audit.iter().map(|it| (&*it.actor, &*it.action)).collect();
    assert_eq!(audit, [("dashboard", "unmerge issue"), ("dashboard", "merge issue")]);
}

#[tokio::test]
async fn a_suggestion_is_accepted_as_it_was_shown() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let ids = pools(&given, 4).await;
    let page = format!("/issues/{}", ids[0]);
    let body = async || get(&server, &page).await.body;
    let words = "These look like one issue";
    assert!(!body().await.contains(words), "four are too few");
    let accept = format!("{page}/suggestion/accept");
    assert_eq!(post(&server, &accept, &format!("{PATTERN}&n=3")).await.status, 409);

    let ids = [ids, pools(&given, 6).await.split_off(4)].concat();
    let shown = body().await;
    assert!(shown.contains(words) && shown.contains("pool &#60;*&#62; is empty"), "{shown}");
    assert!(ids[1..].iter().all(|id| shown.contains(&id.to_string())), "{shown}");
    for changed in ["pattern=pool+x&n=5".to_owned(), format!("{PATTERN}&n=4")] {
        assert_eq!(post(&server, &accept, &changed).await.status, 409, "{changed}");
    }
    assert_eq!(post(&server, &accept, &format!("{PATTERN}&n=5")).await.status, SEE_OTHER);
    for id in &ids[1..] {
        assert_eq!(given.store.issue(*id).await.unwrap().state, IssueState::Merged { into: ids[0] });
    }
    assert!(!body().await.contains(words), "nothing is left to merge");
    // One that a person took back is not suggested again, a new one is.
    let alias = given.store.issue_detail(ids[0]).await.unwrap().aliases[0].id;
    post(&server, &format!("/aliases/{alias}/unmerge"), "").await;
    assert!(!body().await.contains(words));
    let late = log(&given, "ERROR pool omega is empty").await;
    let shown = body().await;
    assert!(shown.contains(words) && shown.contains(&late.to_string()), "{shown}");
}

#[tokio::test]
async fn a_suggestion_is_dismissed_for_good() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let ids = pools(&given, 5).await;
    let dismiss = format!("/issues/{}/suggestion/dismiss", ids[2]);
    assert_eq!(post(&server, &dismiss, &format!("{PATTERN}&n=4")).await.status, SEE_OTHER);
    assert_eq!(post(&server, &dismiss, &format!("{PATTERN}&n=4")).await.status, 409, "it is gone");
    log(&given, "ERROR pool omega is empty").await;
    for id in ids {
        assert!(!get(&server, &format!("/issues/{id}")).await.body.contains("look like one issue"));
    }
    assert_eq!(given.store.audit_entries(1).await.unwrap()[0].action, "dismiss suggestion");
}
