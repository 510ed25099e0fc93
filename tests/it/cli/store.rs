//! Commands that work on the store: status, issue, job, pause, resume, over a store with a story in it.

use std::path::PathBuf;

use homeostat::base::id::IssueId;
use homeostat::model::detection::Severity;
use homeostat::model::issue::IssueState;
use homeostat::model::job::{JobKind, JobState, NewJob};
use homeostat::model::proposal::ProposalState;
use homeostat::store::types::JobFilter;
use serde_json::Value;

use super::homeostat;
use crate::pages::story::{Given, Logged, Shown};

/// The story, and a config that names its store.
struct Desk {
    given: Given,
    shown: Shown,
    config: PathBuf,
}

impl Desk {
    async fn new() -> Self {
        let (given, shown) = Given::with_story().await;
        let config = given.folder.path().join("homeostat.toml");
        std::fs::write(&config, format!("[state]\nfolder = \"{}\"\n", given.folder.path().display()))
            .unwrap();
        Self { given, shown, config }
    }

    /// Exit code, standard output and standard error.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = homeostat().args(arguments).arg("--config").arg(&self.config).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The lines of standard output of a command that goes well, as JSON.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let (code, told, errors) = self.run(&[arguments, &["--json"]].concat());
        assert_eq!((code, errors.as_str()), (0, ""), "{arguments:?}");
        told.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    /// Closes the proposal of the shown issue: while it is open there is no other fix.
    async fn close_proposal(&self) {
        let store = &self.given.store;
        for proposal in store.proposals(self.shown.issue).await.unwrap() {
            let now = self.given.clock.now();
            store.set_proposal_state(proposal.id, ProposalState::Closed, now).await.unwrap();
        }
    }

    async fn state(&self, id: IssueId) -> IssueState {
        self.given.store.issue(id).await.unwrap().state
    }
}

#[tokio::test]
async fn status_tells_what_is_broken_and_what_runs() {
    let desk = Desk::new().await;
    let status = desk.json(&["status"]);
    let overview = desk.given.store.overview(desk.given.clock.now()).await.unwrap();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0]["paused"], false);
    assert_eq!(status[0]["issues"]["proposed"], 1);
    assert_eq!(status[0]["issues"]["fixing"], 1);
    assert_eq!(status[0]["occurrences"], overview.n_occurrences);
    assert_eq!(status[0]["gaps"], 1);
    assert_eq!(status[0]["spent_today_usd"], 0.3127);
    assert_eq!(
        (&status[0]["spent_month_usd"], &status[0]["limits_usd"]["day"]),
        (&0.3127.into(), &50.0.into())
    );
    let running = serde_json::json!({ "kind": "fix", "state": "running", "count": 1 });
    assert!(status[0]["jobs"].as_array().unwrap().contains(&running), "{}", status[0]);
    let (code, told, _) = desk.run(&["status"]);
    assert_eq!(code, 0);
    assert!(told.starts_with("healing is on\n") && told.contains("1  fix running"), "{told}");
}

#[tokio::test]
async fn spending_is_told_by_anything() {
    let desk = Desk::new().await;
    for (by, key) in [("service", "shop"), ("model", "claude-sonnet-5-5")] {
        let rows = desk.json(&["spend", "--by", by]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!((&rows[0]["key"], &rows[0]["calls"]), (&key.into(), &1.into()));
        assert_eq!((&rows[0]["settled_usd"], &rows[0]["total_usd"]), (&0.3127.into(), &0.3127.into()));
    }
    let (code, told, _) = desk.run(&["spend"]);
    assert_eq!((code, told.lines().count()), (0, 2), "{told}");
    assert!(told.contains("$0.3127"), "{told}");
    assert_eq!(desk.json(&["spend", "--until", "2020-01-01"]).len(), 0);
    assert_eq!(desk.json(&["spend", "--unsettled"]).len(), 0);
}

#[tokio::test]
async fn pause_and_resume_hold_for_the_store() {
    let desk = Desk::new().await;
    assert_eq!(desk.json(&["pause"]), [serde_json::json!({ "paused": true })]);
    assert!(desk.given.store.is_paused().await.unwrap());
    let (_, told, _) = desk.run(&["status"]);
    assert!(told.starts_with("healing is paused"), "{told}");
    assert_eq!(desk.json(&["resume"]), [serde_json::json!({ "paused": false })]);
    assert!(!desk.given.store.is_paused().await.unwrap());
    let actors: Vec<String> =
        desk.given.store.audit_entries(2).await.unwrap().into_iter().map(|it| it.actor).collect();
    assert_eq!(actors, ["tester", "tester"], "the audit chain says who");
}

#[tokio::test]
async fn issues_are_listed_and_shown() {
    let desk = Desk::new().await;
    assert_eq!(desk.json(&["issue", "list"]).len(), 7);
    let muted = desk.json(&["issue", "list", "--state", "muted"]);
    assert_eq!(muted.iter().map(|it| &it["service"]).collect::<Vec<_>>(), ["checkout"]);
    let shop = desk.json(&["issue", "list", "--service", "shop"]);
    assert_eq!(shop[0]["id"], desk.shown.issue.to_string());
    assert_eq!(shop[0]["title"], "ZeroDivisionError: division by zero");

    let fingerprint = shop[0]["fingerprint"].as_str().unwrap();
    for name in [fingerprint, &fingerprint[..9], &desk.shown.issue.to_string()] {
        let issue = &desk.json(&["issue", "show", name])[0];
        assert_eq!(issue["attempts"][0]["outcome"], "fixed", "{name}");
        assert_eq!(issue["proposals"][0]["state"], "open");
        assert_eq!(issue["proposals"][0]["files"], serde_json::json!(["shop/cart.py", "tests/test_cart.py"]));
        assert!(
            !issue["samples"].as_array().unwrap().is_empty()
                && !issue["timeline"].as_array().unwrap().is_empty()
        );
    }
    let (code, told, _) = desk.run(&["issue", "show", fingerprint]);
    assert_eq!(code, 0);
    for words in ["proposal opened", "attempt 1: fixed, $0.3127 with claude-sonnet-5-5", "in average_price"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let (code, _, errors) = desk.run(&["issue", "show", "h1:00000000"]);
    assert_eq!(
        (code, errors.as_str()),
        (1, "error: no issue begins with `h1:00000000`: see `homeostat issue list --all`\n")
    );
    let (code, _, errors) = desk.run(&["issue", "list", "--state", "broken"]);
    assert_eq!(code, 64, "{errors}");
}

#[tokio::test]
async fn an_issue_is_muted_unmuted_and_tried_again() {
    let desk = Desk::new().await;
    let id = desk.shown.issue.to_string();
    assert_eq!(desk.json(&["issue", "mute", &id, "--for", "24h"])[0]["state"], "muted");
    let IssueState::Muted { until: Some(until) } = desk.state(desk.shown.issue).await else {
        panic!("it is muted for a time")
    };
    let hours = (until.as_second() - desk.given.clock.now().as_second()) / 3600;
    assert!((23..=24).contains(&hours), "{hours}");
    assert_eq!(desk.json(&["issue", "unmute", &id])[0]["state"], "open");
    assert_eq!(desk.run(&["issue", "mute", &id, "--for", "-1h"]).0, 64);

    let (code, _, errors) = desk.run(&["issue", "retry", &id]);
    assert!(
        code == 1 && errors.starts_with("error: a proposal of this issue is open: merge or close "),
        "{errors}"
    );
    desk.close_proposal().await;
    assert_eq!(desk.json(&["issue", "retry", &id])[0]["state"], "fixing");
    let (code, _, errors) = desk.run(&["issue", "retry", &id]);
    assert_eq!((code, errors.as_str()), (1, "error: a fix of this issue is queued or running already\n"));
    let filter = JobFilter {
        issue: Some(desk.shown.issue),
        kind: Some(JobKind::Fix),
        state: Some(JobState::Queued),
        limit: 9,
    };
    assert_eq!(desk.given.store.jobs(&filter).await.unwrap().len(), 1);
}

/// A fix that died before it made an attempt leaves nothing behind that another one could trip over.
#[tokio::test]
async fn a_fix_is_tried_again_after_one_that_left_no_attempt() {
    let desk = Desk::new().await;
    let id = desk.shown.issue.to_string();
    desk.json(&["issue", "mute", &id]);
    assert_eq!(desk.json(&["issue", "unmute", &id])[0]["state"], "open");
    desk.close_proposal().await;
    for round in 1..4 {
        assert_eq!(desk.json(&["issue", "retry", &id])[0]["state"], "fixing", "{round}");
        let filter = JobFilter {
            issue: Some(desk.shown.issue),
            kind: Some(JobKind::Fix),
            state: Some(JobState::Queued),
            limit: 9,
        };
        let queued = desk.given.store.jobs(&filter).await.unwrap();
        assert_eq!(queued.len(), 1, "{round}");
        assert_eq!(desk.json(&["job", "cancel", &queued[0].id.to_string()])[0]["state"], "cancelled");
        assert_eq!(desk.state(desk.shown.issue).await, IssueState::NeedsPerson);
    }
}

#[tokio::test]
async fn jobs_are_listed_shown_cancelled_and_requeued() {
    let desk = Desk::new().await;
    let store = &desk.given.store;
    let queued =
        store.enqueue(NewJob::fix(desk.shown.issue, 9), desk.given.clock.now()).await.unwrap().to_string();
    let kinds =
        |rows: &[Value]| rows.iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(&desk.json(&["job", "list", "--kind", "propose"])), ["propose"]);
    assert_eq!(kinds(&desk.json(&["job", "list", "--state", "queued"])), ["fix"]);

    let done = desk.json(&["job", "list", "--kind", "fix", "--state", "done"]);
    let shown = done.iter().find(|it| it["issue"] == desk.shown.issue.to_string()).unwrap();
    let shown = &desk.json(&["job", "show", shown["id"].as_str().unwrap()])[0];
    assert_eq!(shown["steps"].as_array().unwrap().len(), 9);
    assert_eq!(shown["result"], "fixed with claude-sonnet-5-5 for $0.3127");

    assert_eq!(desk.json(&["job", "cancel", &queued])[0]["state"], "cancelled");
    assert_eq!(desk.json(&["job", "requeue", &queued])[0]["state"], "queued");
    let (code, _, errors) = desk.run(&["job", "show", "0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f"]);
    assert_eq!(
        (code, errors.as_str()),
        (1, "error: there is no job `0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f`\n")
    );
    let (code, _, errors) = desk.run(&["job", "list", "--kind", "dance"]);
    assert_eq!(
        (code, errors.as_str()),
        (64, "error: `dance` is no kind: ticket, fix, propose, land, announce\n")
    );
}

#[tokio::test]
async fn issues_are_merged_suggested_and_taken_apart() {
    let desk = Desk::new().await;
    let mut ids = Vec::new();
    for name in ["alpha", "beta", "gamma", "delta", "epsilon"] {
        let text = format!("ERROR pool {name} is empty");
        let logged = Logged {
            service: "pools",
            text: &text,
            rule: "generic.error",
            severity: Severity::Error,
            seen: &[(5, 1)],
        };
        ids.push(desk.given.log(logged, Vec::new()).await.to_string());
    }
    let merged = &desk.json(&["issue", "merge", &ids[1], &ids[0]])[0];
    assert_eq!((&merged["id"], &merged["state"]), (&Value::from(&*ids[0]), &Value::from("open")));
    let shown = &desk.json(&["issue", "show", &ids[1]])[0];
    assert_eq!((&shown["state"], &shown["merged_into"]), (&Value::from("merged"), &Value::from(&*ids[0])));
    let shown = &desk.json(&["issue", "show", &ids[0]])[0];
    let alias = &shown["aliases"][0];
    assert_eq!((&alias["issue"], &alias["made_by"]), (&Value::from(&*ids[1]), &Value::from("tester")));
    assert_eq!(shown["suggestion"]["pattern"], "pool <*> is empty");
    let (code, told, _) = desk.run(&["issue", "show", &ids[0]]);
    assert!(code == 0 && told.contains("counts here too (merged, tester): 0x"), "{told}");
    assert!(told.contains("looks like 3 others, which differ in one word: pool <*> is empty"), "{told}");
    let (code, _, errors) = desk.run(&["issue", "merge", &ids[1], &ids[2]]);
    assert!(code == 1 && errors.ends_with("already\n"), "{errors}");

    assert_eq!(desk.json(&["issue", "suggestion", &ids[0]])[0]["others"].as_array().unwrap().len(), 3);
    assert_eq!(desk.json(&["issue", "suggestion", &ids[0], "--accept"])[0]["id"], *ids[0]);
    assert_eq!(desk.json(&["issue", "list", "--state", "merged"]).len(), 4);
    assert_eq!(desk.json(&["issue", "suggestion", &ids[0]]), [] as [Value; 0]);
    assert_eq!(desk.json(&["issue", "unmerge", &ids[3]])[0]["state"], "open");
    let (code, _, errors) = desk.run(&["issue", "unmerge", &ids[3]]);
    let expected = format!("error: issue {} is not merged into another one\n", ids[3]);
    assert_eq!((code, errors), (1, expected));
    assert_eq!(desk.json(&["issue", "suggestion", &ids[3], "--dismiss"])[0]["others"][0]["id"], *ids[0]);
    assert_eq!(desk.json(&["issue", "suggestion", &ids[3]]), [] as [Value; 0]);
}
