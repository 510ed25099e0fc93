//! What `check` says of rules as a whole, and what `replay` says of rules that are tried.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run must fail the test")]

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use homeostat::base::clock::{Clock, SystemClock};
use serde_json::Value;

use super::run;
use crate::support::loki::{Fault, Loki};

fn rule(id: &str, action: &str, pattern: &str, example: &str) -> String {
    format!(
        "[[rule]]\nid = '{id}'\nseverity = 'error'\naction = '{action}'\nany = ['{pattern}']\nmatch = ['{example}']\n"
    )
}

/// A config without anything but the rules of its folder.
fn config(folder: &Path, rules: &str) -> String {
    let rules_folder = folder.join("rules");
    std::fs::create_dir_all(&rules_folder).unwrap();
    std::fs::write(rules_folder.join("a.toml"), rules).unwrap();
    let file = folder.join("homeostat.toml");
    let text = format!(
        "[state]\nfolder = \"{}\"\n[docker]\nenabled = false\n[rules]\nshipped = false\nfolders = [\"{}\"]\n",
        folder.join("state").display(),
        rules_folder.display()
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn check_names_dead_rules_and_what_rules_cost() {
    let folder = tempfile::tempdir().unwrap();
    let rules = [
        rule("shop.wide", "issue", "order \\d+ fails", "order 7 fails"),
        rule("shop.dead", "issue", "big order \\d+ fails", "big order 7 fails"),
        rule("shop.slow", "count", "\\d\\d\\d\\d\\d\\d\\d", "1234567"),
    ];
    let config = config(folder.path(), &rules.concat());
    let (code, told, errors) = run(&["check", "--offline", "--config", &config], "");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(told.starts_with("3 rules, 0 problems\n"), "{told}");
    assert!(told.contains("shop.slow has no literal"), "{told}");
    assert!(
        told.contains(
            "a.toml:7: shop.dead: id: dead: all that its examples show is found by `shop.wide` first"
        ),
        "{told}"
    );

    let lines = folder.path().join("lines.log");
    std::fs::write(&lines, "ready\nbig order 7 fails\ntook 12345678 us\nready\n").unwrap();
    let cost = ["check", "--offline", "--json", "--config", &config, "--cost", lines.to_str().unwrap()];
    let (code, told, _) = run(&cost, "");
    assert_eq!(code, 0);
    let rows: Vec<Value> = told.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let of = |id: &str| rows.iter().find(|row| row["rule"] == id).unwrap();
    assert_eq!((&of("shop.wide")["looked_at"], &of("shop.wide")["hits"]), (&0.25.into(), &1.into()));
    assert_eq!(
        (&of("shop.slow")["looked_at"], &of("shop.slow")["search"]),
        (&1.0.into(), &"every-line".into())
    );
    assert!(of("shop.slow")["nanoseconds_a_line"].as_f64().unwrap() > 0.0);
    let (code, told, _) = run(&["check", "--offline", "--config", &config, "--cost"], "");
    assert!(code == 0 && told.contains("rules were never looked at"), "{told}");
}

#[test]
fn check_does_not_make_or_change_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &rule("shop.x", "issue", "order fails", "order fails"));
    let (code, _, errors) = run(&["check", "--config", &config], "");
    assert_eq!((code, errors.as_str()), (0, ""));
    assert!(!folder.path().join("state/homeostat.db").exists());
    let (code, _, _) = run(&["status", "--config", &config], "");
    assert_eq!(code, 0);
    let before = std::fs::read(folder.path().join("state/homeostat.db")).unwrap();
    assert_eq!(run(&["check", "--config", &config], "").0, 0);
    assert_eq!(std::fs::read(folder.path().join("state/homeostat.db")).unwrap(), before);
}

#[test]
fn replay_tells_what_other_rules_would_have_done() {
    let folder = tempfile::tempdir().unwrap();
    let old = [
        rule("shop.order", "issue", "order \\d+ fails", "order 7 fails"),
        rule("shop.stock", "issue", "stock is out", "stock is out"),
    ];
    let config = config(folder.path(), &old.concat());
    let tried = folder.path().join("tried");
    std::fs::create_dir(&tried).unwrap();
    // One counts what was an issue, one finds nothing any more, one is new.
    let new = [
        rule("shop.order", "count", "order \\d+ fails", "order 7 fails"),
        rule("shop.stock", "issue", "stock is gone", "stock is gone"),
        rule("shop.card", "issue", "card is refused", "card is refused"),
    ];
    std::fs::write(tried.join("b.toml"), new.concat()).unwrap();
    let log = folder.path().join("shop.log");
    std::fs::write(&log, "ready\norder 7 fails\ncard is refused\ncard is refused\nstock is out\n").unwrap();
    let mut rotated = GzEncoder::new(
        std::fs::File::create(folder.path().join("shop.log.1.gz")).unwrap(),
        Compression::fast(),
    );
    rotated.write_all(b"order 8 fails\n").unwrap();
    rotated.finish().unwrap();

    let log = log.to_str().unwrap();
    let arguments = ["replay", "--config", &config, "--rules", tried.to_str().unwrap(), "--json", log];
    let (code, told, errors) = run(&arguments, "");
    assert_eq!((code, errors.as_str()), (0, ""));
    let rows: Vec<Value> = told.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let brief = |row: &Value| {
        let count = |side: &str| row[side]["count"].as_u64().unwrap_or_default();
        (
            row["what"].as_str().unwrap().to_owned(),
            count("before"),
            count("after"),
            row["title"].as_str().unwrap().to_owned(),
        )
    };
    let mut issues: Vec<_> = rows.iter().filter(|row| row["what"].is_string()).map(brief).collect();
    issues.sort();
    let expected = [
        ("changed", 2, 2, "order 8 fails"),
        ("gone", 1, 0, "stock is out"),
        ("new", 0, 2, "card is refused"),
    ];
    assert_eq!(
        issues,
        expected.map(|(what, before, after, title)| (what.to_owned(), before, after, title.to_owned()))
    );
    let total = rows.last().unwrap();
    assert_eq!((&total["new"], &total["gone"], &total["changed"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&total["records_before"], &total["records_after"]), (&3.into(), &4.into()));

    let (code, told, errors) = run(&[&arguments[..5], &["--exit-code", log]].concat(), "");
    assert_eq!((code, errors.as_str()), (1, "error: 3 issues would be other\n"), "{told}");
    assert!(told.ends_with("1 new, 1 gone, 1 changed; 3 records before, 4 after\n"), "{told}");
    let same = ["replay", "--config", &config, "--new-config", &config, "--exit-code", log];
    assert_eq!(
        run(&same, ""),
        (0, "0 new, 0 gone, 0 changed; 3 records before, 3 after\n".to_owned(), String::new())
    );
    // What the service of the file leaves out is left out of both.
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str("[[service]]\nname = \"shop\"\nfiles = [\"");
    text.push_str(log);
    text.push_str("\"]\n[[service.rule]]\nrules = [\"shop.order\"]\noff = true\n");
    std::fs::write(&config, text).unwrap();
    let (code, told, errors) = run(&[&arguments[..5], &[log]].concat(), "");
    assert_eq!((code, errors.as_str()), (0, ""), "{told}");
    assert!(told.ends_with("1 new, 1 gone, 0 changed; 1 records before, 2 after\n"), "{told}");
    assert_eq!(run(&["replay", "--config", &config, log], "").0, 64);
}

#[test]
fn replay_takes_only_what_was_logged_since_then() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &rule("shop.order", "issue", "order \\d+ fails", "order 7 fails"));
    let now = SystemClock.now();
    let line = |hours: i64| {
        let at = now - jiff::SignedDuration::from_hours(hours);
        format!(
            "{}\n",
            serde_json::json!({"log": "order 7 fails\n", "stream": "stdout", "time": at.to_string()})
        )
    };
    let log = folder.path().join("a-json.log");
    std::fs::write(&log, [line(5), line(3), line(1)].concat()).unwrap();
    let log = log.to_str().unwrap();
    for (since, n) in [("2h", 1), ("4h", 2), ("9h", 3)] {
        let (code, told, _) =
            run(&["replay", "--config", &config, "--new-config", &config, "--since", since, log], "");
        assert_eq!(
            (code, told),
            (0, format!("0 new, 0 gone, 0 changed; {n} records before, {n} after\n")),
            "{since}"
        );
    }
}

#[tokio::test]
async fn replay_reads_what_a_query_of_loki_gave() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &rule("shop.order", "issue", "order \\d+ fails", "order 7 fails"));
    let tried = folder.path().join("tried");
    std::fs::create_dir(&tried).unwrap();
    std::fs::write(tried.join("b.toml"), rule("shop.card", "issue", "card is refused", "card is refused"))
        .unwrap();
    let loki = Loki::start().await;
    let mut text = std::fs::read_to_string(&config).unwrap();
    let query = |name: &str, app: &str| {
        format!("[[loki]]\nname = \"{name}\"\nurl = \"{}\"\nquery = '{{app=\"{app}\"}}'\n", loki.url())
    };
    text.push_str(&[query("shop", "shop"), query("other", "other")].concat());
    std::fs::write(&config, text).unwrap();
    let now = i64::try_from(SystemClock.now().as_nanosecond()).unwrap();
    let push = |app: &str, minutes: i64, text: &str| {
        loki.push(&[("app", app)], now - minutes * 60_000_000_000, text);
    };
    for (minutes, text) in
        [(90, "order 1 fails"), (50, "order 2 fails"), (40, "card is refused"), (30, "ready")]
    {
        push("shop", minutes, text);
    }
    push("other", 20, "card is refused");
    // More than a page, with refusals in between.
    for n in 0..3000 {
        push("shop", 10, &format!("order {n} fails"));
    }
    loki.with(|state| {
        state.faults.extend([Fault::Status(429, "too many outstanding requests"), Fault::CutWithin])
    });
    let replay = |name: &'static str| {
        let (config, tried) = (config.clone(), tried.display().to_string());
        tokio::task::spawn_blocking(move || {
            run(&["replay", "--config", &config, "--rules", &tried, "--since", "1h", "--loki", name], "")
        })
    };
    let total = |told: &str| told.lines().last().unwrap_or_default().to_owned();
    let (code, told, errors) = replay("shop").await.unwrap();
    assert_eq!((code, errors.as_str()), (0, ""), "{told}");
    assert_eq!(total(&told), "1 new, 0 gone, 0 changed; 3001 records before, 3002 after");
    let (_, told, _) = replay("all").await.unwrap();
    assert_eq!(total(&told), "1 new, 0 gone, 0 changed; 3001 records before, 3003 after");
    let (code, _, errors) = replay("shops").await.unwrap();
    assert_eq!(
        (code, errors.as_str()),
        (64, "error: the config has no [[loki]] query `shops`: shop, other\n")
    );
    loki.with(|state| state.tenant = Some("team-a"));
    let (code, _, errors) = replay("shop").await.unwrap();
    let refused = "error: failed to read the query `shop`: Loki answered 401 Unauthorized: no org id\n\
                   error: 1 of 1 files and queries could not be read\n";
    assert_eq!((code, errors.as_str()), (1, refused));
}
