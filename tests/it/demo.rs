//! `homeostat demo`: the whole loop in one command, and nothing left of it, however it ends.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::docker::engine;
use crate::support::program::{Program, free_address};
use crate::support::wait::{PATIENCE, eventually};

/// The loop takes half a minute on an idle machine.
const LOOP: Duration = Duration::from_secs(180);

fn start(tmp: &Path, arguments: &[&str]) -> Program {
    let address = free_address();
    Program::start(&[&["demo", "--listen", &address], arguments].concat(), tmp)
}

/// Names of the containers with this label, whatever their state.
async fn containers(label: &str) -> Vec<String> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = engine().list_containers(Some(options)).await.expect("the engine lists");
    containers.into_iter().flat_map(|it| it.names.unwrap_or_default()).collect()
}

/// Waits for the first sandbox of the demo that works in `tmp` and gives the label that all of its sandboxes have.
async fn sandbox_label(tmp: &Path) -> String {
    eventually("a sandbox of the demo", LOOP, async || {
        let folder = std::fs::read_dir(tmp).expect("the folder is there").flatten().next()?.path();
        let database = folder.join("state/homeostat.db");
        if !database.exists() {
            return None;
        }
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.ok()?;
        let query = "select value from meta where key = 'instance_id'";
        let instance: String = sqlx::query_scalar(query).fetch_one(&mut connection).await.ok()?;
        let label = format!("homeostat.instance={instance}");
        (!containers(&label).await.is_empty()).then_some(label)
    })
    .await
}

async fn assert_nothing_left(pid: u32, sandboxes: &str, tmp: &TempDir) {
    let mut left = containers(&format!("homeostat.demo={pid}")).await;
    left.extend(containers(sandboxes).await);
    assert_eq!(left, Vec::<String>::new(), "containers are left");
    let files: Vec<_> = std::fs::read_dir(tmp.path()).expect("the folder is there").flatten().collect();
    assert!(files.is_empty(), "files are left: {files:?}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_headless_demo_closes_the_loop_and_says_so_in_json() {
    let tmp = tempfile::tempdir().unwrap();
    let mut demo = start(tmp.path(), &["--headless", "--json"]);
    let sandboxes = sandbox_label(tmp.path()).await;
    demo.ends_with(0, LOOP).await;

    let stdout = demo.stdout();
    let closed: Value = serde_json::from_str(stdout.last().unwrap()).unwrap();
    let expected =
        ["outcome", "issue", "fingerprint", "occurrences", "proof", "proposal", "cost_usd", "seconds"];
    assert_eq!(keys(&closed), BTreeSet::from(expected));
    assert_eq!(closed["outcome"], "fixed");
    let proof =
        serde_json::json!({ "fails_before": true, "passes_after": true, "fails_when_reverted": true });
    assert_eq!(closed["proof"], proof);
    assert_eq!(keys(&closed["proposal"]), BTreeSet::from(["branch", "files"]));
    let fingerprint = closed["fingerprint"].as_str().unwrap();
    assert!(fingerprint.starts_with("h1:") && fingerprint.len() == 67, "{fingerprint}");
    let branch = closed["proposal"]["branch"].as_str().unwrap();
    assert!(branch.starts_with("homeostat/"), "{branch}");
    let files: Vec<&str> =
        closed["proposal"]["files"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(files, ["orders.py", "tests/test_orders.py"]);
    assert!(closed["occurrences"].as_u64().unwrap() > 0);
    assert!(closed["cost_usd"].as_f64().unwrap() > 0.0);
    assert!(closed["seconds"].as_f64().unwrap() > 0.0);
    assert_nothing_left(demo.pid(), &sandboxes, &tmp).await;
}

#[tokio::test]
async fn a_proposal_accepted_on_the_page_ends_the_error() {
    let tmp = tempfile::tempdir().unwrap();
    let mut demo = start(tmp.path(), &[]);
    let sandboxes = sandbox_label(tmp.path()).await;
    let line = demo.line_with("accept the fix: http", LOOP).await;
    let page: url::Url = line.split_once("fix: ").unwrap().1.trim().parse().unwrap();

    let browser = reqwest::Client::builder().no_proxy().build().unwrap();
    let html = browser.get(page.clone()).send().await.unwrap().text().await.unwrap();
    let action = html
        .split("action=\"")
        .filter_map(|rest| rest.split('"').next())
        .find(|action| action.starts_with("/proposals/") && action.ends_with("/accept"))
        .unwrap_or_else(|| panic!("no form to accept the proposal: {html}"));
    let origin = page.origin().ascii_serialization();
    let accept = browser.post(page.join(action).unwrap()).header("origin", origin);
    let answer = accept.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");

    demo.line_with("no longer fails", LOOP).await;
    demo.signal(Signal::INT);
    demo.ends_with(0, PATIENCE).await;
    assert_nothing_left(demo.pid(), &sandboxes, &tmp).await;
}

#[tokio::test]
async fn a_stop_while_the_agent_works_leaves_nothing() {
    // Ctrl-C, and a terminal that is closed.
    for signal in [Signal::INT, Signal::HUP] {
        let tmp = tempfile::tempdir().unwrap();
        let mut demo = start(tmp.path(), &["--headless", "--json"]);
        let sandboxes = sandbox_label(tmp.path()).await;
        demo.signal(signal);
        demo.ends_with(1, PATIENCE).await;
        assert_nothing_left(demo.pid(), &sandboxes, &tmp).await;
    }
}

#[tokio::test]
async fn a_demo_whose_reader_goes_cleans_up_all_the_same() {
    let tmp = tempfile::tempdir().unwrap();
    let mut demo = start(tmp.path(), &[]);
    let sandboxes = sandbox_label(tmp.path()).await;
    demo.close_stdout().await;
    demo.signal(Signal::INT);
    demo.ends_with(1, PATIENCE).await;
    assert_nothing_left(demo.pid(), &sandboxes, &tmp).await;
}
