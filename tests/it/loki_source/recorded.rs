//! Answers and errors of real servers, as they were recorded. They are not part of the project: `HOMEOSTAT_CORPUS` names the folder beside
//! theirs, and without it this test prints that it skips.

use std::path::PathBuf;

use axum::Router;
use axum::http::StatusCode;
use homeostat::watch::source::loki::{Client, LokiError, Range, Remedy, Server, read};
use serde_json::Value;

use super::T0;

fn folder() -> Option<PathBuf> {
    let folder = homeostat::base::env::path(homeostat::base::env::CORPUS)?.join("../fixtures/loki");
    folder.is_dir().then_some(folder)
}

/// The exchanges of a recording: status and body.
fn exchanges(recording: &Value) -> Vec<(u16, String)> {
    let one = std::slice::from_ref(recording);
    let all = recording["exchanges"].as_array().map_or(one, Vec::as_slice);
    let answer = |exchange: &Value| {
        let response = &exchange["response"];
        let status = response["line"].as_str()?.split(' ').nth(1)?.parse().ok()?;
        let body = response["body_decoded"].as_str().or_else(|| response["body"].as_str())?;
        Some((status, body.to_owned()))
    };
    all.iter().filter_map(answer).collect()
}

#[tokio::test]
async fn answers_of_real_servers_are_read() {
    let Some(folder) = folder() else {
        println!("skipped: there are no recordings beside HOMEOSTAT_CORPUS");
        return;
    };
    let (mut n_answers, mut n_entries, mut n_errors) = (0, 0, 0);
    for version in ["loki-2.8.0", "loki-3.4.6"] {
        for file in std::fs::read_dir(folder.join(version)).expect("the folder can be read") {
            let path = file.expect("an entry").path();
            let name = path.file_stem().and_then(|it| it.to_str()).expect("a name").to_owned();
            let is_about = |part: &str| name.starts_with(part);
            let is_json = path.extension().is_some_and(|it| it == "json");
            if !is_json || !(is_about("query-range") || is_about("page-") || is_about("error-")) {
                continue;
            }
            let recording = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
            for (status, body) in exchanges(&recording) {
                let is_log_query = body.contains("\"resultType\":\"streams\"");
                if status == 200
                    && is_log_query
                    && !body.contains('\u{2026}')
                    && body.trim_end().ends_with("}}")
                {
                    let streams =
                        read(body.as_bytes()).unwrap_or_else(|error| panic!("{version} {name}: {error}"));
                    n_answers += 1;
                    n_entries += streams.iter().map(|stream| stream.entries.len()).sum::<usize>();
                    let has_level = streams.iter().any(|stream| stream.labels.contains_key("detected_level"));
                    assert!(!has_level, "{version} {name}");
                } else if status >= 400 && is_about("error-") {
                    n_errors += 1;
                    let (said, remedy) = refusal(status, body.clone()).await;
                    let is_wait = ["error-too-many-outstanding"].contains(&name.as_str());
                    let is_shorter = ["error-query-timeout", "error-range-too-long"].contains(&name.as_str());
                    let is_fewer = name == "error-limit-too-big";
                    let expected = match (is_wait, is_shorter, is_fewer) {
                        (true, ..) => vec![Remedy::Wait],
                        (_, true, _) => vec![Remedy::ShorterRange],
                        (.., true) => vec![Remedy::AtMost(5000)],
                        // 2.8 gives these a 500, which may pass.
                        _ if status >= 500 => vec![Remedy::Mend, Remedy::Wait],
                        _ => vec![Remedy::Mend],
                    };
                    assert!(expected.contains(&remedy), "{version} {name}: {said} {remedy:?}");
                }
            }
        }
    }
    assert!(n_answers > 40 && n_entries > 200 && n_errors > 40, "{n_answers} {n_entries} {n_errors}");
}

/// What the client makes of an error.
async fn refusal(status: u16, body: String) -> (String, Remedy) {
    let status = StatusCode::from_u16(status).expect("a status");
    let router = Router::new().fallback(move || async move { (status, body) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let url = url::Url::parse(&url).expect("an address");
    let client = Client::new(Server { url, tenant: None, auth: None }, std::time::Duration::from_secs(10));
    let range = Range { query: "{a=\"b\"}", start: T0, end: T0 + 1, limit: 5001 };
    let error: LokiError = client.expect("a client").query_range(range).await.expect_err("it is refused");
    server.abort();
    (error.to_string(), error.remedy())
}
