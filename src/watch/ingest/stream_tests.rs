//! A stream's record ends when its source says so, never because its lines come late.

use bytes::Bytes;

use super::*;
use crate::model::service::{Route, Service};
use crate::watch::source::lane::{DockerPlace, Places};

fn block(lines: &[(i64, &str)]) -> Parcel {
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let places = lines.iter().map(|(second, _)| DockerPlace { nanos: second * 1_000_000_000, n_at_nanos: 1 });
    Parcel::Block(Block { text: Bytes::from(text), places: Places::Docker(places.collect()) })
}

/// What is found when the parcels come with an hour between any two of them.
async fn found(parcels: Vec<Parcel>) -> Vec<u32> {
    let (parcels_tx, parcels_rx) = mpsc::channel(1);
    let (reports_tx, mut reports) = mpsc::channel(64);
    let stream = StreamKey("docker:1:stdout".to_owned());
    let service = Service { name: "shop".to_owned(), repository: None, route: Route::Ticket };
    let source = Arc::new(Source { stream, label: "shop-1".to_owned(), service });
    let task = StreamTask {
        source,
        pipeline: Pipeline::builtin(),
        parcels: parcels_rx,
        reports: reports_tx,
        shutdown: Shutdown::new(),
    };
    tokio::spawn(task.run());
    for parcel in parcels {
        parcels_tx.send(parcel).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    }
    drop(parcels_tx);
    let mut n_lines = Vec::new();
    while let Some(report) = reports.recv().await {
        n_lines.extend(report.found.iter().map(|found| found.n_lines));
    }
    n_lines
}

#[tokio::test(start_paused = true)]
async fn only_the_source_knows_that_a_stream_is_quiet() {
    let first = || block(&[(1, "com.acme.Boom: no stock"), (1, "\tat com.acme.A.a(A.java:1)")]);
    let second = || block(&[(2, "\tat com.acme.B.b(B.java:2)"), (2, "\tat com.acme.C.c(C.java:3)")]);
    assert_eq!(found(vec![first(), second(), Parcel::Quiet]).await, [4], "late, but logged together");
    assert_eq!(found(vec![first(), second(), Parcel::End]).await, [4]);
    assert_eq!(found(vec![first(), Parcel::Quiet, Parcel::Quiet]).await, [2]);
    assert_eq!(found(vec![first(), second()]).await, Vec::<u32>::new(), "left open, to be read again");
}
