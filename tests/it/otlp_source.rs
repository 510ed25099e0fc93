//! OTLP/HTTP: how requests are answered, and that what was answered 200 is counted once, however often homeostat is killed.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use homeostat::base::clock::SystemClock;
use homeostat::base::secret::Secret;
use homeostat::base::shutdown::Shutdown;
use homeostat::store::Store;
use homeostat::watch::source::otlp::{self, Settings};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::store::given::{Db, stories};
use crate::support::chance::{n_actions, seed};
use crate::support::link::Link;
use crate::support::wait::{PATIENCE, eventually};
use crate::support::watching::{counts, watch};

const TRACE: [&str; 4] = [
    "Traceback (most recent call last):",
    "  File \"/app/parse.py\", line 7, in parse",
    "    return int(text)",
    "ValueError: no number",
];

/// A listener over a store, at an address of its own or at one that it had before.
async fn start(store: &Arc<dyn Store>, folder: &Path, at: Option<SocketAddr>) -> (SocketAddr, JoinSet<()>) {
    let wanted = at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = eventually("the port", PATIENCE, async || TcpListener::bind(wanted).await.ok()).await;
    let listen = listener.local_addr().expect("it is bound");
    let settings = Settings {
        listen,
        token: Some(Secret::new("hush")),
        folder: folder.join("spool"),
        max_bytes: 64 << 20,
    };
    let run = |outlet| otlp::run(settings, listener, outlet, SystemClock::shared(), Shutdown::new());
    (listen, watch(store, run))
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client can be made")
}

/// A request with these bodies as records of a service.
fn request(service: &str, bodies: &[&str]) -> Value {
    let records: Vec<Value> = bodies.iter().map(|body| json!({"body": {"stringValue": body}})).collect();
    let attributes = json!([{"key": "service.name", "value": {"stringValue": service}}]);
    json!({"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": records}]}]})
}

async fn post(address: SocketAddr, kind: &str, encoding: Option<&str>, body: Vec<u8>) -> Response {
    try_post(address, kind, encoding, body).await.expect("it answers")
}

async fn try_post(
    address: SocketAddr,
    kind: &str,
    encoding: Option<&str>,
    body: Vec<u8>,
) -> reqwest::Result<Response> {
    let mut request = client().post(format!("http://{address}/v1/logs")).bearer_auth("hush");
    if let Some(encoding) = encoding {
        request = request.header("Content-Encoding", encoding);
    }
    request.header("Content-Type", kind).body(body).send().await
}

async fn said(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.expect("a text"))
}

fn packed(body: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body).expect("memory takes it");
    packer.finish().expect("memory takes it")
}

/// `service.name` = "wire", one record "ERROR over the wire"; written by hand after the protocol's definition.
fn wire() -> Vec<u8> {
    wire_of("wire", b"ERROR over the wire")
}

fn wire_of(service: &str, text: &[u8]) -> Vec<u8> {
    let within = |number: u8, message: &[u8]| {
        [&[(number << 3) | 2, u8::try_from(message.len()).expect("it is short")], message].concat()
    };
    let attribute = [within(1, b"service.name"), within(2, &within(1, service.as_bytes()))].concat();
    let record = within(5, &within(1, text));
    within(1, &[within(1, &within(1, &attribute)), within(2, &within(2, &record))].concat())
}

#[tokio::test]
async fn requests_are_answered_as_the_protocol_says() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (address, mut tasks) = start(&db.store, folder.path(), None).await;
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let good = request("shop", &["ERROR order 1 failed"]).to_string().into_bytes();
    assert_eq!(said(post(address, json, None, good.clone()).await).await, (200, "{}".to_owned()));
    assert_eq!(
        said(post(address, "application/json; charset=utf-8", Some("gzip"), packed(&good)).await).await.0,
        200
    );
    assert_eq!(said(post(address, protobuf, None, wire()).await).await, (200, String::new()));
    assert_eq!(said(post(address, protobuf, Some("gzip"), packed(&wire())).await).await.0, 200);
    let odd = wire_of("odd", b"ERROR order \xff\xfe \0 failed");
    assert_eq!(said(post(address, protobuf, None, odd).await).await.0, 200);
    let partial =
        json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [7, {"body": {"stringValue": "fine"}}]}]}]});
    let answer = said(post(address, json, None, partial.to_string().into_bytes()).await).await;
    assert_eq!(answer.0, 200);
    assert!(answer.1.contains("\"rejectedLogRecords\":\"1\""), "{}", answer.1);
    for (kind, encoding, body, expected) in [
        (json, None, b"{".to_vec(), 400),
        (protobuf, None, vec![0xff; 30], 400),
        (json, Some("gzip"), b"no gzip".to_vec(), 400),
        (json, Some("br"), good.clone(), 415),
        ("text/plain", None, good.clone(), 415),
        (json, None, vec![b' '; (16 << 20) + 1], 413),
        (json, Some("gzip"), packed(&vec![b' '; (64 << 20) + 1]), 413),
    ] {
        let (status, text) = said(post(address, kind, encoding, body).await).await;
        assert_eq!(status, expected, "{kind} {encoding:?}: {text}");
    }
    let stranger = client().post(format!("http://{address}/v1/logs")).header("Content-Type", json).body(good);
    assert_eq!(stranger.send().await.expect("it answers").status().as_u16(), 401);
    let expected = BTreeMap::from([("odd".to_owned(), 1), ("shop".to_owned(), 2), ("wire".to_owned(), 2)]);
    eventually("all that was taken", PATIENCE, async || (counts(&db.store).await == expected).then_some(()))
        .await;
    tasks.shutdown().await;
}

/// A connection of its own, with what begins a request on it.
async fn begin(address: SocketAddr, token: &str, len: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it can be sent");
    stream
}

/// The first line that is answered.
async fn status_line(stream: TcpStream) -> String {
    let mut line = String::new();
    let read = BufReader::new(stream);
    let mut read = std::pin::pin!(read);
    timeout(PATIENCE, read.read_line(&mut line)).await.expect("an answer in time").expect("an answer");
    line
}

#[tokio::test]
async fn strangers_and_crowds_are_refused_before_their_bodies_are_read() {
    let db = Db::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (address, mut tasks) = start(&db.store, folder.path(), None).await;
    assert!(status_line(begin(address, "guess", 1 << 20).await).await.contains(" 401 "));
    // Requests that may come, and whose bodies do not come.
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(begin(address, "hush", 1 << 20).await);
    }
    // Which of them were heard of before is known by this one.
    eventually("a refusal", PATIENCE, async || {
        let line = timeout(Duration::from_millis(300), status_line(begin(address, "hush", 1 << 20).await));
        line.await.is_ok_and(|line| line.contains(" 503 ")).then_some(())
    })
    .await;
    drop(waiting);
    let good = request("shop", &["ERROR order 1 failed"]).to_string().into_bytes();
    eventually("room", PATIENCE, async || {
        let answer = post(address, "application/json", None, good.clone()).await;
        (answer.status().as_u16() == 200).then_some(())
    })
    .await;
    tasks.shutdown().await;
}

async fn a_batch_whose_answer_nobody_heard_is_counted_once_when_it_is_sent_again(db: Db) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut random = fastrand::Rng::with_seed(23);
    let mut store = db.opened_again().await;
    let (address, mut tasks) = start(&store, folder.path(), None).await;
    let mut n_batches = 0;
    for n in 0..150 {
        let mut batch = request("shop", &["ERROR order failed"]);
        let record = &mut batch["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        record["timeUnixNano"] = json!(format!("{}", 1_700_000_000_000_000_000u64 + n));
        let body = batch.to_string().into_bytes();
        // Sent, and left at some moment of its way to the disk; sometimes homeostat goes too.
        let mut stream = begin(address, "hush", body.len()).await;
        stream.write_all(&body).await.expect("it can be sent");
        let until = std::time::Instant::now() + Duration::from_micros(random.u64(0..4000));
        while std::time::Instant::now() < until {
            tokio::task::yield_now().await;
        }
        drop(stream);
        if random.u8(0..12) == 0 {
            tasks.shutdown().await;
            store = db.opened_again().await;
            (_, tasks) = start(&store, folder.path(), Some(address)).await;
        }
        eventually("an answer", PATIENCE, async || {
            let answer = post(address, "application/json", None, body.clone()).await;
            (answer.status().as_u16() == 200).then_some(())
        })
        .await;
        n_batches += 1;
    }
    let last = request("last", &["ERROR the last one"]).to_string().into_bytes();
    assert_eq!(said(post(address, "application/json", None, last).await).await.0, 200);
    eventually("the last one", PATIENCE, async || (counts(&store).await.contains_key("last")).then_some(()))
        .await;
    assert_eq!(counts(&store).await["shop"], n_batches);
    tasks.shutdown().await;
}

stories!(
    a_batch_whose_answer_nobody_heard_is_counted_once_when_it_is_sent_again,
    what_was_answered_200_is_counted_once_however_often_homeostat_is_killed,
);

async fn what_was_answered_200_is_counted_once_however_often_homeostat_is_killed(db: Db) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut random = fastrand::Rng::with_seed(seed());
    let mut store = db.opened_again().await;
    let (address, mut tasks) = start(&store, folder.path(), None).await;
    let mut truth: BTreeMap<String, u64> = BTreeMap::new();
    // Lines of a trace that are not sent yet: a batch may end within one.
    let mut open: Vec<&str> = Vec::new();
    let (link, at) = Link::tcp(address).await;
    for n in 0..n_actions(320) {
        let service = ["a", "b", "c"][random.usize(0..3)];
        let mut bodies: Vec<String> = Vec::new();
        let target = if open.is_empty() { service } else { "traces" };
        if open.is_empty() && random.u8(0..4) == 0 {
            open = TRACE.to_vec();
            *truth.entry("traces".to_owned()).or_default() += 1;
            continue;
        }
        if open.is_empty() {
            for m in 0..random.u64(1..20) {
                bodies.push(if random.bool() {
                    "all is well".to_owned()
                } else {
                    format!("ERROR order {n}{m} failed")
                });
            }
            let n_errors = bodies.iter().filter(|body| body.starts_with("ERROR")).count() as u64;
            *truth.entry(service.to_owned()).or_default() += n_errors;
        } else {
            let n_lines = random.usize(1..=open.len());
            bodies.extend(open.drain(..n_lines).map(str::to_owned));
        }
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        let body = request(target, &bodies).to_string().into_bytes();
        // What was not answered is sent again, as collectors do.
        let what = format!("an answer of 200 to request {n}");
        eventually(&what, PATIENCE, async || {
            let answer = try_post(at, "application/json", None, body.clone()).await;
            link.mend();
            let (status, text) = said(answer.ok()?).await;
            assert!(status == 200 || status == 503, "{status}: {text}");
            (status == 200).then_some(())
        })
        .await;
        match random.u8(0..30) {
            0 => link.cut(true),
            1 => link.cut(false),
            2 => db.be_away(Duration::from_millis(random.u64(0..200))).await,
            _ => {}
        }
        if random.u8(0..15) == 0 {
            tasks.shutdown().await;
            store = db.opened_again().await;
            (_, tasks) = start(&store, folder.path(), Some(address)).await;
        }
    }
    if !open.is_empty() {
        let body = request("traces", &open).to_string().into_bytes();
        assert_eq!(said(post(address, "application/json", None, body).await).await.0, 200);
    }
    truth.retain(|_, n| *n > 0);
    let what = format!("{truth:?}, if chance began with {}", seed());
    eventually(&what, PATIENCE, async || (counts(&store).await == truth).then_some(())).await;
    // Once more from what is stored: nothing comes twice.
    tasks.shutdown().await;
    let store = db.opened_again().await;
    let (_, mut tasks) = start(&store, folder.path(), Some(address)).await;
    let last = request("last", &["ERROR the last one"]).to_string().into_bytes();
    assert_eq!(said(post(address, "application/json", None, last).await).await.0, 200);
    truth.insert("last".to_owned(), 1);
    eventually("the last one", PATIENCE, async || (counts(&store).await.contains_key("last")).then_some(()))
        .await;
    assert_eq!(counts(&store).await, truth);
    assert_eq!(store.gaps(10).await.expect("the store answers"), []);
    tasks.shutdown().await;
}
