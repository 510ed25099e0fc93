//! The HTTP server from outside: who comes in, what every answer carries, what the actions do, how it stops.

#![expect(clippy::unwrap_used, reason = "an answer that cannot be read must fail the test")]

mod actions;
mod alerts;
mod daemon;
mod guard;
mod merges;
mod server;

use reqwest::{Client, Method, StatusCode};

use crate::pages::server::Server;

/// What is looked at of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }
}

/// A visitor that follows no redirect and keeps no cookie.
pub(crate) fn visitor() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

pub(crate) async fn ask(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    ask_with(server, method, path, headers, "").await
}

pub(crate) async fn ask_with(
    server: &Server,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = visitor().request(method, server.url(path)).body(body.to_owned());
    if !body.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, headers, body: answer.text().await.unwrap() }
}

pub(crate) async fn get(server: &Server, path: &str) -> Answer {
    ask(server, Method::GET, path, &[]).await
}

pub(crate) async fn post(server: &Server, path: &str, body: &str) -> Answer {
    ask_with(server, Method::POST, path, &[], body).await
}

pub(crate) const SEE_OTHER: u16 = StatusCode::SEE_OTHER.as_u16();
