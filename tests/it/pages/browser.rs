//! A real Chromium through chromedriver, with a profile of its own; both end with the value.

#![expect(clippy::unwrap_used, reason = "a browser that does not start must fail the test")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::wait::{PATIENCE, eventually};

const DRIVER: &str = "/usr/bin/chromedriver";
const BROWSER: &str = "/usr/bin/chromium";
/// Longest wait for a page, which takes a tenth of a second on an idle machine.
const PAGE_PATIENCE: Duration = Duration::from_secs(30);
/// Pixels of a page that a picture shows.
const MAX_HEIGHT: u64 = 1500;

/// What a page may do and how it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// A browser with one window.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
    address: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start(scripts: Scripts) -> Self {
        let (driver, address) = start_driver();
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,900",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let javascript = if scripts == Scripts::Off { 2 } else { 1 };
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": {
                "binary": BROWSER,
                "args": arguments,
                "prefs": { "profile.managed_default_content_settings.javascript": javascript },
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object was written") };
        let client =
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&address).await;
        Self { client: client.expect("chromium starts"), driver, address, _profile: profile }
    }

    /// Opens an address at a width; dark or light as asked for.
    pub(crate) async fn open(&self, url: &str, width: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
        // A browser has six connections for a site: pages that were left must not hold them.
        let opened = tokio::time::timeout(PAGE_PATIENCE, self.client.goto(url)).await;
        opened.unwrap_or_else(|_| panic!("{url} does not open")).unwrap();
    }

    /// What a person reads of the page.
    pub(crate) async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Clicks the button with these words.
    pub(crate) async fn click(&self, words: &str) {
        let path = format!("//button[normalize-space(.)='{words}']");
        self.client.find(Locator::XPath(&path)).await.unwrap().click().await.unwrap();
    }

    /// Waits until the page says `words`.
    pub(crate) async fn says(&self, words: &str) {
        eventually(&format!("the page to say `{words}`"), PATIENCE, async || {
            // The page may be swapped while it is read.
            let body = self.client.find(Locator::Css("body")).await.ok()?;
            body.text().await.ok()?.contains(words).then_some(())
        })
        .await;
    }

    /// How many pixels the page is wider than the window.
    pub(crate) async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// What the console complains about: errors of scripts, of the content security policy, of missing files.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.log("browser").await;
        let bad = entries.iter().filter(|it| matches!(it["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Every address that was asked for since the last call.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let messages = self.log("performance").await;
        let messages = messages.iter().map(|it| it["message"].as_str().unwrap());
        let events = messages.map(|it| serde_json::from_str::<Value>(it).unwrap());
        let sent = events.filter(|it| it["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|it| it["message"]["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    /// The page as a PNG, its first two windows at most.
    pub(crate) async fn picture(&self, width: u32) -> Vec<u8> {
        let height =
            self.client.execute("return document.documentElement.scrollHeight", Vec::new()).await.unwrap();
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height.as_u64().unwrap().min(MAX_HEIGHT), "scale": 1 });
        let asked = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.devtools("Page.captureScreenshot", asked).await;
        base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", json!({ "type": kind })).await;
        entries.as_array().unwrap().clone()
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let url = format!("{}/session/{session}/{command}", self.address);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer: Value = client.post(url).json(&body).send().await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{command}: {answer}");
        answer["value"].clone()
    }

    /// Closes the window and ends the driver.
    pub(crate) async fn close(mut self) {
        // The driver ends its browser with the session; what is left of both ends with the driver.
        let _ = self.client.clone().close().await;
        let _ = self.driver.kill();
    }
}

impl Drop for Browser {
    /// A test that panics has not closed the session: the driver and all that it started stand in a group of their own.
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.driver.id())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Starts chromedriver on a port that it chooses and tells of.
fn start_driver() -> (Child, String) {
    use std::os::unix::process::CommandExt as _;
    let mut driver = Command::new(DRIVER)
        .arg("--port=0")
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed by `scripts/setup test`");
    let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find(|it| it.contains("started successfully on port"));
    let told = told.expect("chromedriver says on which port it listens");
    let port: String = told.chars().filter(char::is_ascii_digit).collect();
    (driver, format!("http://127.0.0.1:{port}"))
}
