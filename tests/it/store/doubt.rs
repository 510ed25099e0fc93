//! A connection that breaks off in the middle of a commit: counted once, whichever side of the commit it was.

#![expect(clippy::unwrap_used, reason = "stories are functions, not `#[test]`s themselves")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use homeostat::store::{Settings, open};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::given::{Db, at, batch, commit_one, fingerprint, group};

const PASS: u8 = 0;
/// Break off before the server hears of the commit.
const BEFORE: u8 = 1;
/// Break off when the server has answered, and keep the answer.
const AFTER: u8 = 2;

/// Stands between the store and the server, and breaks off at the next `COMMIT` when it is told to.
async fn proxy(server: String, order: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(forward(client, server, Arc::clone(&order)));
        }
    });
    port
}

async fn forward(mut client: TcpStream, mut server: TcpStream, order: Arc<AtomicU8>) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        tokio::select! {
            n_bytes = client.read(&mut asked) => {
                let asked = &asked[..n_bytes?];
                let is_commit = asked.windows(6).any(|word| word == b"COMMIT");
                let order = if is_commit { order.swap(PASS, Ordering::SeqCst) } else { PASS };
                if order == BEFORE || asked.is_empty() {
                    return Ok(());
                }
                server.write_all(asked).await?;
                if order == AFTER {
                    server.read_u8().await?;
                    return Ok(());
                }
            }
            n_bytes = server.read(&mut answered) => {
                let answered = &answered[..n_bytes?];
                if answered.is_empty() {
                    return Ok(());
                }
                client.write_all(answered).await?;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_not_lost_and_not_repeated() {
    let db = Db::postgres().await;
    let mut url = url::Url::parse(&db.url).unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let order = Arc::new(AtomicU8::new(PASS));
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy(server, Arc::clone(&order)).await)).unwrap();
    url.set_query(Some("sslmode=disable"));
    let store = open(&Settings { url: url.into(), max_connections: 2 }).await.unwrap();
    let count = async || {
        let brief = db.store.issue_brief("shop", &fingerprint(1)).await.unwrap().unwrap();
        db.store.issue(brief.id).await.unwrap().count
    };

    assert_eq!(commit_one(&*store, group(1, 1), 1).await.count, 1);
    order.store(AFTER, Ordering::SeqCst);
    assert_eq!(commit_one(&*store, group(1, 2), 2).await.count, 2, "it took place, so it is said to have");
    assert_eq!(order.load(Ordering::SeqCst), PASS, "it was broken off");
    assert_eq!(count().await, 2);

    order.store(BEFORE, Ordering::SeqCst);
    let error = store.commit(batch(vec![group(1, 3)]), at(3)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(order.load(Ordering::SeqCst), PASS, "it was broken off");
    assert_eq!(count().await, 2);
    assert_eq!(commit_one(&*store, group(1, 3), 3).await.count, 3);
    store.close().await;
}
