//! What stands beside a relay reaches what the proxy lets through, and nothing else.

use std::time::Duration;

use homeostat::sandbox::proxy::{Proxy, Settings};
use homeostat::sandbox::relay::Relay;

use super::{engine, python, spec};
use crate::support::docker::SANDBOX;
use crate::support::registry::Registry;

/// Direct ways out, ways through the proxy that are not allowed, the one that is, and one that nobody reads from.
const PROBE: &str = r#"
import http.client, os, socket, threading
socket.setdefaulttimeout(20)
PORT, OTHER = int(os.environ["PORT"]), int(os.environ["OTHER"])

def direct(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        print("direct", host, "ANSWERED")
    except OSError:
        print("direct", host, "refused")

def ask(request):
    with socket.create_connection(("127.0.0.1", 3128)) as it:
        it.sendall(request.encode())
        return it.makefile("rb").readline().decode().strip()

def fetch(results):
    client = http.client.HTTPConnection("127.0.0.1", 3128)
    client.request("GET", f"http://127.0.0.1:{PORT}/large")
    results.append(len(client.getresponse().read()))

for host in ["127.0.0.1", "172.17.0.1", "10.0.0.1", "169.254.169.254", "1.1.1.1"]:
    direct(host, PORT if host != "169.254.169.254" else 80)
print("interfaces", *(n for _, n in socket.if_nameindex() if "tnl" not in n and "sit" not in n))
for target in [f"127.0.0.1:{OTHER}", f"172.17.0.1:{PORT}", f"localhost:{PORT}", "169.254.169.254:80", "nobody.test:443"]:
    print("tunnel", ask(f"CONNECT {target} HTTP/1.1\r\n\r\n"))
print("post", ask(f"POST http://127.0.0.1:{PORT}/large HTTP/1.1\r\nContent-Length: 0\r\n\r\n"))
print("metadata", ask("GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n\r\n"))
print("allowed", ask(f"GET http://127.0.0.1:{PORT}/simple/shape/ HTTP/1.1\r\n\r\n"))
print("tunnelled", ask(f"CONNECT 127.0.0.1:{PORT} HTTP/1.1\r\n\r\n"))
stalled = socket.create_connection(("127.0.0.1", 3128))
stalled.sendall(f"GET http://127.0.0.1:{PORT}/large HTTP/1.1\r\n\r\n".encode())
results = []
threads = [threading.Thread(target=fetch, args=(results,)) for _ in range(8)]
for it in threads: it.start()
for it in threads: it.join()
print("fetched", *results)
stalled.close()
"#;

#[tokio::test]
async fn beside_a_relay_only_the_proxy_answers() {
    let (registry, other) = (Registry::start().await, Registry::start().await);
    let proxy = Proxy::new(Settings {
        // On the list, but private: it counts for nothing.
        allow: vec![format!("localhost:{}", registry.port).parse().unwrap()],
        internal: vec![registry.target().parse().unwrap()],
        max_bytes_in: 100 << 20,
        max_bytes_out: 1 << 20,
        idle: Duration::from_secs(30),
    });
    let engine = engine().await;
    let spec = spec(SANDBOX);
    let mut relay = Relay::start(&engine, &spec).await.unwrap();
    let sandbox = engine.start_beside(&spec, &relay.loopback()).await.unwrap();
    let ports = format!("import os; os.environ.update(PORT='{}', OTHER='{}')\n", registry.port, other.port);
    let program = format!("{ports}{PROBE}");
    let lines = tokio::select! {
        lines = python(&sandbox, &program) => lines,
        () = relay.serve(&proxy) => panic!("the relay is lost"),
    };
    let forbidden = "HTTP/1.1 403 Forbidden";
    let mut expected: Vec<String> = ["127.0.0.1", "172.17.0.1", "10.0.0.1", "169.254.169.254", "1.1.1.1"]
        .map(|host| format!("direct {host} refused"))
        .to_vec();
    expected.push("interfaces lo".to_owned());
    expected.extend(std::iter::repeat_n(format!("tunnel {forbidden}"), 5));
    expected.push(format!("post {forbidden}"));
    expected.push(format!("metadata {forbidden}"));
    expected.push("allowed HTTP/1.1 200 OK".to_owned());
    expected.push("tunnelled HTTP/1.1 200 Connection established".to_owned());
    expected.push(format!("fetched{}", " 3000000".repeat(8)));
    assert_eq!(lines, expected);
    assert_eq!(other.hits(), Vec::<String>::new());
    let tally = proxy.tally();
    assert_eq!((tally.n_refused, tally.n_failed), (7, 0), "{tally:?}");
    sandbox.remove().await.unwrap();
    relay.remove().await.unwrap();
}
