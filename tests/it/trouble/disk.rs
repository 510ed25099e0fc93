//! The state folder's disk is full for a while.

use std::io::Write as _;

use super::Ground;
use crate::support::program::Program;
use crate::support::wait::{PATIENCE, eventually};

/// Room for a new database and not much more.
const DISK_BYTES: u64 = 6 << 20;

#[tokio::test]
async fn a_full_disk_is_waited_out_and_told_once() {
    let ground = Ground::new();
    let program = Program::start_on_small_disk(
        &["run", "--config", &ground.config],
        ground.tmp(),
        &ground.state,
        DISK_BYTES,
    );
    ground.is_up(&program).await;
    ground.write(b"error: one\nfine\n");
    ground.counts(1).await;

    let filler = program.inside(&ground.state).join("filler");
    let mut file = std::fs::File::create(&filler).expect("the small disk can be seen");
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
    // More than fits into pages that the database has already.
    for n in 0..200 {
        let place = format!("module{}{}", char::from(b'a' + n % 26), char::from(b'a' + n / 26));
        ground.write(format!("error: {place} has failed: {}\nfine\n", "and so on ".repeat(200)).as_bytes());
    }
    program.line_with("the database is away", PATIENCE).await;
    eventually("a few tries in vain", PATIENCE, async || {
        let n = ground.metric("homeostat_commits_total{result=\"failed\"}").await?;
        (n > 4.0).then_some(())
    })
    .await;
    assert_eq!(program.n_lines_with("the database is away"), 1);

    // Its room is free only when nobody holds it any more.
    drop(file);
    std::fs::remove_file(&filler).expect("the filler can go");
    ground.counts(201).await;
    program.line_with("the database is back", PATIENCE).await;
}
