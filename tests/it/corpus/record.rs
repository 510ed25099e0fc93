//! What a bug's program logs, as the watching half reads it.

#![expect(clippy::unwrap_used, reason = "a program that cannot be run must fail the test")]

use std::fmt::Write as _;

use homeostat::base::clock::Timestamp;
use homeostat::model::decision::Decision;
use homeostat::model::job::NewJob;
use homeostat::model::occurrence::{Around, OccurrenceGroup, Sample};
use homeostat::watch::fingerprint::Fingerprinter;
use homeostat::watch::ingest::pipeline::{Found, Pipeline};

use super::bug::Bug;
use crate::support::docker::{Launch, engine};

/// Runs the program in its container, to its end; gives its stdout and its stderr.
pub(crate) async fn output_of(bug: &Bug) -> (String, String) {
    let mut script = "mkdir -p ~/app && cd ~/app\n".to_owned();
    let files = bug.files();
    for (idx, (path, _)) in files.iter().enumerate() {
        writeln!(script, "mkdir -p \"$(dirname '{path}')\" && printf %s \"$FILE_{idx}\" > '{path}'").unwrap();
    }
    script.push_str(&bug.run);
    let mut launch = Launch::shell(&bug.image, &script);
    for (idx, (_, text)) in files.iter().enumerate() {
        launch = launch.env(&format!("FILE_{idx}"), text);
    }
    let container = launch.start(&engine()).await;
    container.exit_code().await;
    container.output().await
}

/// The record that the program is here for.
pub(crate) async fn record_of(bug: &Bug) -> Found {
    let (stdout, stderr) = output_of(bug).await;
    let pipeline = Pipeline::builtin();
    let mut found = Vec::new();
    // Each stream by itself, as the sources read them.
    for stream in [&stdout, &stderr] {
        let mut state = pipeline.stream();
        for line in stream.lines() {
            pipeline.push(&mut state, line.as_bytes(), None, &mut found);
        }
        pipeline.flush(&mut state, &mut found);
    }
    let place = found.iter().position(|it| it.text.as_str().contains(&bug.logs));
    let place = place.unwrap_or_else(|| panic!("`{}` is not in:\n{stdout}\n{stderr}\n{found:#?}", bug.logs));
    found.swap_remove(place)
}

/// The record as an occurrence in a service, with the ticket it asks for.
pub(crate) fn group(found: &Found, service: &str, now: Timestamp) -> OccurrenceGroup {
    let text = found.text.clone();
    let read = Fingerprinter::builtin().fingerprint(&text);
    OccurrenceGroup {
        service: service.to_owned(),
        levels: read.levels,
        former: None,
        preimage: read.preimage,
        title: read.title,
        rule: found.detection.rule.to_string(),
        severity: found.detection.severity,
        action: found.detection.action,
        runtime: read.runtime,
        count: 1,
        first_seen: now,
        last_seen: now,
        samples: vec![Sample {
            at: now,
            text,
            origin: format!("{service}-1"),
            revision: None,
            around: Around::default(),
            merged_from: None,
        }],
        decision: Decision::Fix { reason: "new" },
        jobs: vec![NewJob::open_ticket(true)],
    }
}
