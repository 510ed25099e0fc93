//! The contract of the command line: help, exit codes, output that others script against.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run must fail the test")]

mod explain;
mod identity;
mod rules;
mod scan;
mod store;

use assert_cmd::Command;
use serde_json::Value;

const TRACE: &str = "Traceback (most recent call last):\n  File \"/app/shop/cart.py\", line 41, in average_price\n    return total / len(items)\nZeroDivisionError: division by zero\n";

/// Every command, as typed.
const COMMANDS: &[&[&str]] = &[
    &["run"],
    &["check"],
    &["scan"],
    &["replay"],
    &["explain"],
    &["fingerprint"],
    &["demo"],
    &["status"],
    &["issue"],
    &["issue", "list"],
    &["issue", "show"],
    &["issue", "mute"],
    &["issue", "unmute"],
    &["issue", "retry"],
    &["job"],
    &["job", "list"],
    &["job", "show"],
    &["job", "cancel"],
    &["job", "requeue"],
    &["job", "replay"],
    &["spend"],
    &["pause"],
    &["resume"],
];

pub(crate) fn homeostat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    command.env_remove("HOMEOSTAT_CONFIG").env("USER", "tester").env_remove("SUDO_USER");
    command.timeout(std::time::Duration::from_secs(120));
    command
}

/// Exit code, standard output and standard error.
fn run(arguments: &[&str], input: &str) -> (i32, String, String) {
    let output = homeostat().args(arguments).write_stdin(input).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn every_command_has_help_with_an_example() {
    let (code, told, _) = run(&["--help"], "");
    assert_eq!(code, 0);
    assert!(
        told.contains(
            "Exit codes: 0 ok, 1 failure, 64 usage, 69 a needed service is away, 78 configuration."
        )
    );
    for command in COMMANDS {
        let (code, told, errors) = run(&[*command, &["--help"][..]].concat(), "");
        assert_eq!((code, errors.as_str()), (0, ""), "{command:?}");
        let example = format!("homeostat {}", command.join(" "));
        let is_shown = told.contains("Example") && told.contains(&example);
        assert!(is_shown, "{command:?} shows `{example}`:\n{told}");
    }
    let listed = told.lines().skip_while(|it| !it.starts_with("Commands:")).skip(1);
    let listed = listed.take_while(|it| !it.trim().is_empty()).filter_map(|it| it.split_whitespace().next());
    let known: Vec<&str> =
        COMMANDS.iter().filter(|it| it.len() == 1).map(|it| it[0]).chain(["help"]).collect();
    assert_eq!(listed.collect::<Vec<_>>(), known, "every command is in the list above");
}

#[test]
fn commands_that_print_data_have_json() {
    let printing: &[&[&str]] = &[
        &["check"],
        &["scan"],
        &["replay"],
        &["demo"],
        &["status"],
        &["issue", "list"],
        &["issue", "show"],
        &["job", "list"],
        &["job", "show"],
        &["spend"],
    ];
    for command in printing {
        let (_, told, _) = run(&[*command, &["--help"][..]].concat(), "");
        assert!(told.contains("--json"), "{command:?}");
    }
}

#[test]
fn wrong_usage_is_64() {
    let cases: &[&[&str]] = &[
        &[],
        &["heal"],
        &["status", "--yaml"],
        &["scan"],
        &["job", "show", "seven"],
        &["job", "list", "--limit", "many"],
        &["issue", "mute", "h1:aaaa", "--for", "ages"],
        &["demo", "--listen", "here"],
    ];
    for arguments in cases {
        let (code, _, errors) = run(arguments, "");
        assert_eq!(code, 64, "{arguments:?}: {errors}");
        assert!(!errors.is_empty(), "{arguments:?} says why");
    }
}

#[test]
fn the_version_is_told() {
    let (code, told, _) = run(&["--version"], "");
    assert_eq!((code, told), (0, format!("homeostat {}\n", env!("CARGO_PKG_VERSION"))));
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[test]
fn fingerprint_prints_what_was_agreed() {
    let (code, told, errors) = run(&["fingerprint"], TRACE);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(told.lines().count(), 1);
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(keys(&value), ["exact", "frames", "identity", "place", "runtime", "template", "type"]);
    let identity = value["identity"].as_str().unwrap();
    let digits = identity.strip_prefix("h1:").unwrap();
    assert!(digits.len() == 64 && digits.bytes().all(|it| it.is_ascii_hexdigit()), "{identity}");
    assert_eq!(value["runtime"], "python");
    assert_eq!(value["type"], "ZeroDivisionError");
    let frame = serde_json::json!({ "function": "average_price", "module": null, "file": "/app/shop/cart.py", "in_app": true });
    assert_eq!(value["frames"], serde_json::json!([frame]));

    let (code, told, _) = run(&["fingerprint", "-"], "ERROR order 4711 failed after 12 ms\n");
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, &value["runtime"], &value["place"], &value["type"]),
        (0, &"message".into(), &Value::Null, &Value::Null)
    );
    assert!(value["template"].as_str().unwrap().contains("<num>"), "{value}");
}

#[test]
fn fingerprint_reads_json_lines_in_order() {
    let row = |id: u32, text: &str| serde_json::json!({ "id": id, "trace": text }).to_string();
    let input =
        format!("{}\n\n{}\n{}\n", row(1, TRACE), row(2, "ERROR order 7 failed"), row(3, TRACE.trim_end()));
    let (code, told, errors) = run(&["fingerprint", "--jsonl", "trace"], &input);
    assert_eq!((code, errors.as_str()), (0, ""));
    let rows: Vec<Value> = told.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let (_, alone, _) = run(&["fingerprint"], TRACE);
    let alone: Value = serde_json::from_str(&alone).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0], &rows[2]), (&alone, &alone), "the same record is the same however it comes");
    assert_eq!(rows[1]["runtime"], "message");

    for (input, expected) in [
        ("{\"trace\": \"x\"}\nnope\n", "error: line 2 of `-`: no JSON"),
        ("{\"text\": \"x\"}\n", "error: line 1 of `-`: no text in the field `trace`"),
        ("{\"trace\": 7}\n", "error: line 1 of `-`: no text in the field `trace`"),
    ] {
        let (code, _, errors) = run(&["fingerprint", "--jsonl", "trace"], input);
        assert_eq!(code, 1, "{input}");
        assert!(errors.starts_with(expected), "{errors}");
    }
    let (code, _, errors) = run(&["fingerprint", "/nonexistent/trace.txt"], "");
    assert_eq!(code, 1);
    assert!(errors.starts_with("error: failed to open `/nonexistent/trace.txt`: "), "{errors}");
}

#[test]
fn explain_shows_the_way_to_the_same_fingerprint() {
    let (_, row, _) = run(&["fingerprint"], TRACE);
    let (code, told, _) = run(&["explain", "--json"], TRACE);
    assert_eq!((code, &told), (0, &row));
    let (code, told, _) = run(&["explain"], TRACE);
    let identity: Value = serde_json::from_str(&row).unwrap();
    assert_eq!(code, 0);
    assert!(told.contains(identity["identity"].as_str().unwrap()), "{told}");
    assert!(told.contains("average_price"), "{told}");
}

/// A reader that has seen enough (`head`) is no failure.
#[test]
fn a_closed_pipe_is_an_ordinary_end() {
    let rows = "{\"trace\": \"ERROR something failed\"}\n".repeat(20_000);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    let script = format!(
        "set -o pipefail; '{}' fingerprint --jsonl trace '{}' | head -n 1",
        env!("CARGO_BIN_EXE_homeostat"),
        file.display()
    );
    let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}
