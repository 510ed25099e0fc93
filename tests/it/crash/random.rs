//! The daemon is killed at random moments while it heals bugs of the corpus, and started again: one ticket and one proposal for each
//! issue, every call on the books to the cent, nothing left on the engine or on the disk.
//!
//! `HOMEOSTAT_KILLS=100` kills more often than the suite does, `HOMEOSTAT_SEED` at other moments; the seed is printed with a failure.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use homeostat::agent::scripted::script::{Instead, Script};
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::Timestamp;
use homeostat::model::issue::IssueState;
use homeostat::model::job::{Job, JobState};
use homeostat::model::money::NanoUsd;
use homeostat::store::types::{IssueFilter, JobFilter};
use homeostat::store::{self, Store};
use rustix::process::Signal;
use sqlx::{Connection as _, Row as _};
use tempfile::TempDir;

use crate::corpus::bug::Bug;
use crate::corpus::record::output_of;
use crate::support::chance::{n_kills, seed};
use crate::support::docker::engine;
use crate::support::git::Repository;
use crate::support::name::unique;
use crate::support::program::{Program, free_address, json_of};
use crate::support::wait::{PATIENCE, eventually};

/// Fixed in parallel, each by the script `right`.
const BUGS: &[&str] = &["billing-dates", "short-links", "poll-shares"];

/// Kills while the same bugs are healed; what is left is killed in another scene.
const KILLS_OF_SCENE: u64 = 8;

/// The fixes take half a minute on an idle machine.
const FIXES: Duration = Duration::from_secs(240);

/// A daemon over some bugs, and what outlives it.
struct Scene {
    folder: TempDir,
    config: String,
    repositories: Vec<Repository>,
    model: ScriptedModel,
    store: Arc<dyn Store>,
}

impl Scene {
    /// Everything but the daemon; the errors are logged already.
    async fn set(logs: &[(Bug, String)], random: &mut fastrand::Rng) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let mut services = String::new();
        let (mut repositories, mut scripts) = (Vec::new(), Vec::new());
        for (name, (bug, log)) in BUGS.iter().zip(logs) {
            let files = bug.files();
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let repository = Repository::create(name, &files);
            let file = folder.path().join(format!("{name}.log"));
            std::fs::write(&file, log).expect("a log can be written");
            writeln!(
                services,
                "[[file]]\npaths = [\"{}\"]\nservice = \"{name}\"\nfrom_start = true\n\
                 [[service]]\nname = \"{name}\"\nrepository = \"{}\"\nroute = \"fix\"",
                file.display(),
                repository.bare().display()
            )
            .expect("a string takes it");
            repositories.push(repository);
            let right = bug.cases.iter().find(|case| case.name == "right").expect("every bug has one");
            scripts.push(slowly(bug.script(right, &format!("`{name}`")), random));
        }
        let model = ScriptedModel::start(scripts).await.expect("loopback has a port");
        let config = write_config(folder.path(), &services, &model);
        // The store is there before the daemon, so that the test may look at any time.
        let url = format!("sqlite://{}", folder.path().join("state/homeostat.db").display());
        std::fs::create_dir_all(folder.path().join("state")).expect("a folder can be made");
        let store = store::open(&store::Settings { url, max_connections: 2 }).await.expect("the store opens");
        Self { folder, config, repositories, model, store }
    }

    fn start(&self) -> Program {
        Program::start(&["run", "--config", &self.config], self.folder.path())
    }

    async fn jobs(&self) -> Vec<Job> {
        let filter = JobFilter { limit: 1_000, ..JobFilter::default() };
        self.store.jobs(&filter).await.expect("jobs can be listed")
    }

    /// Whether every issue is proposed and nothing is left to do.
    async fn is_at_rest(&self) -> bool {
        let issues = self.store.issues(&IssueFilter::default()).await.expect("issues can be listed");
        let jobs = self.jobs().await;
        issues.len() == BUGS.len()
            && issues.iter().all(|issue| issue.state == IssueState::Proposed)
            && jobs.iter().all(|job| job.state == JobState::Done)
    }

    /// Kills the daemon up to so often, then lets it end its work; gives how often.
    async fn play(&self, n_kills: u64, random: &mut fastrand::Rng) -> u64 {
        let mut n_killed = 0;
        while n_killed < n_kills && !self.is_at_rest().await {
            let program = self.start();
            // A start takes a moment, a lease of the one before runs out after three seconds: some kills come before either.
            let life = if random.u8(0..4) == 0 { random.u64(0..1_500) } else { random.u64(1_500..9_000) };
            tokio::time::sleep(Duration::from_millis(life)).await;
            program.kill().await;
            n_killed += 1;
        }
        let mut program = self.start();
        program.line_with("homeostat is up", PATIENCE).await;
        eventually("a proposal for each issue and the end of every job", FIXES, async || {
            let dead = self.jobs().await.into_iter().find(|job| job.state == JobState::Dead);
            assert!(dead.is_none(), "a job is dead: {dead:#?}");
            self.is_at_rest().await.then_some(())
        })
        .await;
        program.signal(Signal::TERM);
        program.ends_with(0, PATIENCE).await;
        n_killed
    }

    async fn assert_healed_once(&self) {
        let issues = self.store.issues(&IssueFilter::default()).await.expect("issues can be listed");
        for (issue, number) in issues.iter().zip(1..) {
            assert!(self.store.ticket(issue.id).await.expect("it can be read").is_some(), "{issue:#?}");
            assert!(self.store.local_ticket(number).await.is_ok(), "no ticket {number}");
            let proposals = self.store.proposals(issue.id).await.expect("they can be read");
            let [proposal] = &proposals[..] else { panic!("{issue:#?}: {proposals:#?}") };
            let place = BUGS.iter().position(|name| *name == issue.service).expect("it is one of ours");
            assert_eq!(self.repositories[place].branches(), [proposal.branch.as_str(), "main"]);
        }
        let extra = i64::try_from(issues.len()).expect("they are few") + 1;
        assert!(self.store.local_ticket(extra).await.is_err(), "a second ticket was opened");
    }

    /// Every call that was finished is on the server's bill with the same price; what was cut off stands with its reservation. Gives how
    /// many were cut off.
    async fn assert_books_agree(&self) -> usize {
        assert_eq!(self.model.refusals(), Vec::<String>::new());
        let mut bill: Vec<i64> = self.model.bill().into_iter().map(|it| it.0).collect();
        let file = self.folder.path().join("state/homeostat.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).read_only(true);
        let mut database = sqlx::SqliteConnection::connect_with(&options).await.expect("the file opens");
        let rows = sqlx::query("select state, amount, reserved from spend").fetch_all(&mut database).await;
        let (mut n_unsettled, mut of_unsettled) = (0_usize, 0);
        for row in rows.expect("it can be read") {
            let (state, amount, reserved): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
            if state == "settled" {
                let place = bill.iter().position(|cost| *cost == amount);
                bill.swap_remove(place.unwrap_or_else(|| panic!("nobody billed {amount}: {bill:?}")));
            } else {
                assert_eq!((state.as_str(), amount), ("unsettled", reserved), "a call is neither");
                (n_unsettled, of_unsettled) = (n_unsettled + 1, of_unsettled + amount);
            }
        }
        // What is left on the bill was answered, but the daemon did not live to see it.
        let left: i64 = bill.iter().sum();
        assert!(bill.len() <= n_unsettled && left <= of_unsettled, "{bill:?}, {n_unsettled}: {of_unsettled}");
        // And it is listed, for whoever holds the books against an invoice.
        let listed = json_of(&["spend", "--unsettled", "--json", "--config", &self.config]).await;
        assert_eq!(listed.len(), n_unsettled, "{listed:#?}");
        assert!(listed.iter().all(|call| call["state"] == "cut off"), "{listed:#?}");
        let spent = self.store.spend_since(Timestamp::UNIX_EPOCH).await.expect("it can be read");
        assert_eq!((spent.reserved, spent.unsettled), (NanoUsd::ZERO, NanoUsd(of_unsettled)));
        assert!(spent.total() >= self.model.books().cost, "{spent:?}");
        n_unsettled
    }

    /// No container, volume, network or clone.
    async fn assert_nothing_is_left(&self) {
        let instance = self.store.instance_id().await.expect("it can be read");
        let label = vec![format!("homeostat.instance={instance}")];
        let filters = HashMap::from([("label", label)]);
        let engine = engine();
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let containers = engine.list_containers(Some(options)).await.expect("the engine lists");
        assert_eq!(containers.into_iter().flat_map(|it| it.names.unwrap_or_default()).next(), None);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let networks = engine.list_networks(Some(options)).await.expect("the engine lists");
        assert_eq!(networks.into_iter().filter_map(|it| it.name).next(), None);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let volumes = engine.list_volumes(Some(options)).await.expect("the engine lists").volumes;
        // One that is kept for the next fix says so.
        let orphans =
            volumes.unwrap_or_default().into_iter().filter(|it| it.labels.contains_key("homeostat.job"));
        assert_eq!(orphans.map(|it| it.name).next(), None);
        for folder in ["state/repos/clones", "state/merges"] {
            let entries = std::fs::read_dir(self.folder.path().join(folder)).into_iter().flatten();
            assert_eq!(entries.flatten().map(|it| it.path()).next(), None, "a clone is left");
        }
        let kept: BTreeSet<String> = BUGS.iter().map(|name| format!("{name}.log")).collect();
        let entries = std::fs::read_dir(self.folder.path()).expect("it is there").flatten();
        let names = entries.map(|it| it.file_name().to_string_lossy().into_owned());
        let others: Vec<String> =
            names.filter(|name| !kept.contains(name)).collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(others, ["homeostat.toml", "key", "state"], "temporary files are left");
    }
}

/// The script with a wait before some answers, so that kills come in the middle of calls too.
fn slowly(script: Script, random: &mut fastrand::Rng) -> Script {
    let mut script = script;
    for turn in &mut script.turns {
        if random.bool() {
            turn.before.push(Instead::Delay { milliseconds: random.u64(0..700) });
        }
    }
    script
}

fn write_config(folder: &Path, services: &str, model: &ScriptedModel) -> String {
    let (address, key) = (free_address(), folder.join("key"));
    std::fs::write(&key, "scripted-key").expect("the key can be written");
    let text = format!(
        "[state]\nfolder = \"{state}\"\n\
         [http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
         [docker.include]\nnames = [\"{nobody}\"]\n\
         [heal]\nlease = \"3s\"\n\
         [sandbox.dependencies]\nenabled = false\n\
         [agent]\napi = \"{api}\"\nkey = {{ file = \"{key}\" }}\n{services}",
        state = folder.join("state").display(),
        nobody = unique("nobody"),
        api = model.base_url(),
        key = key.display(),
    );
    let file = folder.join("homeostat.toml");
    std::fs::write(&file, text).expect("the config can be written");
    file.to_str().expect("a temporary folder has a plain name").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments() {
    let (seed, mut n_left) = (seed(), n_kills(5));
    let mut random = fastrand::Rng::with_seed(seed);
    let mut logs = Vec::new();
    for name in BUGS {
        let bug = Bug::read(name);
        let (stdout, stderr) = output_of(&bug).await;
        logs.push((bug, stdout + &stderr));
    }
    while n_left > 0 {
        println!("seed {seed}, {n_left} kills to go");
        let scene = Scene::set(&logs, &mut random).await;
        let n_killed = scene.play(n_left.min(KILLS_OF_SCENE), &mut random).await;
        n_left -= n_killed;
        scene.assert_healed_once().await;
        let n_unsettled = scene.assert_books_agree().await;
        println!("{n_killed} kills, {n_unsettled} calls were cut off");
        scene.assert_nothing_is_left().await;
        scene.store.close().await;
    }
}
