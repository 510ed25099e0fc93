//! What the hot path may not do: take memory for a line that it skips.
//!
//! A binary of its own, because it counts what the allocator is asked for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use homeostat::watch::ingest::decode::Format;
use homeostat::watch::ingest::files::Scan;
use homeostat::watch::ingest::pipeline::Pipeline;

/// The system's allocator, counted.
struct Counting;

static N_CALLS: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait; this one passes every call on")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_CALLS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        N_CALLS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator while a log of so many times these lines is scanned.
fn n_calls(format: Format, lines: &str, n_times: usize) -> usize {
    let log = lines.repeat(n_times);
    let mut scan = Scan::new(Pipeline::builtin(), Some(format));
    let before = N_CALLS.load(Ordering::Relaxed);
    scan.reader(log.as_bytes(), &mut |_| ()).expect("reading from memory does not fail");
    N_CALLS.load(Ordering::Relaxed) - before
}

/// Ten times as many lines cost no more calls than a few buffers that grow.
#[track_caller]
fn check(format: Format, lines: &str) {
    n_calls(format, lines, 1);
    let (few, many) = (n_calls(format, lines, 1000), n_calls(format, lines, 10_000));
    let n_lines = lines.lines().count() * 9_000;
    assert!(many <= few + 64, "{format:?}: {} calls more for {n_lines} lines more", many - few);
}

/// One test, so that nothing else asks for memory meanwhile.
#[test]
fn a_skipped_line_takes_no_memory() {
    // A record does, so that the count is known to count.
    assert!(n_calls(Format::Plain, "ERROR no stock\n", 1000) >= 1000);
    check(
        Format::Plain,
        "2026-03-04T10:00:00.123Z INFO  [http] GET /health 200 in 3 ms\nlistening on port 8080\n  indented\n\n",
    );
    check(
        Format::DockerJson,
        "{\"log\":\"request served in 3 ms\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-04T10:00:00.000000001Z\"}\n",
    );
    check(Format::Cri, "2026-03-04T10:00:00.000000001Z stdout F request served in 3 ms\n");
    check(Format::Jsonl, "{\"stream\":\"a\",\"line\":\"request served in 3 ms\"}\n");
    // Words that rules look for, in lines that no rule hits.
    check(Format::Plain, "2026-03-04T10:00:00Z INFO done, 0 errors, 0 failed\nlevel=info msg=ok errors=0\n");
}
