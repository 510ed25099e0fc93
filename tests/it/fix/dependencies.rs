//! Dependencies come from registries of this machine, through the proxy, into a snapshot; what is hostile in a manifest gets nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene must fail")]

use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::env;
use homeostat::heal::fix::dependencies::{OnFailure, Settings};
use homeostat::model::attempt::Outcome;
use homeostat::model::job::NewJob;
use homeostat::sandbox::engine::Engine;
use homeostat::sandbox::snapshot::Keep;
use std::time::Duration;

use super::given::{Desk, Given, RECORD, SHOP, model};
use super::play::{always, right_fix};
use crate::support::registry::Registry;

/// Needs `shape`, which no image has.
const NEEDY_TEST: &str = "import shape\n\n\ndef test_shape():\n    assert shape.AREA == 4\n";

fn settings(registry: &Registry) -> Settings {
    let at = format!("http://{}", registry.target());
    Settings {
        allow: Vec::new(),
        internal: vec![registry.target().parse().unwrap()],
        environment: vec![
            ("PIP_INDEX_URL".to_owned(), format!("{at}/simple")),
            ("NPM_CONFIG_REGISTRY".to_owned(), format!("{at}/npm")),
        ],
        max_bytes: 64 << 20,
        ..Settings::default()
    }
}

fn shop_with<'a>(files: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    SHOP.iter().chain(files).copied().collect()
}

/// Removes the snapshots that a test made; the second time nothing is left.
async fn clean_up(given: &Given) {
    let engine = Engine::connect(env::var(env::DOCKER_HOST).as_deref()).await.unwrap();
    let instance = given.store.instance_id().await.unwrap();
    let nothing = Keep { age: Duration::ZERO, total_bytes: 0 };
    engine.prune_snapshots(&instance, nothing, SystemClock.now()).await.unwrap();
    assert_eq!(engine.snapshots(&instance).await.unwrap(), Vec::new());
    assert_eq!(given.containers().await, Vec::<String>::new());
}

/// The steps that tell of dependencies, without what differs from run to run.
fn told(desk: &Desk) -> Vec<String> {
    let steps = desk.steps();
    let own = steps.iter().filter_map(|step| step.strip_prefix("dependencies: "));
    own.map(|step| step.split(", installed").next().unwrap_or(step).to_owned()).collect()
}

#[tokio::test]
async fn a_python_project_is_proven_with_what_was_installed_once() {
    let registry = Registry::start().await;
    let files = [("requirements.txt", "shape==1.0\n"), ("tests/test_shape.py", NEEDY_TEST)];
    let mut given = Given::new(&shop_with(&files)).await;
    given.settings.dependencies = settings(&registry);
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let outcome = given.run_until(&leased, &model, &desk).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{outcome:?}\n{attempt:#?}\n{:#?}", desk.steps());
    let by = "pip from `requirements.txt`";
    assert_eq!(told(&desk)[..2], [format!("{by}: waiting to install"), format!("{by}: installing")]);
    assert!(told(&desk)[2].ends_with(" KiB installed"), "{:?}", told(&desk));
    let hits = registry.hits();
    assert_eq!(hits, ["/simple/shape/", "/files/shape-1.0-py3-none-any.whl"]);

    // The next job finds it and asks nobody.
    given.store.enqueue(NewJob::fix(given.issue(), 1), SystemClock.now()).await.unwrap();
    let desk = Desk::stopping_at("agent: ");
    let leased = given.lease().await;
    given.run_until(&leased, &model, &desk).await;
    assert_eq!(told(&desk).len(), 1, "{:?}", desk.steps());
    assert!(desk.steps().iter().any(|step| step.contains("installed") && step.ends_with(" s ago")));
    assert_eq!(registry.hits(), hits);
    clean_up(&given).await;
}

#[tokio::test]
async fn an_npm_project_gets_its_packages_and_their_scripts_do_not_run() {
    let registry = Registry::start().await;
    let package =
        r#"{"name": "shop", "scripts": {"test": "node test.js"}, "dependencies": {"shape": "1.0.0"}}"#;
    let lock = format!(
        r#"{{"name": "shop", "lockfileVersion": 2, "requires": true, "packages": {{"": {{"name": "shop", "dependencies": {{"shape": "1.0.0"}}}},
        "node_modules/shape": {{"version": "1.0.0", "resolved": "http://{}/npm/shape/-/shape-1.0.0.tgz", "hasInstallScript": true}}}},
        "dependencies": {{"shape": {{"version": "1.0.0", "resolved": "http://{}/npm/shape/-/shape-1.0.0.tgz"}}}}}}"#,
        registry.target(),
        registry.target()
    );
    let test = "const fs = require('fs'), path = require('path');\n\
        if (require('shape').area !== 4) process.exit(1);\n\
        const home = path.dirname(require.resolve('shape'));\n\
        console.log('the script', fs.existsSync(path.join(home, 'ran')) ? 'RAN' : 'did not run');\n\
        if (fs.existsSync(path.join(home, 'ran'))) process.exit(2);\n\
        try { fs.writeFileSync(path.join(home, 'index.js'), ''); process.exit(3); } catch (error) { console.log(error.code); }\n";
    let files = [("package.json", package), ("package-lock.json", lock.as_str()), ("test.js", test)];
    let mut given = Given::new(&files).await;
    given.settings.dependencies = settings(&registry);
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::stopping_at("agent: ");
    given.run_until(&leased, &model, &desk).await;
    let steps = desk.steps();
    assert!(steps.iter().any(|step| step.starts_with("baseline: `npm test` passed")), "{steps:#?}");
    assert_eq!(registry.hits(), ["/npm/shape/-/shape-1.0.0.tgz"]);
    clean_up(&given).await;
}

/// An installation that must fail; the report says why in these words, and `other` has not been asked.
async fn check_refused(files: &[(&str, &str)], registry: &Registry, why: &[&str]) {
    let mut given = Given::new(&shop_with(files)).await;
    given.settings.dependencies = Settings { on_failure: OnFailure::Stop, ..settings(registry) };
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    given.run(&leased, &model).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::NeedsPerson), "{attempt:#?}");
    for why in why {
        assert!(attempt.report.contains(why), "{why}: {}", attempt.report);
    }
    assert_eq!(model.books().n_requests, 0);
    clean_up(&given).await;
}

#[tokio::test]
async fn a_hostile_manifest_reaches_nobody() {
    let (registry, other) = (Registry::start().await, Registry::start().await);
    let index = format!("--index-url http://{}/simple\nshape==1.0\n", other.target());
    let refused = format!("the proxy refused {}: not on the list", other.target());
    check_refused(&[("requirements.txt", &index)], &registry, &[&refused]).await;
    let metadata = "https://169.254.169.254/latest/shape-1.0-py3-none-any.whl\nhttp://172.17.0.1:22/shape-1.0-py3-none-any.whl\n";
    let refused = "the proxy refused 169.254.169.254:443: not on the list";
    check_refused(&[("requirements.txt", metadata)], &registry, &[refused]).await;
    let built = "--no-binary :all:\nshape==1.0\n";
    check_refused(&[("requirements.txt", built)], &registry, &["makes pip run code of a package"]).await;
    assert_eq!((registry.hits(), other.hits()), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn without_its_dependencies_an_attempt_goes_on_with_what_the_image_has() {
    let registry = Registry::start().await;
    let mut given = Given::new(&shop_with(&[("requirements.txt", "unknown==9.9\n")])).await;
    given.settings.dependencies = settings(&registry);
    let model = model(always(right_fix())).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::stopping_at("agent: ");
    given.run_until(&leased, &model, &desk).await;
    let told = told(&desk);
    assert_eq!(told.last().unwrap(), "pip from `requirements.txt`: failed: it ended with code 1");
    assert!(desk.steps().iter().any(|step| step.starts_with("baseline: ")), "{:#?}", desk.steps());
    clean_up(&given).await;
}
