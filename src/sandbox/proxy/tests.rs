//! The proxy against a server on this machine.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Proxy, Refusal, Settings, Tally};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that answers each request alike; its port. It lives as long as the test's runtime.
async fn server(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    Err(_) => break,
                }
            }
            let _ = stream.write_all(&answer).await;
        }
    });
    port
}

fn settings(allow: &[String], internal: &[String]) -> Settings {
    let targets = |texts: &[String]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Settings {
        allow: targets(allow),
        internal: targets(internal),
        max_bytes_in: 100_000,
        max_bytes_out: 10_000,
        idle: Duration::from_secs(5),
    }
}

/// What the proxy answers to `request`, to the end of the connection.
async fn ask(proxy: &Proxy, request: &str) -> String {
    let (mut client, near) = tokio::io::duplex(4096);
    let talk = async {
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (answer, ()) = tokio::join!(talk, proxy.serve(near));
    answer
}

#[tokio::test]
async fn lets_through_what_is_on_the_list_and_counts_it() {
    let port = server(ANSWER.as_bytes().to_vec()).await;
    let target = format!("127.0.0.1:{port}");
    let proxy = Proxy::new(settings(&[], std::slice::from_ref(&target)));
    let fetched = ask(&proxy, &format!("GET http://{target}/a?token=1 HTTP/1.1\r\n\r\n")).await;
    assert_eq!(fetched, ANSWER);
    let tunnelled = ask(&proxy, &format!("CONNECT {target} HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")).await;
    assert_eq!(tunnelled, format!("HTTP/1.1 200 Connection established\r\n\r\n{ANSWER}"));
    let tally = proxy.tally();
    assert_eq!((tally.n_served, tally.n_refused, tally.bytes_in), (2, 0, 2 * ANSWER.len() as u64));
}

#[tokio::test]
async fn what_is_not_on_the_list_or_not_public_is_refused() {
    let port = server(ANSWER.as_bytes().to_vec()).await;
    let proxy = Proxy::new(settings(
        // On the list, yet of this machine or its cloud.
        &[format!("127.0.0.1:{port}"), format!("localhost:{port}"), "169.254.169.254:80".to_owned()],
        &["169.254.169.254:443".to_owned()],
    ));
    let refusals = [
        (format!("CONNECT 127.0.0.1:{port} HTTP/1.1"), format!("127.0.0.1:{port}"), Refusal::NotPublic),
        (format!("CONNECT localhost:{port} HTTP/1.1"), format!("localhost:{port}"), Refusal::NotPublic),
        (
            "GET http://169.254.169.254/latest/meta-data?x=secret HTTP/1.1".to_owned(),
            "169.254.169.254:80".to_owned(),
            Refusal::NotPublic,
        ),
        (
            "CONNECT 169.254.169.254:443 HTTP/1.1".to_owned(),
            "169.254.169.254:443".to_owned(),
            Refusal::NotPublic,
        ),
        ("CONNECT evil.test:443 HTTP/1.1".to_owned(), "evil.test:443".to_owned(), Refusal::NotAllowed),
        (format!("POST http://localhost:{port}/ HTTP/1.1"), "(no target)".to_owned(), Refusal::Method),
    ];
    let mut expected = Tally { n_refused: refusals.len() as u64, ..Tally::default() };
    for (request, target, refusal) in refusals {
        let answer = ask(&proxy, &format!("{request}\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{request}: {answer}");
        assert!(!answer.contains("secret"), "{answer}");
        expected.refused.insert(target, refusal);
    }
    assert_eq!(proxy.tally(), expected);
}

#[tokio::test]
async fn bytes_are_capped_in_both_directions() {
    let port = server(vec![b'x'; 300_000]).await;
    let target = format!("127.0.0.1:{port}");
    let proxy = Proxy::new(settings(&[], std::slice::from_ref(&target)));
    let answer = ask(&proxy, &format!("GET http://{target}/ HTTP/1.1\r\n\r\n")).await;
    assert!(answer.len() <= 100_000, "{}", answer.len());
    let answer = ask(&proxy, &format!("GET http://{target}/ HTTP/1.1\r\n\r\n")).await;
    assert!(answer.contains("more bytes than are allowed"), "{answer}");
    let proxy = Proxy::new(settings(&[], std::slice::from_ref(&target)));
    let (mut client, near) = tokio::io::duplex(4096);
    let flood = async {
        client.write_all(format!("CONNECT {target} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
        while client.write_all(&[b'x'; 1024]).await.is_ok() {}
    };
    tokio::join!(flood, proxy.serve(near));
    assert!(proxy.tally().bytes_out <= 10_000 + (16 << 10), "{:?}", proxy.tally());
}

#[tokio::test]
async fn a_head_without_end_and_a_host_that_is_away_end_the_connection() {
    let proxy = Proxy::new(settings(&["nobody.invalid:443".to_owned()], &[]));
    let answer = ask(&proxy, &"x".repeat(16 << 10)).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let answer = ask(&proxy, "CONNECT nobody.invalid:443 HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_eq!((proxy.tally().n_failed, proxy.tally().n_refused), (1, 1));
}
