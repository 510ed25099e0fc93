//! Whatever is run in the sandbox harms only itself, and is dead when its time is over.

use std::time::{Duration, Instant};

use homeostat::sandbox::spec::{ExecEnd, ExecRequest};

use super::{IDLE, engine, processes, shell, shell_request, spec, start, text};
use crate::support::docker::{BUSYBOX, SANDBOX};

/// Runs `script` for two seconds in an image, expects that it is stopped, and that nothing of it is left.
async fn check_time_out(image: &str, script: &str) {
    let sandbox = start(image).await;
    let start = Instant::now();
    let request = ExecRequest { timeout: Duration::from_secs(2), ..shell_request(script) };
    let output = sandbox.exec(request).await.unwrap();
    assert_eq!((output.end, text(&output.stdout).as_str()), (ExecEnd::TimedOut, "begun\n"), "{script}");
    assert!(start.elapsed() < Duration::from_secs(12), "{script}: took {:?}", start.elapsed());
    assert_eq!(processes(&sandbox).await, IDLE, "{script}");
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_command_over_its_time_is_killed_with_all_its_children() {
    check_time_out(BUSYBOX, "echo begun; sleep 1000").await;
    check_time_out(
        BUSYBOX,
        "trap '' TERM HUP INT QUIT; echo begun; sh -c 'sleep 1000; sleep 1000' & sleep 1000",
    )
    .await;
    // A session of its own, orphaned twice over, deaf to every polite signal, with no stream left open.
    check_time_out(
        SANDBOX,
        "(trap '' TERM HUP; setsid sh -c 'setsid sleep 1000 & sleep 1000' >/dev/null 2>&1 </dev/null &) & echo begun; sleep 1000",
    )
    .await;
    // Stopped processes do not run, but they die.
    check_time_out(BUSYBOX, "sleep 1000 & kill -STOP $!; echo begun; wait").await;
}

#[tokio::test]
async fn what_a_finished_command_left_running_is_killed_too() {
    let sandbox = start(SANDBOX).await;
    let start = Instant::now();
    // The first child holds the output open, the second does not.
    let output = shell(
        &sandbox,
        "setsid sleep 1000 & setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo done; exit 3",
    )
    .await;
    assert_eq!((output.end, text(&output.stdout).as_str()), (ExecEnd::Exited { code: 3 }, "done\n"));
    assert!(start.elapsed() < Duration::from_secs(10), "took {:?}", start.elapsed());
    assert_eq!(processes(&sandbox).await, IDLE);
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_fork_bomb_harms_only_itself() {
    let sandbox = start(SANDBOX).await;
    let request = ExecRequest {
        timeout: Duration::from_secs(3),
        ..ExecRequest::new(["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 1000"])
    };
    let output = sandbox.exec(request).await.unwrap();
    assert!(matches!(output.end, ExecEnd::TimedOut | ExecEnd::Exited { .. }), "{output:?}");
    assert_eq!(text(&shell(&sandbox, "echo alive").await.stdout), "alive\n");
    assert_eq!(processes(&sandbox).await, IDLE);
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_memory_hog_is_killed_and_the_sandbox_lives() {
    let sandbox = start(SANDBOX).await;
    let program = "hog = []\nwhile True: hog.append(bytearray(8 << 20))";
    let output = sandbox.exec(ExecRequest::new(["python3", "-c", program])).await.unwrap();
    assert_eq!(output.end, ExecEnd::Exited { code: 137 });
    assert_eq!(text(&shell(&sandbox, "echo alive").await.stdout), "alive\n");
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_full() {
    let sandbox = start(SANDBOX).await;
    let fill = |folder: &str| {
        format!(
            "i=0; while head -c 4M /dev/zero > {folder}/$i; do i=$((i+1)); done; du -sm {folder} | cut -f1; rm -f {folder}/*"
        )
    };
    for (folder, megabytes) in [("/sandbox", "32\n"), ("/tmp", "16\n")] {
        let output = shell(&sandbox, &fill(folder)).await;
        assert_eq!(text(&output.stdout), megabytes, "{folder}");
        assert!(text(&output.stderr).contains("No space left"), "{folder}: {}", text(&output.stderr));
    }
    // Nor is there room besides: locks between processes need a little, message queues less.
    let output = shell(&sandbox, "head -c 80M /dev/zero > /dev/shm/a; head -c 80M /dev/zero > /dev/shm/b; du -sm /dev/shm | cut -f1; rm /dev/shm/*").await;
    let megabytes: u64 = text(&output.stdout).trim().parse().unwrap();
    assert!(megabytes <= 64, "/dev/shm took {megabytes} MiB");
    // One file may not even take the whole workspace.
    let output = shell(&sandbox, "head -c 24M /dev/zero > /sandbox/big; stat -c %s /sandbox/big").await;
    assert_eq!(text(&output.stdout), format!("{}\n", 16 << 20));
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_output_is_capped_and_stopped() {
    let sandbox = start(BUSYBOX).await;
    let request = ExecRequest {
        timeout: Duration::from_secs(120),
        output_cap: 1000,
        ..shell_request("echo first; yes ten gigabytes of this")
    };
    let output = sandbox.exec(request).await.unwrap();
    assert_eq!(output.end, ExecEnd::Flooded);
    let kept = text(&output.stdout);
    assert!(kept.starts_with("first\nten gigabytes") && kept.contains("bytes left out ...]\n"), "{kept}");
    assert!(output.stdout.len() < 1100 && output.is_truncated());
    assert_eq!(processes(&sandbox).await, IDLE);
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn the_engine_was_told_every_limit() {
    let spec = spec(BUSYBOX);
    let sandbox = engine().await.start(&spec).await.unwrap();
    let docker = crate::support::docker::engine();
    let host = docker.inspect_container(sandbox.id(), None).await.unwrap().host_config.unwrap();
    let limits = spec.limits;
    let memory = (limits.memory_bytes + limits.workspace_bytes + limits.tmp_bytes + (64 << 20)) as i64;
    assert_eq!(
        (host.memory, host.memory_swap, host.nano_cpus, host.pids_limit, host.init),
        (Some(memory), Some(memory), Some(1_000_000_000), Some(64), Some(true))
    );
    assert_eq!(host.network_mode.as_deref(), Some("none"));
    assert_eq!((host.readonly_rootfs, host.privileged), (Some(true), Some(false)));
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!((host.binds, host.mounts, host.devices.unwrap_or_default().len()), (None, None, 0));
    assert_eq!((host.ipc_mode.as_deref(), host.shm_size), (Some("private"), Some(64 << 20)));
    let ulimits = shell(&sandbox, "ulimit -n; ulimit -c").await;
    assert_eq!(text(&ulimits.stdout), "256\n0\n");
    sandbox.remove().await.unwrap();
}
