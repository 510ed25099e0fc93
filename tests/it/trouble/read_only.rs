//! The state folder cannot be written to: at the start, and later.

use std::path::Path;

use rustix::process::Signal;
use tokio::process::Command;

use super::Ground;
use crate::support::program::Program;
use crate::support::wait::{PATIENCE, eventually};

#[tokio::test]
async fn at_the_start_it_is_waited_for_and_told_once() {
    let ground = Ground::new();
    let arguments = ["run", "--config", &ground.config];
    let mut program = Program::start_read_only(&arguments, ground.tmp(), &ground.state);
    program.line_with("the state folder cannot be written to", PATIENCE).await;
    ground.write(b"error: one\n");
    // It may be stopped meanwhile.
    program.signal(Signal::TERM);
    program.ends_with(0, PATIENCE).await;
    assert_eq!(program.n_lines_with("the state folder cannot be written to"), 1);

    let program = Program::start_read_only(&arguments, ground.tmp(), &ground.state);
    program.line_with("the state folder cannot be written to", PATIENCE).await;
    program.make_writable(&ground.state).await;
    ground.is_up(&program).await;
    ground.counts(1).await;
    assert_eq!(program.n_lines_with("the state folder cannot be written to"), 1);
}

/// Files that nobody can write to as long as the value lives, also not through what is open.
struct Immutable<'p>(&'p Path);

impl<'p> Immutable<'p> {
    async fn make(folder: &'p Path) -> Self {
        assert!(Self::change("+i", folder).await, "this takes root, and a file system that knows it");
        Self(folder)
    }

    async fn change(how: &str, folder: &Path) -> bool {
        let status = Command::new("chattr").args(["-R", how]).arg(folder).status().await;
        status.expect("chattr can be run").success()
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        let status = std::process::Command::new("chattr").args(["-R", "-i"]).arg(self.0).status();
        assert!(status.is_ok_and(|it| it.success()), "{} stays as it is", self.0.display());
    }
}

#[tokio::test]
async fn in_the_middle_it_is_waited_out_and_told_once() {
    let ground = Ground::new();
    let program = Program::start(&["run", "--config", &ground.config], ground.tmp());
    ground.is_up(&program).await;
    ground.write(b"error: one\n");
    ground.counts(1).await;
    let immutable = Immutable::make(&ground.state).await;
    for n in 0..20 {
        ground.write(format!("error: module{} has failed\n", char::from(b'a' + n)).as_bytes());
    }
    program.line_with("the database is away", PATIENCE).await;
    eventually("a few tries in vain", PATIENCE, async || {
        let n = ground.metric("homeostat_commits_total{result=\"failed\"}").await?;
        (n > 2.0).then_some(())
    })
    .await;
    assert_eq!(program.n_lines_with("the database is away"), 1);
    drop(immutable);
    ground.counts(21).await;
    program.line_with("the database is back", PATIENCE).await;
}
