//! The real daemon: its metrics, and its end on SIGTERM.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::visitor;
use crate::pages::story::Given;
use crate::support::wait::eventually;

/// Ends with the value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn metrics_tell_what_the_store_knows_and_sigterm_ends_it() {
    let (given, _) = Given::with_story().await;
    let config = given.folder.path().join("homeostat.toml");
    let text = format!(
        "[state]\nfolder = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[docker]\nenabled = false\n[heal]\nenabled = false\n",
        given.folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let started = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(["run", "--config"])
        .arg(&config)
        .env_remove("HOMEOSTAT_LOG")
        .stderr(Stdio::piped())
        .spawn();
    let mut daemon = Daemon(started.unwrap());
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let up = lines.find(|it| it.contains("homeostat is up")).expect("it comes up");
    let address = up.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();

    let answer = visitor().get(format!("http://{address}/metrics")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let metrics = answer.text().await.unwrap();
    for line in [
        "homeostat_issues{state=\"proposed\"} 1",
        "homeostat_issues{state=\"muted\"} 1",
        "homeostat_jobs{kind=\"fix\",state=\"running\"} 1",
        "homeostat_stored_gaps 1",
        "homeostat_spend_today_usd 0.3127",
        "homeostat_spend_usd{period=\"month\",state=\"settled\"} 0.3127",
        "homeostat_spend_limit_usd{limit=\"day\"} 50",
        "homeostat_paused 0",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}:\n{metrics}");
    }

    let id = Pid::from_child(&daemon.0);
    kill_process(id, Signal::TERM).unwrap();
    let ended =
        eventually("the daemon to end", Duration::from_secs(20), async || daemon.0.try_wait().unwrap()).await;
    assert_eq!(ended.code(), Some(0));
}
