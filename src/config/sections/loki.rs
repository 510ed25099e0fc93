//! `[[loki]]`: queries of a Loki whose lines are watched.

use std::collections::HashMap;
use std::time::Duration;

use super::super::document::Section;
use super::alerts::{names, tenant};
use crate::watch::source::loki::{Auth, Query, Server, Settings};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Labels that name the service, in this order.
pub(super) const SERVICE_LABELS: [&str; 7] =
    ["service", "service_name", "app", "container", "compose_service", "job", "unit"];

/// Reads `[[loki]]`.
pub(in crate::config) fn loki(root: &Section<'_>) -> Settings {
    let mut queries: Vec<Query> = Vec::new();
    let mut lines_of_names: HashMap<String, Option<usize>> = HashMap::new();
    for section in root.sections("loki") {
        let query = query(&section);
        if let Some(query) = query {
            match lines_of_names.get(&query.name) {
                Some(first) => {
                    let first = first.map_or_else(String::new, |line| format!(", in line {line}"));
                    let message = format!("this query is there already{first}");
                    section.wrong::<()>(
                        "query",
                        None,
                        message,
                        "leave one of them out, or give both a `name`",
                    );
                }
                None => {
                    lines_of_names.insert(query.name.clone(), section.line_of("query"));
                    queries.push(query);
                }
            }
        }
        section.finish();
    }
    Settings { queries }
}

fn query(section: &Section<'_>) -> Option<Query> {
    let url = section.web_address("url");
    let query = section.read("query", |value| {
        let hint = "write a log query that begins with a stream selector: '{job=\"apps\"}'";
        let text = value.as_str().map(str::trim).filter(|it| it.starts_with('{') && it.contains('}'));
        text.map(str::to_owned).ok_or_else(|| hint.to_owned())
    });
    for (key, example) in [("url", "url = \"http://loki:3100\""), ("query", "query = '{job=\"apps\"}'")] {
        if !section.has(key) {
            section.wrong::<()>(key, None, "is missing", format!("write {example}"));
        }
    }
    let name = section.text("name").map(|found| found.value);
    let tenant = tenant(section);
    let auth = auth(section);
    let default = SERVICE_LABELS.iter().map(|it| (*it).to_owned()).collect();
    let service_labels = names(section, "service_labels", "[\"service\", \"job\"]", default);
    let lag = section.duration("lag", Duration::ZERO..=HOUR, 5 * SECOND);
    let poll_every = section.duration("poll_every", SECOND / 10..=HOUR, SECOND);
    let has_tail = section.flag("tail", true);
    let look_back = section.duration("look_back", Duration::ZERO..=30 * 24 * HOUR, Duration::ZERO);
    let max_range = section.duration("max_range", SECOND..=720 * HOUR, HOUR);
    let (url, query) = (url?.value, query?.value);
    let name = name.unwrap_or_else(|| {
        let what = format!("{url} {} {query}", tenant.as_deref().unwrap_or_default());
        blake3::hash(what.as_bytes()).to_hex().chars().take(16).collect()
    });
    let server = Server { url, tenant, auth };
    Some(Query { name, server, query, service_labels, lag, poll_every, has_tail, look_back, max_range })
}

/// Reads `token`, or `user` and `password`.
fn auth(section: &Section<'_>) -> Option<Auth> {
    let token = section.secret("token");
    let user = section.text("user");
    let password = section.secret("password");
    if section.has("token") && (section.has("user") || section.has("password")) {
        section.wrong::<()>("token", None, "stands beside a user", "write `token`, or `user` and `password`");
    } else if section.has("user") != section.has("password") {
        let key = if section.has("user") { "password" } else { "user" };
        section.wrong::<()>(key, None, "is missing", "`user` and `password` need each other");
    }
    match (token, user, password) {
        (Some(token), _, _) => Some(Auth::Bearer(token)),
        (None, Some(user), Some(password)) => Some(Auth::Basic { user: user.value, password }),
        (None, _, _) => None,
    }
}
