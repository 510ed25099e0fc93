//! A new config takes the place of the old one in a running daemon: whole or not at all, and no line is lost or counted twice.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

/// A daemon that watches files of a folder, its config behind a symlink as deployments make them.
struct Ground {
    folder: TempDir,
    address: String,
    /// How often the config was put there.
    n_put: AtomicU64,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        for name in ["etc", "rules", "logs"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder can be made");
        }
        let ground = Self { folder, address: free_address(), n_put: AtomicU64::new(0) };
        ground.put_rule("shop.seldom", "seldom");
        let text = format!("[state]\nfolder = \"{}\"\n", ground.path("state").display());
        std::fs::write(ground.path("asking.toml"), text).expect("the config can be written");
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path("etc/homeostat.toml").to_str().expect("a temporary folder has a plain name").to_owned()
    }

    /// Puts a config in the place of the last: a new file, and the symlink swapped to it.
    fn put_config(&self, more: &str) {
        let (state, rules, logs) = (self.path("state"), self.path("rules"), self.path("logs"));
        let text = format!(
            "[state]\nfolder = \"{}\"\n[http]\nlisten = \"{}\"\n[docker]\nenabled = false\n[heal]\nenabled = false\n\
             [rules]\nfolders = [\"{}\"]\n[[file]]\npaths = [\"{}/shop.log\"]\nservice = \"shop\"\nfrom_start = true\n{more}",
            state.display(),
            self.address,
            rules.display(),
            logs.display(),
        );
        let n = self.n_put.fetch_add(1, Ordering::Relaxed);
        let (file, link) = (self.path(&format!("etc/config-{n}.toml")), self.path("etc/new"));
        std::fs::write(&file, text).expect("the config can be written");
        std::os::unix::fs::symlink(&file, &link).expect("a link can be made");
        std::fs::rename(&link, self.config()).expect("a link can be swapped");
    }

    /// Puts a rule in the place of the last.
    fn put_rule(&self, id: &str, word: &str) {
        let text = format!(
            "[[rule]]\nid = '{id}'\nseverity = 'error'\naction = 'issue'\nany = ['\\b{word} order']\nmatch = ['{word} order']\n"
        );
        let fresh = self.path("rules/fresh");
        std::fs::write(&fresh, text).expect("the rule can be written");
        std::fs::rename(&fresh, self.path("rules/shop.toml")).expect("a file can be swapped");
    }

    /// The value of a metric, 0 where there is none yet.
    async fn metric(&self, name: &str) -> u64 {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let answer = http.get(format!("http://{}/metrics", self.address)).send().await.expect("it answers");
        let text = answer.text().await.expect("it has a body");
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
    }

    async fn reloads(&self, result: &str, n: u64) {
        let name = format!("homeostat_config_reloads_total{{result=\"{result}\"}}");
        eventually(&format!("{n} of {name}"), PATIENCE, async || {
            (self.metric(&name).await >= n).then_some(())
        })
        .await;
    }

    /// How often a text with this word was counted, over all issues of a service. Asked with a config that is never wrong.
    async fn count(&self, service: &str, word: &str) -> u64 {
        let config = self.path("asking.toml").display().to_string();
        let issues = json_of(&["issue", "list", "--json", "--all", "--config", &config]).await;
        let is_it = |issue: &&serde_json::Value| {
            issue["service"] == service && issue["title"].to_string().contains(word)
        };
        issues.iter().filter(is_it).filter_map(|issue| issue["count"].as_u64()).sum()
    }
}

/// Writes lines to a file until it is told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    task: std::thread::JoinHandle<u64>,
}

impl Writer {
    /// Traces of four lines, each of them written in two pieces, and ordinary lines between them.
    fn start(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (is_over, path) = (Arc::clone(&stop), path.to_owned());
        let task = std::thread::spawn(move || {
            let mut file =
                std::fs::File::options().create(true).append(true).open(path).expect("it can be made");
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut text = format!("2026-01-02 10:00:00 INFO  order {n} is handled\n");
                text.push_str(
                    "Traceback (most recent call last):\n  File \"/srv/shop/cart.py\", line 7, in add\n",
                );
                file.write_all(text.as_bytes()).expect("the disk takes it");
                text.clear();
                writeln!(text, "    stock[order]\nKeyError: 'order-{n}'\n2026-01-02 10:00:00 INFO  next")
                    .expect("it fits");
                std::thread::yield_now();
                file.write_all(text.as_bytes()).expect("the disk takes it");
                n += 1;
                // Some hundreds a second: the daemon is never idle.
                std::thread::sleep(Duration::from_millis(2));
            }
            n
        });
        Self { stop, task }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().expect("it does not panic")
    }
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::File::options().create(true).append(true).open(path).expect("it can be opened");
    file.write_all(text.as_bytes()).expect("the disk takes it");
}

#[tokio::test]
async fn rules_change_under_load_and_counts_stay_exact() {
    let ground = Ground::new();
    ground.put_config("");
    let config = ground.config();
    let mut program = Program::start(&["run", "--config", &config], ground.folder.path());
    program.line_with("homeostat is up", PATIENCE).await;
    let writer = Writer::start(&ground.path("logs/shop.log"));

    for (n, word) in (1..).zip(["ash", "birch", "cedar", "elm", "fir", "oak"]) {
        ground.put_rule("shop.tree", word);
        ground.reloads("used", n).await;
    }
    // What the rules of now cost on the lines of now is told to who asks.
    let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
    // On a busy machine it may take longer than a request may.
    let costs = eventually("the costs", PATIENCE, async || {
        let asked = http.get(format!("http://{}/metrics/rules?seconds=1", ground.address)).send();
        let answer = asked.await.ok().filter(|it| it.status().is_success())?;
        answer.text().await.ok()
    })
    .await;
    let value = |name: &str| {
        let line = costs.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    assert!(value("homeostat_rule_sample_lines") > 50.0, "{costs}");
    assert!(value("homeostat_rule_nanoseconds_per_line{rule=\"python.traceback\"") > 0.0, "{costs}");
    // A new file is watched, and the rule that came last is heeded there.
    let more = format!(
        "[[file]]\npaths = [\"{}/late.log\"]\nservice = \"late\"\nfrom_start = true\n",
        ground.path("logs").display()
    );
    ground.put_config(&more);
    ground.reloads("used", 7).await;
    append(&ground.path("logs/late.log"), "an oak order\na fir order\n");
    eventually("the line in the new file", PATIENCE, async || {
        (ground.count("late", "oak").await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.count("late", "fir").await, 0);

    // A service that does not want the rule any more.
    ground.put_config(&format!(
        "{more}[[service]]\nname = \"late\"\nfiles = [\"{}/late.log\"]\n[[service.rule]]\nrules = [\"shop.*\"]\noff = true\n",
        ground.path("logs").display()
    ));
    ground.reloads("used", 8).await;
    append(&ground.path("logs/late.log"), "an oak order\nKeyError: 'last'\n");
    eventually("the line after it", PATIENCE, async || {
        (ground.count("late", "KeyError").await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.count("late", "oak").await, 1);

    // Two errors that people hold for one, and one of which they want to hear nothing.
    ground.put_config(&format!(
        "{more}[[fingerprint]]\nservice = [\"late\"]\nmessage = 'pear|plum'\nfingerprint = [\"fruit\"]\nmatch = [\"an oak pear\"]\n\
         [[fingerprint]]\nmessage = 'apple'\nignore = true\n"
    ));
    ground.reloads("used", 9).await;
    append(
        &ground.path("logs/late.log"),
        "an oak order of a pear\nan oak order of a plum\nan oak order of an apple\nan oak order of a tree\n",
    );
    eventually("the line after them", PATIENCE, async || {
        (ground.count("late", "of a tree").await == 1).then_some(())
    })
    .await;
    assert_eq!((ground.count("late", "pear").await, ground.count("late", "apple").await), (2, 0));

    let n_written = writer.end();
    assert!(n_written > 100, "{n_written}");
    eventually("every trace", PATIENCE, async || {
        (ground.count("shop", "KeyError").await >= n_written).then_some(())
    })
    .await;
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    assert_eq!(ground.count("shop", "KeyError").await, n_written);
}

#[tokio::test]
async fn what_is_sent_as_syslog_is_not_lost_when_the_config_changes() {
    let ground = Ground::new();
    let free =
        || std::net::UdpSocket::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
    let (udp, tcp) = (free(), free_address());
    let syslog = format!("[syslog]\nudp = \"{udp}\"\ntcp = \"{tcp}\"\n");
    ground.put_config(&syslog);
    let config = ground.config();
    let mut program = Program::start(&["run", "--config", &config], ground.folder.path());
    program.line_with("homeostat is up", PATIENCE).await;
    eventually("the listener", PATIENCE, async || std::net::TcpStream::connect(&tcp).ok().map(drop)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&stop);
    let sender = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let mut n = 0;
        while !is_over.load(Ordering::Relaxed) {
            let text = "<11>1 2026-11-21T10:00:00Z h sent - - - ERROR order failed";
            socket.send_to(text.as_bytes(), udp).expect("it can be sent");
            n += 1;
            // Fewer than the socket holds in the time of a reload.
            std::thread::sleep(Duration::from_millis(20));
        }
        n
    });
    for n in 1..=5 {
        ground.put_config(&format!("{syslog}[triage]\nstorm_fingerprints = {}\n", 20 + n));
        ground.reloads("used", n).await;
    }
    stop.store(true, Ordering::Relaxed);
    let n_sent: u64 = sender.join().expect("it does not panic");
    eventually(&format!("{n_sent} messages"), PATIENCE, async || {
        (ground.count("sent", "order").await >= n_sent).then_some(())
    })
    .await;
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    assert_eq!(ground.count("sent", "order").await, n_sent);
}

#[tokio::test]
async fn a_config_that_does_not_check_is_told_of_and_not_used() {
    let ground = Ground::new();
    ground.put_config("");
    let config = ground.config();
    let mut program = Program::start(&["run", "--config", &config], ground.folder.path());
    program.line_with("homeostat is up", PATIENCE).await;

    // A setting and a rule that are wrong: both are told, with their places.
    std::fs::write(ground.path("rules/more.toml"), "[[rule]]\nid = 'shop.x'\nseverity = 'bad'\n").unwrap();
    ground.put_config("[triage]\nroute = \"nowhere\"\n");
    let told = program.line_with("key=\"triage.route\"", PATIENCE).await;
    assert!(told.contains("homeostat.toml") && told.contains("line=16") && told.contains("ERROR"), "{told}");
    program.line_with("shop.x: severity", PATIENCE).await;
    ground.reloads("refused", 1).await;
    assert_eq!(ground.metric("homeostat_config_is_current").await, 0);
    let status = async |config: &str| json_of(&["status", "--json", "--config", config]).await.remove(0);
    let told = status(&config).await["config"].clone();
    assert_eq!((&told["running"], &told["current"]), (&true.into(), &false.into()), "{told}");
    assert_eq!(told["problems"].as_array().map(Vec::len), Some(5), "{told}");
    assert_ne!(told["read_at"], told["used_since"]);

    // It goes on as before, with the old rule.
    append(&ground.path("logs/shop.log"), "a seldom order\n");
    eventually("a line found by the old rules", PATIENCE, async || {
        (ground.count("shop", "seldom").await == 1).then_some(())
    })
    .await;

    // Right again, but for what needs a restart, which is told.
    std::fs::remove_file(ground.path("rules/more.toml")).unwrap();
    ground.put_config("[database]\nmax_connections = 3\n");
    ground.reloads("used", 1).await;
    program.line_with("needs a restart", PATIENCE).await;
    assert_eq!(ground.metric("homeostat_config_is_current").await, 1);

    // Asked for without a change.
    program.signal(Signal::HUP);
    ground.reloads("same", 1).await;
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
}
