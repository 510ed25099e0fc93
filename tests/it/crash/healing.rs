//! The daemon is killed in each stage of a fix and started again: one ticket, one proposal, all money accounted, no container.
//!
//! The model server lives here and so outlives the daemon; its books are what the daemon's are compared to.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::ListContainersOptionsBuilder;
use homeostat::agent::scripted::script::Script;
use homeostat::agent::scripted::server::ScriptedModel;
use homeostat::base::clock::Timestamp;
use homeostat::base::id::JobId;
use homeostat::cli::demo_project;
use homeostat::model::issue::IssueState;
use homeostat::model::job::{JobKind, JobState};
use homeostat::model::money::NanoUsd;
use homeostat::store::types::{IssueFilter, JobFilter};
use homeostat::store::{self, Store};
use rustix::process::Signal;

use crate::support::docker::{Container, Launch, SANDBOX, engine};
use crate::support::git::Repository;
use crate::support::name::unique;
use crate::support::program::{Program, free_address};
use crate::support::wait::{PATIENCE, eventually};

/// The whole fix takes half a minute on an idle machine.
const FIX: Duration = Duration::from_secs(200);

/// The demo's service in a container, which runs and fails until it is removed.
async fn start_service(name: &str) -> Container {
    let mut script = "mkdir -p /tmp/billing/tests && cd /tmp/billing\n".to_owned();
    for (idx, (path, _)) in demo_project::FILES.iter().enumerate() {
        writeln!(script, "printf %s \"$FILE_{idx}\" > {path}").expect("a string takes it");
    }
    writeln!(script, "exec {}", demo_project::COMMAND.join(" ")).expect("a string takes it");
    let mut launch = Launch::shell(SANDBOX, &script).name(name);
    launch = launch.env("INTERVAL", "0.3").env("PYTHONUNBUFFERED", "1");
    for (idx, (_, text)) in demo_project::FILES.iter().enumerate() {
        launch = launch.env(&format!("FILE_{idx}"), text);
    }
    launch.start(&engine()).await
}

fn write_config(folder: &Path, container: &str, repository: &Repository, model: &ScriptedModel) -> String {
    let address = free_address();
    let key = folder.join("key");
    std::fs::write(&key, "scripted-key").expect("the key can be written");
    let text = format!(
        "[state]\nfolder = \"{state}\"\n\
         [http]\nlisten = \"{address}\"\npublic_url = \"http://{address}\"\n\
         [docker.include]\nnames = [\"{container}\"]\n\
         [[service]]\nname = \"billing\"\ncontainers = [\"{container}\"]\nrepository = \"{repository}\"\nroute = \"fix\"\n\
         [heal]\nlease = \"3s\"\n\
         [agent]\napi = \"{api}\"\nkey = {{ file = \"{key}\" }}\n",
        state = folder.join("state").display(),
        repository = repository.bare().display(),
        api = model.base_url(),
        key = key.display(),
    );
    let file = folder.join("homeostat.toml");
    std::fs::write(&file, text).expect("the config can be written");
    file.to_str().expect("a temporary folder has a plain name").to_owned()
}

/// Every step of every job: kind of the job, name of the step.
async fn steps(store: &dyn Store) -> HashMap<(JobId, i64), (JobKind, String)> {
    let filter = JobFilter { limit: 100, ..JobFilter::default() };
    let mut all = HashMap::new();
    for job in store.jobs(&filter).await.expect("jobs can be listed") {
        for step in store.steps(job.id, 0).await.expect("steps can be listed") {
            all.insert((job.id, step.seq), (job.kind(), step.name));
        }
    }
    all
}

async fn sandboxes(instance: &str) -> Vec<String> {
    let filters = HashMap::from([("label", vec![format!("homeostat.instance={instance}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = engine().list_containers(Some(options)).await.expect("the engine lists");
    found.into_iter().flat_map(|it| it.names.unwrap_or_default()).collect()
}

/// Kills the daemon whenever the next of `stages` (kind of the job, name of the step) has begun, then lets it end its work.
async fn heals_although_killed_in(stages: &[(JobKind, &str)]) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let repository = Repository::create("billing", demo_project::FILES);
    let script = Script::from_json(demo_project::SCRIPT).expect("the script can be read");
    let model = ScriptedModel::start(vec![script]).await.expect("loopback has a port");
    let name = unique("billing");
    let config = write_config(folder.path(), &name, &repository, &model);
    let arguments = ["run", "--config", config.as_str()];

    let mut program = Program::start(&arguments, folder.path());
    program.line_with("homeostat is up", PATIENCE).await;
    let url = format!("sqlite://{}", folder.path().join("state/homeostat.db").display());
    let settings = store::Settings { url, max_connections: 2 };
    let store = store::open(&settings).await.expect("the store opens");
    let service = start_service(&name).await;

    for stage in stages {
        let before: BTreeSet<_> = steps(&*store).await.into_keys().collect();
        eventually(&format!("the step {stage:?}"), FIX, async || {
            let steps = steps(&*store).await;
            let is_new = |(key, (kind, name)): (&(JobId, i64), &(JobKind, String))| {
                !before.contains(key) && (*kind, name.as_str()) == *stage
            };
            steps.iter().any(is_new).then_some(())
        })
        .await;
        program.kill().await;
        program = Program::start(&arguments, folder.path());
    }
    program.line_with("homeostat is up", PATIENCE).await;
    until_at_rest(&store).await;
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    drop(service);
    assert_healed_once(&*store, &repository, &model).await;
    store.close().await;
}

/// Waits for the proposal and for the end of every job.
async fn until_at_rest(store: &Arc<dyn Store>) {
    eventually("a proposal and the end of every job", FIX, async || {
        let issues = store.issues(&IssueFilter::default()).await.expect("issues can be listed");
        let jobs = store.jobs(&JobFilter { limit: 100, ..JobFilter::default() }).await;
        let jobs = jobs.expect("jobs can be listed");
        let failed = jobs.iter().find(|job| job.state == JobState::Dead);
        assert!(failed.is_none(), "a job is dead: {failed:#?}");
        let is_proposed = issues.iter().any(|issue| issue.state == IssueState::Proposed);
        (is_proposed && jobs.iter().all(|job| job.state == JobState::Done)).then_some(())
    })
    .await;
}

async fn assert_healed_once(store: &dyn Store, repository: &Repository, model: &ScriptedModel) {
    let issues = store.issues(&IssueFilter::default()).await.expect("issues can be listed");
    assert_eq!(issues.len(), 1, "{issues:#?}");
    let issue = issues[0].id;
    assert!(store.ticket(issue).await.expect("it can be read").is_some());
    assert!(store.local_ticket(1).await.is_ok());
    assert!(store.local_ticket(2).await.is_err(), "a second ticket was opened");
    let proposals = store.proposals(issue).await.expect("they can be read");
    assert_eq!(proposals.len(), 1, "{proposals:#?}");
    assert_eq!(repository.branches(), [proposals[0].branch.as_str(), "main"]);

    assert_eq!(model.refusals(), Vec::<String>::new());
    let (books, spent) =
        (model.books(), store.spend_since(Timestamp::UNIX_EPOCH).await.expect("it can be read"));
    assert_eq!(spent.reserved, NanoUsd::ZERO, "{spent:?}");
    // A call that was cut off is charged with the most it can cost, so nothing is ever missing from the daemon's books.
    assert!(spent.settled <= books.cost && books.cost <= spent.total(), "{spent:?} {books:?}");
    if spent.unsettled == NanoUsd::ZERO {
        assert_eq!(spent.settled, books.cost);
    }
    assert!(spent.n_calls >= books.n_answered, "{spent:?} {books:?}");

    let instance = store.instance_id().await.expect("it can be read");
    assert_eq!(sandboxes(&instance).await, Vec::<String>::new(), "containers are left");
}

#[tokio::test]
async fn killed_while_it_prepares() {
    heals_although_killed_in(&[
        (JobKind::Ticket, "open ticket"),
        (JobKind::Fix, "clone"),
        (JobKind::Fix, "baseline"),
        (JobKind::Fix, "sandbox"),
    ])
    .await;
}

#[tokio::test]
async fn killed_while_the_agent_works() {
    heals_although_killed_in(&[
        (JobKind::Fix, "model call"),
        (JobKind::Fix, "tool run"),
        (JobKind::Fix, "model call"),
        (JobKind::Fix, "export"),
        (JobKind::Fix, "validate"),
    ])
    .await;
}

#[tokio::test]
async fn killed_while_it_proposes() {
    heals_although_killed_in(&[
        (JobKind::Fix, "outcome"),
        (JobKind::Propose, "apply patch"),
        (JobKind::Propose, "push branch"),
        (JobKind::Propose, "open proposal"),
        (JobKind::Ticket, "report on ticket"),
    ])
    .await;
}
