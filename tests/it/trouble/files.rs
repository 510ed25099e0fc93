//! Ten thousand files, and descriptors for a few.

use std::fs::OpenOptions;
use std::io::Write as _;

use super::Ground;
use crate::support::program::Program;
use crate::support::wait::{PATIENCE, eventually};

const N_FILES: u32 = 10_000;

/// Waits for so many occurrences.
async fn counts(ground: &Ground, expected: u32) {
    eventually(&format!("{expected} occurrences"), PATIENCE * 4, async || {
        let n = ground.metric("homeostat_stored_occurrences").await?;
        assert!(n <= f64::from(expected), "{n} occurrences of {expected}");
        (n >= f64::from(expected)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn more_files_than_may_be_open_are_all_read() {
    let ground = Ground::new();
    let folder = ground.tmp().join("many");
    std::fs::create_dir(&folder).expect("a folder");
    let path = |n: u32| folder.join(format!("{n}.log"));
    for n in 0..N_FILES {
        std::fs::write(path(n), "fine\nerror: order has failed\n").expect("there is room");
    }
    let text = std::fs::read_to_string(&ground.config).expect("the config is there");
    // One issue for all: what is tried here is many files, and not many issues, which take a build without optimisation minutes.
    let more = format!(
        "[[file]]\npaths = [\"{}/*.log\"]\nservice = \"shop\"\nfrom_start = true\n",
        folder.display()
    );
    std::fs::write(&ground.config, text + &more).expect("the config can be written");
    let arguments = ["run", "--config", &ground.config];
    let program = Program::start_with_descriptors(&arguments, ground.tmp(), 256);
    ground.is_up(&program).await;
    counts(&ground, N_FILES).await;
    for n in 0..N_FILES {
        let mut file = OpenOptions::new().append(true).open(path(n)).expect("the file is there");
        file.write_all(b"error: order has failed\n").expect("there is room");
    }
    counts(&ground, 2 * N_FILES).await;
    assert_eq!(program.n_lines_with("more files are followed than may be open"), 1);
    assert_eq!(program.n_lines_with(" ERROR "), 0);
}
