//! The accept loop: slow clients, large bodies, event streams, and the stop.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{ask_with, visitor};
use crate::pages::server::Server;
use crate::pages::story::Given;
use crate::support::wait::PATIENCE;

const MIB: usize = 1 << 20;
/// A stop lets requests finish, but not for longer.
const STOP: Duration = Duration::from_secs(4);

#[tokio::test]
async fn a_client_that_does_not_send_its_headers_is_dropped() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let beginnings: [&[u8]; 4] =
        [b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"PRI * HTTP/2.0\r\n"];
    let address = server.address;
    let slow = beginnings.map(|beginning| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        // An answer (408, 400) or a reset: either way the connection is over.
        let ended = timeout(Duration::from_secs(25), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{:?} holds its connection for ever", String::from_utf8_lossy(beginning));
    });
    futures_util::future::join_all(slow).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    for (n_bytes, is_refused) in [(8 * MIB, false), (8 * MIB + 1, true)] {
        let body = "x".repeat(n_bytes);
        let answer = ask_with(&server, reqwest::Method::POST, "/v1/alerts", &[], &body).await;
        assert_eq!(answer.status == 413, is_refused, "{n_bytes}: {}", answer.status);
    }
}

#[tokio::test]
async fn an_event_stream_tells_of_changes_and_ends_with_the_server() {
    let (given, shown) = Given::with_story().await;
    let mut server = Server::start(&given).await;
    let mut streams = Vec::new();
    for path in ["/events".to_owned(), format!("/issues/{}/events", shown.issue)] {
        // 0 stands for a page that shows something else than what there is: it is told at once.
        for query in ["?seen=0", ""] {
            let answer = visitor().get(server.url(&format!("{path}{query}"))).send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], "text/event-stream", "{path}");
            streams.push(answer);
        }
    }
    for stream in streams.iter_mut().step_by(2) {
        let first = timeout(PATIENCE, stream.chunk()).await.expect("a change is told").unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&first), "event: changed\ndata: 1\n\n");
    }

    server.shutdown.request();
    timeout(STOP, &mut server.task).await.expect("open streams do not hold the stop up").unwrap();
    for stream in &mut streams {
        while timeout(STOP, stream.chunk()).await.expect("the stream ends").unwrap().is_some() {}
    }
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_stop_up() {
    let given = Given::empty().await;
    let mut server = Server::start(&given).await;
    let client = visitor();
    let answer = client.get(server.url("/healthz")).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ok\n");
    let _silent = TcpStream::connect(server.address).await.unwrap();
    server.shutdown.request();
    timeout(STOP, &mut server.task).await.expect("it stops").unwrap();
}
