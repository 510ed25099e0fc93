//! `homeostat explain`: every step of a record, two records side by side, and what the config decides about a service's errors.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run must fail the test")]

use std::path::Path;

use serde_json::Value;

use super::{TRACE, run};

fn file(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// The value of the lines that begin with this word.
fn told(output: &str, name: &str) -> Vec<String> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(name));
    lines.map(|it| it.trim_start().to_owned()).collect()
}

#[test]
fn every_step_is_shown() {
    let text = format!("2026-01-02 10:00:00 ERROR shop - order failed\n{TRACE}");
    let (code, output, errors) = run(&["explain"], &text);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(told(&output, "rule "), ["python.traceback (error)"]);
    let lines: Vec<String> = told(&output, "line ")
        .iter()
        .map(|it| it.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        lines,
        [
            "begins block head",
            "belongs python frames",
            "belongs python frames",
            "belongs python frames",
            "belongs python message"
        ]
    );
    assert_eq!(told(&output, "runtime "), ["python"]);
    assert!(told(&output, "identity ")[0].starts_with("h1:"), "{output}");
}

#[test]
fn two_records_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let one = file(folder.path(), "one", TRACE);
    let moved = file(folder.path(), "moved", &TRACE.replace("/app", "/srv/x").replace("41", "55"));
    let other = file(folder.path(), "other", &TRACE.replace("average_price", "total"));
    let (code, output, _) = run(&["explain", "--diff", &one, &moved], "");
    assert_eq!((code, output.lines().next().unwrap().split(' ').next()), (0, Some("same")), "{output}");
    assert_eq!(told(&output, "exact "), ["different"]);
    let (_, output, _) = run(&["explain", "--diff", &one, &other], "");
    assert!(output.starts_with("different A is h1:"), "{output}");
    assert!(output.contains("          A average_price cart.py"), "{output}");
    let (_, output, _) = run(&["explain", "--json", "--diff", &one, &other], "");
    let row: Value = serde_json::from_str(&output).unwrap();
    let differs: Vec<_> = row["hashed"].as_array().unwrap().iter().filter(|it| it["in"] != "both").collect();
    assert_eq!((row["same"].clone(), differs.len()), (Value::from(false), 2), "{row}");
}

#[test]
fn the_config_decides_about_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let config = format!(
        "[state]\nfolder = \"{state}\"\n[docker]\nenabled = false\n\
         [[fingerprint]]\nname = \"stock\"\nservice = [\"shop\"]\nmessage = 'no stock'\nfingerprint = [\"stock\"]\nseverity = \"warning\"\n\
         [[fingerprint]]\nservice = [\"shop\"]\ntype = [\"ZeroDivision*\"]\nignore = true\n\
         [[fingerprint]]\nservice = [\"mail\"]\npath = [\"*/shop/*\"]\nin_app = false\n"
    );
    let config = file(folder.path(), "homeostat.toml", &config);
    let log = file(
        folder.path(),
        "app.log",
        &format!(
            "ERROR no stock of apples\nERROR a basket has no stock\nERROR no money\nlistening on port 8080\n{TRACE}"
        ),
    );
    let rows = |service: &str| -> Vec<(String, String)> {
        let (code, output, errors) = run(&["scan", "--config", &config, "--service", service, &log], "");
        assert_eq!((code, errors.as_str()), (0, ""));
        let rows = output.lines().map(|it| serde_json::from_str::<Value>(it).unwrap());
        rows.map(|it| (it["identity"].as_str().unwrap().to_owned(), it["severity"].to_string())).collect()
    };
    let (shop, mail, none) = (rows("shop"), rows("mail"), rows("none"));
    assert_eq!((shop.len(), mail.len(), none.len()), (3, 4, 4));
    assert_eq!(shop[0], shop[1]);
    assert_eq!(shop[0].1, "\"warning\"");
    assert_eq!(shop[2], none[2]);
    assert_eq!((&mail[..3], mail[3] == none[3]), (&none[..3], false));

    let explain =
        |service: &str, text: &str| run(&["explain", "--config", &config, "--service", service], text).1;
    let decided = told(&explain("shop", "ERROR no stock left"), "decided ");
    assert_eq!(decided, ["by stock: the identity is the rule's: the severity is warning"]);
    let decided = told(&explain("shop", TRACE), "decided ");
    assert_eq!(decided, ["by fingerprint[2]: it is ignored"]);
    assert!(told(&explain("none", TRACE), "decided ").is_empty());
    let (_, printed, _) =
        run(&["fingerprint", "--config", &config, "--service", "shop"], "ERROR no stock left");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(printed["identity"].as_str(), Some(&*shop[0].0));
}
