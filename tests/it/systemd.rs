//! The unit that is shipped: systemd itself finds nothing wrong with it, and rates what is left open to the daemon.

use std::path::{Path, PathBuf};
use std::process::Command;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/homeostat.service");

/// systemd's own scale: 0 is closed, 10 is open; below 2 it says "OK". What remains is what the daemon is for: sockets and the network.
const MAX_EXPOSURE: f64 = 2.0;

#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let (is_fine, output) = verify(&unit_with(folder.path(), |unit| unit));
    assert_eq!((is_fine, output.as_str()), (true, ""));
}

#[test]
fn systemd_would_name_a_mistake_in_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let (_, output) =
        verify(&unit_with(folder.path(), |unit| unit.replace("ProtectHome=yes", "ProtectHouse=yes")));
    assert!(output.contains("ProtectHouse"), "{output}");
}

#[test]
fn the_unit_leaves_little_open() {
    let exposure = exposure(Path::new(UNIT));
    assert!(exposure <= MAX_EXPOSURE, "exposure is {exposure}");

    let folder = tempfile::tempdir().unwrap();
    let open = unit_with(folder.path(), |unit| unit.replace("CapabilityBoundingSet=\n", ""));
    assert!(self::exposure(&open) > exposure, "the rating sees what is left out");
}

#[test]
fn the_daemon_says_when_it_is_up_and_that_it_lives() {
    let unit = std::fs::read_to_string(UNIT).unwrap();
    let settings: Vec<&str> = unit.lines().collect();
    for setting in [
        "Type=notify",
        "WatchdogSec=30s",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "RestartPreventExitStatus=64 78",
        "LoadCredential=anthropic-key",
        "StateDirectory=homeostat",
        "Environment=RUST_BACKTRACE=0",
    ] {
        assert!(settings.contains(&setting), "the unit lacks {setting}");
    }
}

/// A changed copy of the unit whose program exists here.
fn unit_with(folder: &Path, change: impl FnOnce(String) -> String) -> PathBuf {
    let unit = std::fs::read_to_string(UNIT).expect("the unit can be read");
    let unit = unit.replace("/usr/local/bin/homeostat", env!("CARGO_BIN_EXE_homeostat"));
    let path = folder.join("homeostat.service");
    std::fs::write(&path, change(unit)).expect("a temporary file can be written");
    path
}

/// Whether `systemd-analyze verify` accepts a unit, and what it says about it.
fn verify(unit: &Path) -> (bool, String) {
    let output = systemd_analyze(&["verify", "--man=no"], unit);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // It looks at the machine's own units too, and may complain about those.
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("homeostat.service")).collect();
    (output.status.success(), about_ours.join("\n"))
}

/// The overall exposure level, 0 to 10.
fn exposure(unit: &Path) -> f64 {
    let output = systemd_analyze(&["security", "--offline=true", "--no-pager"], unit);
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
    let level = line.rsplit(": ").next().and_then(|rest| rest.split(' ').next());
    level.and_then(|level| level.parse().ok()).unwrap_or_else(|| panic!("no exposure level in: {said}"))
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> std::process::Output {
    Command::new("systemd-analyze")
        .args(arguments)
        .arg(unit)
        .env("LC_ALL", "C.UTF-8")
        .env("SYSTEMD_COLORS", "0")
        .output()
        .expect("systemd-analyze is there: scripts/setup test")
}
