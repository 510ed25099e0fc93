//! Debian's Alertmanager, as a process of one test.

use std::path::Path;
use std::process::Stdio;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::support::program::free_address;
use crate::support::wait::{PATIENCE, eventually};

/// Ends with the value.
#[derive(Debug)]
pub(super) struct Alertmanager {
    _child: Child,
    _folder: tempfile::TempDir,
    client: Client,
    url: String,
}

impl Alertmanager {
    /// Starts one that tells `webhook` of everything, again and again, and shows it `token`.
    pub(super) async fn start(webhook: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let times = "group_wait: 100ms, group_interval: 300ms, repeat_interval: 300ms";
        let config = format!(
            "route: {{receiver: homeostat, group_by: [alertname], {times}}}\n\
             receivers: [{{name: homeostat, webhook_configs: [{{url: '{webhook}', send_resolved: true,\n\
             http_config: {{authorization: {{credentials: '{token}'}}}}}}]}}]\n"
        );
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, config).expect("a file can be written");
        // It takes no listener: an address that was free a moment ago has to do.
        let address = free_address();
        let child = spawn(&file, &folder.path().join("data"), &address);
        let client = Client::builder().no_proxy().build().expect("a client can be made");
        let alertmanager = Self { _child: child, _folder: folder, client, url: format!("http://{address}") };
        eventually("the Alertmanager", PATIENCE, async || alertmanager.get("/-/ready").await).await;
        alertmanager
    }

    /// Fires an alert, or ends it where it has an end.
    pub(super) async fn post(&self, alert: &Value) {
        let url = format!("{}/api/v2/alerts", self.url);
        let response = self.client.post(url).json(&json!([alert])).send().await.expect("it answers");
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// Requests to the webhook that failed so far.
    pub(super) async fn n_failed(&self) -> u64 {
        let metrics = self.get("/metrics").await.expect("it answers");
        let name = r#"alertmanager_notification_requests_failed_total{integration="webhook"} "#;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.expect("it counts them").parse().expect("a count")
    }

    async fn get(&self, path: &str) -> Option<String> {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.ok()?;
        if response.status().is_success() { response.text().await.ok() } else { None }
    }
}

fn spawn(config: &Path, data: &Path, address: &str) -> Child {
    Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", data.display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("there is an Alertmanager: run scripts/setup test")
}
