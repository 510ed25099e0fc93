//! A sandbox's life: commands, files, and an end that leaves nothing behind.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use homeostat::base::clock::{Clock, SystemClock};
use homeostat::base::id::JobId;
use homeostat::sandbox::engine::Engine;
use homeostat::sandbox::error::SandboxError;
use homeostat::sandbox::spec::{ExecEnd, ExecOutput, ExecRequest};

use super::{IDLE, engine, processes, shell, shell_request, spec, start, text};
use crate::support::docker::{BUSYBOX, SANDBOX, engine as docker};
use crate::support::wait::{PATIENCE, eventually};

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output() {
    let sandbox = start(BUSYBOX).await;
    let request = ExecRequest {
        stdin: Bytes::from_static(b"hello\n"),
        env: vec![("COLOUR".to_owned(), "blue = green".to_owned())],
        workdir: "/tmp".to_owned(),
        ..shell_request("cat; echo $COLOUR; pwd; echo trouble >&2; exit 7")
    };
    let output = sandbox.exec(request).await.unwrap();
    let expected = ExecOutput {
        end: ExecEnd::Exited { code: 7 },
        stdout: b"hello\nblue = green\n/tmp\n".to_vec(),
        stderr: b"trouble\n".to_vec(),
        n_dropped: 0,
        took: output.took,
    };
    assert_eq!(output, expected);
    assert!(!output.passed());
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn input_longer_than_any_pipe_passes_through() {
    let sandbox = start(BUSYBOX).await;
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let request =
        ExecRequest { stdin: bytes.clone().into(), output_cap: 2 * bytes.len(), ..ExecRequest::new(["cat"]) };
    let output = sandbox.exec(request).await.unwrap();
    assert!(output.passed() && output.stdout == bytes);
    // One that does not read its input at all is no trouble either.
    let request = ExecRequest { stdin: bytes.into(), ..ExecRequest::new(["true"]) };
    assert!(sandbox.exec(request).await.unwrap().passed());
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_exit_code() {
    let sandbox = start(BUSYBOX).await;
    let output = sandbox.exec(ExecRequest::new(["no-such-program"])).await.unwrap();
    assert!(matches!(output.end, ExecEnd::Exited { code: 126 | 127 }), "{output:?}");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("no-such-program"), "{said}");
    assert!(shell(&sandbox, "true").await.passed());
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_command_that_closes_its_output_is_waited_for() {
    let sandbox = start(BUSYBOX).await;
    let output = shell(&sandbox, "exec >&- 2>&-; sleep 1; exit 5").await;
    assert_eq!(output.end, ExecEnd::Exited { code: 5 });
    assert!(output.took >= Duration::from_secs(1));
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn files_go_in_and_come_out() {
    for image in [SANDBOX, BUSYBOX] {
        let sandbox = start(image).await;
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(6);
        header.set_mode(0o755);
        // An owner that the sandbox's user cannot give.
        header.set_uid(0);
        archive.append_data(&mut header, "src/run.sh", b"#hello".as_slice()).unwrap();
        sandbox.upload("/sandbox/repo", archive.into_inner().unwrap().into()).await.unwrap();
        let output = shell(&sandbox, "cd repo && echo more > new.txt && stat -c '%u %a' src/run.sh").await;
        assert_eq!(text(&output.stdout), "1000 755\n", "{}", text(&output.stderr));

        let tar = sandbox.download("/sandbox/repo", 1 << 20).await.unwrap();
        let mut files = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
            files.push((entry.path().unwrap().display().to_string(), content));
        }
        files.retain(|(_, content)| !content.is_empty());
        files.sort();
        let expected = [("new.txt", "more\n"), ("src/run.sh", "#hello")];
        let files: Vec<_> =
            files.iter().map(|(path, content)| (path.trim_start_matches("./"), content.as_str())).collect();
        assert_eq!(files, expected, "{image}");

        let too_large = sandbox.download("/sandbox/repo", 1000).await;
        assert!(matches!(too_large, Err(SandboxError::Transfer { .. })), "{too_large:?}");
        let missing = sandbox.download("/sandbox/nothing", 1000).await;
        assert!(matches!(missing, Err(SandboxError::Transfer { .. })), "{missing:?}");
        sandbox.remove().await.unwrap();
    }
}

#[tokio::test]
async fn a_command_whose_caller_went_away_does_not_run_into_the_next() {
    let sandbox = start(BUSYBOX).await;
    let request = shell_request("touch /sandbox/begun; sleep 1000");
    let begun = async {
        eventually("the command's first file", PATIENCE, async || {
            // Looked at from outside: another command would have to wait for the first.
            let top = docker()
                .top_processes(
                    sandbox.id(),
                    Some(bollard::query_parameters::TopOptionsBuilder::new().ps_args("-eo pid,args").build()),
                )
                .await
                .ok()?;
            top.processes?.concat().concat().contains("sleep 1000").then_some(())
        })
        .await;
    };
    tokio::select! {
        output = sandbox.exec(request) => panic!("ended by itself: {output:?}"),
        () = begun => {}
    }
    assert_eq!(processes(&sandbox).await, IDLE);
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_command_that_ends_the_sandbox_is_a_value_and_the_sandbox_is_gone() {
    let kill = "echo begun; kill -9 -1; sleep 1000";
    // The sweeper is the shell that is the child of the container's init.
    let stop = "echo begun; for it in /proc/[0-9]*; do
        case $(cut -d' ' -f4 $it/stat) in 1) kill -STOP ${it#/proc/};; esac; done; sleep 1";
    tokio::join!(ends_its_sandbox(kill), ends_its_sandbox(stop));
}

async fn ends_its_sandbox(script: &str) {
    let sandbox = start(SANDBOX).await;
    let lost = sandbox.exec(shell_request(script)).await.unwrap();
    assert_eq!((lost.end, text(&lost.stdout).as_str()), (ExecEnd::EndedSandbox, "begun\n"), "{script}");
    assert!(!lost.passed());
    let again = sandbox.exec(shell_request("true")).await;
    assert!(matches!(again, Err(SandboxError::Lost { .. })), "{again:?}");
    assert!(docker().inspect_container(sandbox.id(), None).await.is_err());
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_sandbox_that_is_taken_away_is_an_error() {
    let sandbox = start(BUSYBOX).await;
    let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).build();
    docker().remove_container(sandbox.id(), Some(options)).await.unwrap();
    let lost = sandbox.exec(shell_request("true")).await;
    assert!(matches!(lost, Err(SandboxError::Lost { .. })), "{lost:?}");
    assert!(lost.unwrap_err().is_transient());
    sandbox.remove().await.unwrap();
}

#[tokio::test]
async fn a_missing_image_and_a_missing_engine_are_named() {
    let missing = engine().await.start(&spec("homeostat/no-such-image:9")).await.unwrap_err();
    assert_eq!(
        missing.to_string(),
        "the sandbox image `homeostat/no-such-image:9` is not on the engine: run `scripts/setup`, or pull or build it there"
    );
    assert!(!missing.is_transient());
    assert!(!engine().await.has_image("homeostat/no-such-image:9").await.unwrap());
    assert!(engine().await.has_image(BUSYBOX).await.unwrap());
    let away = Engine::connect(Some("unix:///nowhere/docker.sock")).await.unwrap_err();
    assert_eq!(away.to_string(), "failed to reach the container engine at `unix:///nowhere/docker.sock`");
    let bad = Engine::connect(Some("ssh://somewhere")).await.unwrap_err();
    assert!(matches!(bad, SandboxError::BadHost { .. }), "{bad:?}");
}

#[tokio::test]
async fn what_was_left_behind_is_reaped_and_nothing_else() {
    let engine = engine().await;
    let now = SystemClock.now();
    let base = spec(BUSYBOX);
    let live = engine.start(&base).await.unwrap();
    let dead_job = engine
        .start(&homeostat::sandbox::spec::SandboxSpec { job: JobId::new(), ..base.clone() })
        .await
        .unwrap();
    let overdue =
        homeostat::sandbox::spec::SandboxSpec { deadline: now - Duration::from_secs(60), ..base.clone() };
    let overdue = engine.start(&overdue).await.unwrap();
    let other = spec(BUSYBOX);
    let other_instance = engine.start(&other).await.unwrap();
    let abandoned = spec(BUSYBOX);
    let abandoned =
        homeostat::sandbox::spec::SandboxSpec { deadline: now - Duration::from_secs(7200), ..abandoned };
    let abandoned = engine.start(&abandoned).await.unwrap();

    let jobs = HashSet::from([base.job]);
    let listed = engine.sandboxes().await.unwrap();
    // Started after the list was made: that its job is not known as running says nothing.
    let late_spec = homeostat::sandbox::spec::SandboxSpec { job: JobId::new(), ..base.clone() };
    let late = engine.start(&late_spec).await.unwrap();
    let reaped = engine.reap(listed, &base.instance, &jobs, now).await;
    let mut names: Vec<String> = reaped.into_iter().map(|reaped| reaped.name).collect();
    assert!(shell(&late, "true").await.passed());
    // Whoever reaps first removes this one, a daemon of another test perhaps; and others may have left some behind.
    assert!(docker().inspect_container(abandoned.id(), None).await.is_err());
    names.retain(|name| [&live, &dead_job, &overdue, &other_instance].iter().any(|it| it.name() == name));
    names.sort();
    let mut expected = vec![dead_job.name().to_owned(), overdue.name().to_owned()];
    expected.sort();
    assert_eq!(names, expected);
    assert!(shell(&live, "true").await.passed() && shell(&other_instance, "true").await.passed());

    let removed = engine.remove_of_job(&other.instance, other.job).await.unwrap();
    assert_eq!(removed.len(), 1);
    for sandbox in [live, dead_job, overdue, other_instance, abandoned, late] {
        sandbox.remove().await.unwrap();
    }
}

#[test]
fn a_dropped_sandbox_is_removed_with_its_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dropped_inside = runtime().block_on(async { start(BUSYBOX).await.id().to_owned() });
    // Left behind by a task that goes away with the runtime, in the middle of a command.
    let ending = runtime();
    let id = ending.block_on(async {
        let sandbox = start(BUSYBOX).await;
        let id = sandbox.id().to_owned();
        tokio::spawn(async move { sandbox.exec(shell_request("sleep 1000")).await.unwrap() });
        tokio::task::yield_now().await;
        id
    });
    drop(ending);
    runtime().block_on(async {
        for id in [dropped_inside, id] {
            assert!(docker().inspect_container(&id, None).await.is_err());
        }
    });
}
