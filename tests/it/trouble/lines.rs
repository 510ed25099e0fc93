//! Lines that are no text, or have no end.

use std::fs::File;
use std::io::{BufWriter, Write as _};

use super::Ground;
use crate::support::program::Program;
use crate::support::wait::{PATIENCE, eventually};

/// Memory a process has ever had at once, in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux says so");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

#[tokio::test]
async fn odd_bytes_hide_nothing_behind_them() {
    let ground = Ground::new();
    let program = Program::start(&["run", "--config", &ground.config], ground.tmp());
    ground.is_up(&program).await;
    ground.write(b"error: \xff\xfe is no UTF-8\n");
    ground.write(b"\0\0\0\0error: behind zeroes\n");
    ground.write(b"error: \0 within\n");
    ground.write(b"\xf0\x9f\n\r\n\x1b[31merror: red\x1b[0m\n");
    ground.counts(4).await;
    for (name, expected) in [("lines", 6.0), ("candidates", 4.0), ("records", 4.0)] {
        let name = format!("homeostat_source_{name}_total");
        assert_eq!(ground.metric(&name).await, Some(expected), "{name}");
    }
}

#[tokio::test]
async fn a_line_of_a_quarter_of_a_gibibyte_costs_no_memory_and_hides_nothing() {
    let ground = Ground::new();
    let program = Program::start(&["run", "--config", &ground.config], ground.tmp());
    ground.is_up(&program).await;
    ground.write(b"error: before\n");
    ground.counts(1).await;
    let before = peak_kib(program.pid());
    {
        let file = File::options().append(true).open(&ground.log).expect("the log is there");
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.write_all(b"error: ").expect("there is room");
        for _ in 0..256 {
            file.write_all(&[b'x'; 1 << 20]).expect("there is room");
        }
        file.write_all(b"\nerror: after\n").expect("there is room");
    }
    ground.counts(3).await;
    let grown = peak_kib(program.pid()).saturating_sub(before) >> 10;
    assert!(grown < 48, "memory grew by {grown} MiB");
}

#[tokio::test]
async fn the_daemons_own_output_is_not_watched() {
    let ground = Ground::new();
    let file = std::fs::OpenOptions::new().append(true).open(&ground.log).expect("the log is there");
    let program = Program::start_with_output(&["run", "--config", &ground.config], ground.tmp(), file);
    ground.counts(0).await;
    let told = "homeostat writes into a file it is to watch";
    let log = || std::fs::read_to_string(&ground.log).expect("the log is there");
    eventually("a word about it", PATIENCE, async || log().contains(told).then_some(())).await;
    assert_eq!(log().matches(told).count(), 1);
    drop(program);
}
