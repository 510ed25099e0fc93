//! The webhook through the built binary: a real Alertmanager in front of it, a token between them, a database that is away for a
//! while, a daemon that is killed.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::get;
use homeostat::base::clock::{Clock, SystemClock};
use reqwest::Client;
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::mpsc;

use super::alertmanager::Alertmanager;
use super::{TRACEBACK, serve};
use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

const TOKEN: &str = "a-token-of-a-test";

/// A config, and the address its daemon listens on across restarts.
struct World {
    folder: tempfile::TempDir,
    config: PathBuf,
    address: String,
    client: Client,
}

impl World {
    fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let address = free_address();
        let here = folder.path().display().to_string();
        let text = format!(
            "[state]\nfolder = \"{here}\"\n[docker]\nenabled = false\n\
             [http]\nlisten = \"{address}\"\ntoken = {{ file = \"{here}/token\" }}\n{}",
            more.replace("DIR", &here)
        );
        let config = folder.path().join("homeostat.toml");
        for (file, text) in [("token", TOKEN), ("loki-token", "loki-hush"), ("homeostat.toml", &text)] {
            std::fs::write(folder.path().join(file), text).expect("a file can be written");
        }
        let client = Client::builder().no_proxy().build().expect("a client can be made");
        Self { folder, config, address, client }
    }

    async fn start(&self) -> Program {
        let config = self.config.display().to_string();
        let daemon = Program::start(&["run", "--config", &config], self.folder.path());
        daemon.line_with("homeostat is up", PATIENCE).await;
        daemon
    }

    async fn alertmanager(&self) -> Alertmanager {
        Alertmanager::start(&format!("http://{}/v1/alerts", self.address), TOKEN).await
    }

    /// Alerts that came to this end since the daemon's start.
    async fn n_alerts(&self, result: &str) -> u64 {
        let url = format!("http://{}/metrics", self.address);
        let response = self.client.get(url).bearer_auth(TOKEN).send().await.expect("the daemon answers");
        let metrics = response.text().await.expect("the daemon answers");
        let name = format!("homeostat_alerts_total{{result=\"{result}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |it| it.parse().expect("a count"))
    }

    async fn until_alerts(&self, result: &str, n: u64) {
        eventually(&format!("{n} alerts that are {result}"), PATIENCE, async || {
            (self.n_alerts(result).await >= n).then_some(())
        })
        .await;
    }

    /// What `homeostat <command> --json` prints.
    async fn told(&self, command: &[&str]) -> Vec<Value> {
        let config = self.config.display().to_string();
        json_of(&[command, &["--json", "--config", &config]].concat()).await
    }

    /// (service, runtime, count) of every issue, by service.
    async fn issues(&self) -> Vec<(String, String, u64)> {
        let text = |issue: &Value, key: &str| issue[key].as_str().expect("a text").to_owned();
        let issues = self.told(&["issue", "list", "--all"]).await;
        let mut issues: Vec<_> = issues
            .iter()
            .map(|it| (text(it, "service"), text(it, "runtime"), it["count"].as_u64().expect("a number")))
            .collect();
        issues.sort();
        issues
    }
}

fn alert(service: &str, log: &str) -> Value {
    json!({
        "labels": {"alertname": format!("{service} errors"), "service": service, "severity": "page"},
        "annotations": {"log": log},
        "startsAt": SystemClock.now().to_string(),
    })
}

fn ended(mut alert: Value) -> Value {
    alert["endsAt"] = json!(SystemClock.now().to_string());
    alert
}

fn issue(service: &str, runtime: &str) -> (String, String, u64) {
    (service.to_owned(), runtime.to_owned(), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_repeats_is_one_issue_also_across_a_kill() {
    let world = World::new("");
    let daemon = world.start().await;
    let alertmanager = world.alertmanager().await;
    let shop = alert("shop", TRACEBACK);
    alertmanager.post(&shop).await;
    world.until_alerts("repeated", 3).await;
    assert_eq!(world.issues().await, [issue("shop", "python")]);

    daemon.kill().await;
    let mut daemon = world.start().await;
    world.until_alerts("repeated", 2).await;
    assert_eq!(world.n_alerts("new").await, 0, "the store remembers what this process never saw");
    assert_eq!(world.issues().await, [issue("shop", "python")]);

    let cart = alert(
        "cart",
        "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\n\
        main.add(...)\n\t/src/cart.go:12\nmain.main()\n\t/src/main.go:5 +0x1d\n",
    );
    alertmanager.post(&cart).await;
    world.until_alerts("new", 1).await;
    let both = [issue("cart", "go"), issue("shop", "python")];
    assert_eq!(world.issues().await, both);

    alertmanager.post(&ended(shop)).await;
    alertmanager.post(&ended(cart)).await;
    world.until_alerts("resolved", 2).await;
    assert_eq!(world.issues().await, both, "the end of an alert is no occurrence");
    let jobs = world.told(&["job", "list"]).await;
    let n_tickets = jobs.iter().filter(|job| job["kind"] == "ticket").count();
    assert_eq!(n_tickets, 2, "one ticket for each issue: {jobs:#?}");

    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end(PATIENCE).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_that_cannot_be_stored_come_again_and_are_stored_then() {
    let world = World::new("[heal]\nenabled = false\n");
    let _daemon = world.start().await;
    let alertmanager = world.alertmanager().await;
    let url = format!("sqlite://{}/homeostat.db", world.folder.path().display());
    let mut lock = SqliteConnection::connect(&url).await.expect("the database is there");
    lock.execute("begin immediate").await.expect("nobody writes for long");

    alertmanager.post(&alert("shop", TRACEBACK)).await;
    eventually("the Alertmanager to be refused", PATIENCE, async || {
        (alertmanager.n_failed().await > 0).then_some(())
    })
    .await;
    assert_eq!(world.n_alerts("new").await, 0);

    lock.execute("rollback").await.expect("the lock is given back");
    world.until_alerts("new", 1).await;
    world.until_alerts("repeated", 1).await;
    assert_eq!(world.issues().await, [issue("shop", "python")]);
}

type Asked = (Uri, HeaderMap);

/// Loki's answer to `query_range` for a stack trace pushed line by line, as Loki 3.4.6 gave it.
async fn answer(
    State(asked): State<mpsc::UnboundedSender<Asked>>,
    uri: Uri,
    headers: HeaderMap,
) -> &'static str {
    asked.send((uri, headers)).expect("the test listens");
    include_str!("../../fixtures/loki/query_range.json")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lines_behind_an_alert_of_lokis_ruler_become_its_record() {
    let (asked, mut questions) = mpsc::unbounded_channel();
    let loki = serve(Router::new().route("/loki/api/v1/query_range", get(answer)).with_state(asked)).await;
    let world = World::new(&format!(
        "[heal]\nenabled = false\n[[service]]\nname = \"telegram bot\"\ncontainers = [\"bot*\"]\n\
         [alerts.loki]\nurl = \"http://{loki}\"\ntenant = \"team-a\"\ntoken = {{ file = \"DIR/loki-token\" }}\n"
    ));
    let _daemon = world.start().await;
    let alertmanager = world.alertmanager().await;
    // The webhook that Loki's ruler and Alertmanager really sent; its alert is fired again, now.
    let webhook: Value =
        serde_json::from_str(include_str!("../../fixtures/loki/webhook.json")).expect("JSON");
    let mut alert = webhook["alerts"][0].clone();
    let fields = alert.as_object_mut().expect("an alert");
    fields.retain(|key, _| ["labels", "annotations", "generatorURL"].contains(&key.as_str()));
    fields.insert("startsAt".to_owned(), json!(SystemClock.now().to_string()));
    alertmanager.post(&alert).await;
    world.until_alerts("repeated", 1).await;

    assert_eq!(
        world.issues().await,
        [issue("telegram bot", "python")],
        "the label names a container of the service"
    );
    let issue = world.told(&["issue", "list"]).await.remove(0);
    assert_eq!(issue["title"], "api.ApiError: 502 Bad Gateway");
    let shown = world.told(&["issue", "show", issue["id"].as_str().expect("an id")]).await.remove(0);
    let record = "Traceback (most recent call last):\n  File \"/app/bot.py\", line 42, in handle\n    \
        reply = await self.api.send(chat_id, text)\n  File \"/app/api.py\", line 17, in send\n    \
        raise ApiError(resp.status, body)\napi.ApiError: 502 Bad Gateway";
    assert_eq!(shown["samples"][0]["text"], record);
    assert_eq!(shown["samples"][0]["origin"], "alert BotErrors");

    let (uri, headers) = tokio::time::timeout(Duration::from_secs(1), questions.recv())
        .await
        .ok()
        .flatten()
        .expect("it was asked");
    assert_eq!(
        (&headers["x-scope-orgid"], &headers["authorization"]),
        (&"team-a".parse().unwrap(), &"Bearer loki-hush".parse().unwrap())
    );
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    assert!(query.contains(&("query".to_owned(), r#"{container="bot"}"#.to_owned())), "{query:?}");
    assert!(questions.try_recv().is_err(), "a repetition asks no more");
}
