//! The config: the shipped file is the defaults, and every mistake is told in one line with its place and what to do.

#![expect(clippy::unwrap_used, reason = "a case that cannot be set up must fail")]

mod wrong;

use std::fmt::Write as _;
use std::path::Path;

use assert_cmd::Command;
use homeostat::config::{self, DEFAULT_TEXT, Settings};

/// Everything but where it was read from.
fn shown(mut settings: Settings) -> String {
    settings.file = Path::new("same").to_owned();
    let shown = format!("{settings:#?}");
    let mut is_in_lines = false;
    let mut kept = String::new();
    for line in shown.lines() {
        is_in_lines |= line.starts_with("    lines: {");
        if !is_in_lines {
            kept.push_str(line);
            kept.push('\n');
        }
        is_in_lines &= !(line.starts_with("    }") || line == "    lines: {},");
    }
    assert!(!kept.contains("\n    lines"), "the lines are left out");
    kept
}

#[test]
fn the_shipped_file_is_the_defaults() {
    let shipped = config::parse(Path::new("config/default.toml"), DEFAULT_TEXT).unwrap();
    let empty = config::parse(Path::new("empty"), "").unwrap();
    let (shipped, empty) = (shown(shipped), shown(empty));
    let differing = shipped.lines().zip(empty.lines()).find(|(a, b)| a != b);
    assert_eq!(differing, None);
    assert_eq!(shipped.len(), empty.len());
}

/// What is commented out in the shipped file is an example: it must be known too, or people copy what does not work.
#[test]
fn every_example_in_the_shipped_file_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush").unwrap();
    let mut text = String::new();
    for line in DEFAULT_TEXT.lines() {
        let example =
            line.strip_prefix('#').filter(|it| it.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()));
        text.push_str(example.unwrap_or(line));
        text.push('\n');
    }
    let problems = config::parse(Path::new("homeostat.toml"), &text).err().unwrap_or_default();
    let unknown: Vec<String> =
        problems.iter().filter(|it| it.message.contains("unknown")).map(ToString::to_string).collect();
    assert_eq!(unknown, Vec::<String>::new());
}

/// Where the unit is used, each credential that the shipped file names is one that the unit loads.
#[test]
fn the_unit_loads_the_credentials_of_the_shipped_file() {
    let unit = include_str!("../../systemd/homeostat.service");
    let named = DEFAULT_TEXT.split("{ credential = \"").skip(1).filter_map(|rest| rest.split('"').next());
    let named: Vec<&str> = named.filter(|name| *name != "name").collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(unit.lines().any(|line| line == format!("LoadCredential={name}")), "{name}");
    }
}

#[test]
fn every_mistake_is_told_in_one_line() {
    let mut told = String::new();
    for (what, text) in wrong::CASES {
        let problems = config::parse(Path::new("homeostat.toml"), text).err().unwrap_or_default();
        assert!(!problems.is_empty(), "{what} is accepted");
        writeln!(told, "# {what}\n{}\n", text.trim()).unwrap();
        for problem in problems {
            let line = problem.to_string();
            assert!(!line.contains('\n'), "{line}");
            assert!(!problem.hint.is_empty(), "`{line}` says what to do");
            writeln!(told, "-> {line}").unwrap();
        }
        told.push('\n');
    }
    insta::assert_snapshot!("every_mistake", told);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let problems = config::parse(Path::new("homeostat.toml"), wrong::EVERYTHING).unwrap_err();
    let lines: Vec<Option<usize>> = problems.iter().map(|it| it.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("all_at_once", told.join("\n"));
}

#[test]
fn mistakes_in_rule_files_name_the_rule_file() {
    let mut told = String::new();
    for (what, rules) in wrong::RULE_FILES {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("own.toml"), rules).unwrap();
        let text = format!("[rules]\nshipped = false\nfolders = [\"{}\"]\n", folder.path().display());
        let problems = match config::parse(Path::new("homeostat.toml"), &text) {
            Ok(settings) => settings.rules.check_examples().into_iter().map(Into::into).collect(),
            Err(problems) => problems,
        };
        assert!(!problems.is_empty(), "{what} is accepted");
        writeln!(told, "# {what}\n{}\n", rules.trim()).unwrap();
        for problem in problems {
            let line = problem.to_string().replace(&folder.path().display().to_string(), "RULES");
            assert!(!line.contains('\n'), "{line}");
            writeln!(told, "-> {line}").unwrap();
        }
        told.push('\n');
    }
    insta::assert_snapshot!("rule_files", told);
}

#[test]
fn secrets_never_show() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "hush-hush-1234\n").unwrap();
    std::fs::write(folder.path().join("url"), "https://hooks.example/hush-hush").unwrap();
    let text = format!(
        "[http]\nlisten = \"0.0.0.0:1\"\ntoken = {{ file = \"{0}\" }}\n[agent]\nkey = {{ file = \"{0}\" }}\n[github]\ntoken = {{ file = \"{0}\" }}\n\
         [database]\nurl = \"postgres://user@host/name\"\npassword = {{ file = \"{0}\" }}\n\
         [[messenger]]\nkind = \"slack\"\nurl = {{ file = \"{1}/url\" }}\n\
         [alerts.loki]\nurl = \"http://loki:3100\"\ntoken = {{ file = \"{0}\" }}\n",
        secret.display(),
        folder.path().display()
    );
    let settings = config::parse(Path::new("homeostat.toml"), &text).unwrap();
    assert!(
        settings.http.token.as_ref().is_some_and(|it| it.matches("hush-hush-1234")),
        "blanks are cut off"
    );
    assert!(settings.store.url.contains("hush-hush-1234"), "the password is put in");
    assert!(!format!("{settings:?}").contains("hush"), "but never shown");
}

#[test]
fn links_lead_to_where_the_dashboard_listens() {
    for (listen, more, expected) in [
        ("127.0.0.1:8686", "", "http://127.0.0.1:8686/"),
        ("127.0.0.1:9000", "", "http://127.0.0.1:9000/"),
        ("[::1]:9000", "", "http://[::1]:9000/"),
        ("0.0.0.0:9000", "token = { env = \"PATH\" }", "http://127.0.0.1:9000/"),
        ("192.0.2.7:80", "token = { env = \"PATH\" }", "http://192.0.2.7/"),
        ("127.0.0.1:0", "", "http://127.0.0.1:8686/"),
        ("127.0.0.1:9000", "public_url = \"https://homeostat.example\"", "https://homeostat.example/"),
    ] {
        let text = format!("[http]\nlisten = \"{listen}\"\n{more}\n");
        let settings = config::parse(Path::new("homeostat.toml"), &text).unwrap();
        assert_eq!(settings.http.public_url.as_str(), expected, "{listen}");
    }
}

/// Runs `homeostat check` on a config; gives the exit code and what was printed for people, with the folder as `DIR`.
fn check(arguments: &[&str], text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("homeostat.toml");
    let here = folder.path().display().to_string();
    std::fs::write(&file, text.replace("DIR", &here)).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/own.toml"), wrong::RULE_FILES[0].1).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_homeostat"))
        .args(arguments)
        .arg("--config")
        .arg(&file)
        .timeout(std::time::Duration::from_secs(120))
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap().replace(&here, "DIR"))
}

#[test]
fn a_wrong_config_ends_every_command_with_78() {
    let text = "[docker]\nhosts = \"unix:///x.sock\"\n\n[state]\nfolder = \"here\"\n";
    let expected = "DIR/homeostat.toml:2: docker.hosts: unknown key; did you mean `host`?\n\
                    DIR/homeostat.toml:5: state.folder: is a relative path; write the whole path: a daemon has no folder of its own\n";
    for arguments in
        [&["check"][..], &["check", "--offline"], &["run"], &["status"], &["issue", "list"], &["pause"]]
    {
        assert_eq!(check(arguments, text), (Some(78), expected.to_owned()), "{arguments:?}");
    }
    let (code, told) = check(&["check", "--offline"], "[state]\nfolder = \"DIR\"\n");
    assert_eq!((code, told.as_str()), (Some(0), ""));
}

/// What the five classic mistakes look like together: one line each, and the service that is away among them.
#[test]
fn mistakes_of_every_kind_are_told_at_once() {
    let text = "[state]\nfolder = \"DIR\"\n\n[docker]\nhost = \"unix://DIR/no.sock\"\nexcude = {}\n\n\
        [rules]\nfolders = [\"DIR/rules\"]\n\n[[redact.pattern]]\nname = \"customer\"\npattern = \"CUST-(\"\n\n\
        [agent]\nkey = { file = \"DIR/no-key\" }\nmodel = \"claude-unheard-of-9\"\n\n\
        [[service]]\nname = \"shop\"\nrout = \"fix\"\n\n[database]\nurl = \"postgres://me:hunter2@127.0.0.1:1/none\"\n";
    let (code, told) = check(&["check"], text);
    assert_eq!(code, Some(78));
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!("of_every_kind", told);
    let (code, at_start) = check(&["run"], text);
    let needs_no_service = |line: &&str| !line.contains("docker.host: ") && !line.contains("database.url: ");
    let expected: Vec<&str> = told.lines().filter(needs_no_service).collect();
    assert_eq!((code, at_start.lines().collect::<Vec<_>>()), (Some(78), expected));
}

/// What the daemon says when it cannot start, and whether systemd should try again.
#[test]
fn a_daemon_that_cannot_start_says_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let quiet = "[docker]\nenabled = false\n[heal]\nenabled = false\n";
    let state = "[state]\nfolder = \"DIR\"\n";
    let mut told = String::new();
    for (what, text) in [
        ("an address that is taken", format!("{state}[http]\nlisten = \"{taken}\"\n")),
        (
            "an address of another machine",
            format!("{state}[http]\nlisten = \"192.0.2.1:8686\"\ntoken = {{ env = \"PATH\" }}\n"),
        ),
        (
            "a folder that cannot be made",
            "[state]\nfolder = \"/proc/nothing\"\n[http]\nlisten = \"127.0.0.1:0\"\n".to_owned(),
        ),
        (
            "a database that is away",
            format!(
                "{state}[http]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = \"postgres://me:hunter2@127.0.0.1:1/none\"\n"
            ),
        ),
        (
            "a file that is no database",
            format!(
                "{state}[http]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = \"sqlite://DIR/homeostat.toml\"\n"
            ),
        ),
    ] {
        let (code, said) = check(&["run"], &(text + quiet));
        writeln!(told, "# {what}\n{}-> {code:?}\n", said.replace(&taken, "TAKEN")).unwrap();
    }
    insta::assert_snapshot!("cannot_start", told);
}

#[test]
fn a_missing_config_file_is_78() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_homeostat"));
    let output = command.args(["check", "--config", "/nonexistent/homeostat.toml"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(told.starts_with("/nonexistent/homeostat.toml: failed to read the config file: "), "{told}");
}

#[test]
fn a_service_that_is_away_is_69() {
    let text = "[state]\nfolder = \"DIR\"\n\n[docker]\nhost = \"unix://DIR/no.sock\"\n";
    let (code, told) = check(&["check"], text);
    assert_eq!(code, Some(69), "{told}");
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("DIR/homeostat.toml:5: docker.host: "), "{first}");
    assert!(first.ends_with("; start the engine, or name another with `host`"), "{first}");

    let text = "[state]\nfolder = \"DIR\"\n\n[docker]\nenabled = false\n\n[database]\nurl = \"postgres://homeostat@127.0.0.1:1/none\"\n";
    let (code, told) = check(&["check"], text);
    assert_eq!(code, Some(69), "{told}");
    let first = told.lines().next().unwrap();
    assert!(first.starts_with("DIR/homeostat.toml:8: database.url: "), "{first}");
    assert!(first.ends_with("; start the database, or set `url`"), "{first}");
    let (code, told) = check(&["status"], text);
    assert_eq!(code, Some(69), "{told}");

    let quiet = "[state]\nfolder = \"DIR\"\n[docker]\nenabled = false\n";
    let (code, told) = check(&["check"], &format!("{quiet}[alerts.loki]\nurl = \"http://127.0.0.1:1\"\n"));
    assert_eq!(code, Some(69), "{told}");
    assert!(told.starts_with("DIR/homeostat.toml:6: alerts.loki.url: failed to ask Loki: "), "{told}");
    assert!(
        told.ends_with(
            "; start Loki, or set `url`; until then alerts are stored without the lines behind them\n"
        ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn what_the_readme_shows_is_right() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2, "{blocks:?}");
    let folder = tempfile::tempdir().unwrap();
    for name in ["anthropic-key", "github-token"] {
        std::fs::write(folder.path().join(name), "a-secret").unwrap();
    }
    let file = folder.path().join("homeostat.toml");
    let state = format!("[state]\nfolder = \"{}\"\n", folder.path().join("state").display());
    std::fs::write(&file, state + &blocks.concat()).unwrap();
    let mut check = Command::cargo_bin("homeostat").unwrap();
    check.args(["check", "--offline", "--config"]).arg(&file).env("CREDENTIALS_DIRECTORY", folder.path());
    check.assert().success();
}
