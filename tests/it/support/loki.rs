//! A strict Loki: holds what is pushed and answers `query_range` and `series` as 2.8.0 and 3.4.6 do, errors and refusals among them. What
//! a client may not ask is answered with Loki's own text; what it should not rely on (the order of streams) changes from time to time.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::loki_tail::Tails;

pub(crate) type Labels = BTreeMap<String, String>;

/// What happens to a request instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This status and text.
    Status(u16, &'static str),
    /// The connection ends without a word.
    Cut,
    /// The answer ends in its middle.
    CutWithin,
}

/// What a Loki holds, and how it is set up.
#[derive(Debug)]
pub(crate) struct State {
    /// Entries in the order of their pushes.
    streams: BTreeMap<Labels, Vec<(i64, String)>>,
    pub(crate) faults: VecDeque<Fault>,
    /// `max_entries_limit_per_query`.
    pub(crate) max_limit: usize,
    /// `max_query_length`, in seconds.
    pub(crate) max_range_seconds: i64,
    /// Bytes of lines in an answer beyond which it never comes: `grpc_server_max_recv_msg_size`.
    pub(crate) max_answer_bytes: usize,
    /// Must be in `X-Scope-OrgID`.
    pub(crate) tenant: Option<&'static str>,
    /// Must be in `Authorization`.
    pub(crate) authorization: Option<&'static str>,
    /// Loki 3 with its levels, else Loki 2.
    pub(crate) is_3: bool,
    /// What its clock shows, in seconds since 1970.
    pub(crate) now: i64,
    pub(crate) tails: Tails,
    n_asked: usize,
    /// Targets of all requests that were answered with entries.
    pub(crate) asked: Vec<String>,
}

/// A running Loki.
#[derive(Debug)]
pub(crate) struct Loki {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Loki {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Loki {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State {
            streams: BTreeMap::new(),
            faults: VecDeque::new(),
            max_limit: 5000,
            max_range_seconds: 721 * 3600,
            max_answer_bytes: 4 << 20,
            tenant: None,
            authorization: None,
            is_3: true,
            // Always later than any clock of a test.
            now: 9_000_000_000,
            tails: Tails::new(),
            n_asked: 0,
            asked: Vec::new(),
        }));
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// For the settings of a client; with a slash at its end.
    pub(crate) fn url(&self) -> url::Url {
        url::Url::parse(&format!("http://{}/", self.address)).expect("an address")
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().expect("no test panics while it holds this"))
    }

    /// Pushes an entry; a repetition of time and line in a stream is dropped, as Loki does.
    pub(crate) fn push(&self, labels: &[(&str, &str)], nanos: i64, line: &str) {
        let labels: Labels =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.with(|state| {
            state.tails.push(&labels, nanos, line);
            let entries = state.streams.entry(labels).or_default();
            if !entries.iter().any(|(at, text)| *at == nanos && text == line) {
                entries.push((nanos, line.to_owned()));
            }
        });
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((connection, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let upgrade =
                    request.uri().path().ends_with("/tail").then(|| hyper::upgrade::on(&mut request));
                let mut state = state.lock().expect("nobody panics with it");
                let answer = match upgrade {
                    Some(upgrade) => state.tail(&request, upgrade),
                    None => state.answer(&request),
                };
                async move { answer }
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // An error here is a connection that was to be cut.
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(connection), service).await;
        });
    }
}

type Answer = Result<Response<Body>, io::Error>;

fn text(status: u16, text: &str) -> Answer {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("Content-Type", "text/plain; charset=utf-8".parse().expect("a value"));
    Ok(response)
}

fn cut() -> Answer {
    Err(io::Error::other("cut"))
}

fn body_of(mut body: String, is_cut_within: bool) -> Response<Body> {
    if is_cut_within {
        body.truncate(body.len() / 2);
        let chunks = [Ok(bytes::Bytes::from(body)), Err(io::Error::other("cut"))];
        return Response::new(Body::from_stream(futures_util::stream::iter(chunks)));
    }
    Response::new(Body::from(body))
}

/// One question, checked.
struct Asked {
    query: String,
    start: i64,
    end: i64,
    limit: usize,
    is_forward: bool,
}

impl State {
    fn answer(&mut self, request: &Request<Incoming>) -> Answer {
        self.n_asked += 1;
        let mut is_cut_within = false;
        match self.faults.pop_front() {
            Some(Fault::Status(status, body)) => return text(status, body),
            Some(Fault::Cut) => return cut(),
            Some(Fault::CutWithin) => is_cut_within = true,
            None => {}
        }
        if let Some(refused) = self.refuse(request.headers()) {
            return refused;
        }
        let is_categorized = request
            .headers()
            .get("X-Loki-Response-Encoding-Flags")
            .is_some_and(|it| it == "categorize-labels");
        let query = request.uri().query().unwrap_or_default();
        let params: BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let answer = match request.uri().path() {
            "/loki/api/v1/labels" => json!({"status": "success"}),
            "/loki/api/v1/series" => match self.series(&params) {
                Ok(answer) => answer,
                Err(refused) => return refused,
            },
            "/loki/api/v1/query_range" => match self.query_range(&params, is_categorized) {
                Ok(answer) => answer,
                Err(refused) => return refused,
            },
            _ => return text(404, "404 page not found\n"),
        };
        self.asked.push(request.uri().to_string());
        Ok(self.dated(body_of(answer.to_string(), is_cut_within)))
    }

    /// What is wrong with the query is said before the upgrade, as 3.4.6 does.
    fn tail(&mut self, request: &Request<Incoming>, upgrade: hyper::upgrade::OnUpgrade) -> Answer {
        if let Some(refused) = self.refuse(request.headers()) {
            return refused;
        }
        let query = request.uri().query().unwrap_or_default();
        let params: BTreeMap<String, String> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        match params.get("query").and_then(|query| parse(query)) {
            Some(parsed) => Ok(self.tails.answer(request.headers(), upgrade, parsed)),
            None => {
                text(400, "parse error at line 1, col 17: syntax error: unexpected $end, expecting } or ,")
            }
        }
    }

    /// With the time of its clock.
    fn dated(&self, mut response: Response<Body>) -> Response<Body> {
        let now = jiff::Timestamp::from_second(self.now).expect("a time");
        let date =
            jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).expect("a date");
        response.headers_mut().insert("Date", date.parse().expect("a value"));
        response
    }

    fn refuse(&self, headers: &HeaderMap) -> Option<Answer> {
        let shows = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
        if self.authorization.is_some_and(|value| !shows("Authorization", value)) {
            return Some(text(401, "<html>Authorization Required</html>"));
        }
        if self.tenant.is_some_and(|value| !shows("X-Scope-OrgID", value)) {
            return Some(text(401, "no org id\n"));
        }
        None
    }

    #[expect(clippy::result_large_err, reason = "a refusal is an answer as any other")]
    fn check(&self, params: &BTreeMap<String, String>) -> Result<Asked, Answer> {
        let number = |name: &str| params.get(name).map(|it| it.parse::<i64>());
        let (Some(Ok(start)), Some(Ok(end))) = (number("start"), number("end")) else {
            return Err(text(400, "could not parse 'start' or 'end' parameter"));
        };
        if end <= start {
            return Err(text(400, "end timestamp must not be before or equal to start time"));
        }
        let limit =
            number("limit").unwrap_or(Ok(100)).map_err(|_| text(400, "strconv.Atoi: invalid syntax"))?;
        let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| text(400, "limit must be a positive value"))?;
        if limit > self.max_limit {
            let max = self.max_limit;
            let message = format!(
                "max entries limit per query exceeded, limit > max_entries_limit_per_query ({limit} > {max})"
            );
            return Err(text(400, &message));
        }
        if (end - start) / 1_000_000_000 > self.max_range_seconds {
            return Err(text(
                400,
                "the query time range exceeds the limit (query length: 800h0m0s, limit: 30d1h)",
            ));
        }
        let query = params.get("query").cloned().unwrap_or_default();
        let is_forward = params.get("direction").is_some_and(|it| it == "forward");
        Ok(Asked { query, start, end, limit, is_forward })
    }

    #[expect(clippy::result_large_err, reason = "a refusal is an answer as any other")]
    fn query_range(&self, params: &BTreeMap<String, String>, is_categorized: bool) -> Result<Value, Answer> {
        let asked = self.check(params)?;
        let Some((matchers, filter)) = parse(&asked.query) else {
            return Err(text(
                400,
                "parse error at line 1, col 17: syntax error: unexpected $end, expecting } or ,",
            ));
        };
        let mut hits: Vec<(i64, &Labels, &str)> = Vec::new();
        for (labels, entries) in &self.streams {
            if matchers.iter().all(|matcher| matcher.fits(labels)) {
                let hit = entries.iter().filter(|(at, line)| {
                    (asked.start..asked.end).contains(at) && line.contains(filter.as_str())
                });
                hits.extend(hit.map(|(at, line)| (*at, labels, line.as_str())));
            }
        }
        // Stable: at one time the order is that of the pushes.
        hits.sort_by_key(|(at, ..)| if asked.is_forward { *at } else { -at });
        hits.truncate(asked.limit);
        if hits.iter().map(|(.., line)| line.len()).sum::<usize>() > self.max_answer_bytes {
            return Err(cut());
        }
        let mut streams: BTreeMap<Labels, Vec<Value>> = BTreeMap::new();
        for (at, labels, line) in hits {
            let mut labels = labels.clone();
            let level = if line.contains("ERROR") { "error" } else { "unknown" };
            let value = if self.is_3 && is_categorized {
                json!([at.to_string(), line, {"structuredMetadata": {"detected_level": level}}])
            } else {
                if self.is_3 {
                    labels.insert("detected_level".to_owned(), level.to_owned());
                }
                json!([at.to_string(), line])
            };
            streams.entry(labels).or_default().push(value);
        }
        let mut result: Vec<Value> =
            streams.into_iter().map(|(stream, values)| json!({"stream": stream, "values": values})).collect();
        // The order of streams means nothing.
        if self.n_asked.is_multiple_of(2) {
            result.reverse();
        }
        Ok(json!({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}}))
    }

    #[expect(clippy::result_large_err, reason = "a refusal is an answer as any other")]
    fn series(&self, params: &BTreeMap<String, String>) -> Result<Value, Answer> {
        let Some((matchers, _)) = params.get("match[]").and_then(|selector| parse(selector)) else {
            return Err(text(400, "0 matchers in request"));
        };
        let (start, end) = (params["start"].parse().unwrap_or(0), params["end"].parse().unwrap_or(i64::MAX));
        let fits = |labels: &Labels, entries: &[(i64, String)]| {
            matchers.iter().all(|matcher| matcher.fits(labels))
                && entries.iter().any(|(at, _)| (start..end).contains(at))
        };
        let streams = self.streams.iter().filter(|(labels, entries)| fits(labels, entries));
        let streams: Vec<&Labels> = streams.map(|(labels, _)| labels).collect();
        Ok(json!({"status": "success", "data": streams}))
    }
}

/// `name="value"` or `name=~"expression"`.
pub(super) struct Matcher {
    name: String,
    pattern: regex::Regex,
}

impl Matcher {
    pub(super) fn fits(&self, labels: &Labels) -> bool {
        self.pattern.is_match(labels.get(&self.name).map_or("", String::as_str))
    }
}

/// A selector of matchers with plain values, and a line filter `|= "text"`; `None` where Loki would refuse it.
fn parse(query: &str) -> Option<(Vec<Matcher>, String)> {
    let (inside, rest) = query.trim().strip_prefix('{')?.split_once('}')?;
    let mut matchers = Vec::new();
    for matcher in inside.split(", ") {
        let (name, value) = matcher.split_once('=')?;
        let (is_pattern, value) = value.strip_prefix('~').map_or((false, value), |value| (true, value));
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let pattern = if is_pattern { value.to_owned() } else { regex::escape(value) };
        let pattern = regex::Regex::new(&format!("^(?:{pattern})$")).ok()?;
        matchers.push(Matcher { name: name.to_owned(), pattern });
    }
    let filter = match rest.trim().strip_prefix("|= \"") {
        Some(filter) => filter.strip_suffix('"')?.to_owned(),
        None if rest.trim().is_empty() => String::new(),
        None => return None,
    };
    Some((matchers, filter))
}
