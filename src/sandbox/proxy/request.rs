//! The head of a request to a proxy, read with care: what is not plain is refused rather than passed on.
//!
//! RFC 9112 sections 2, 3.2.2 (absolute form) and 3.2.3 (authority form).

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Refusal;
use super::target::{shown, split};

/// Longest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// What concerns one connection only, or the proxy, and is not passed on. `Host` is made anew from the target.
const LEFT_OUT: [&str; 10] = [
    "host",
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "content-length",
];

/// What a client asks of a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// A tunnel.
    Connect { host: String, port: u16 },
    /// One answer over plain HTTP; `head` is what the server is sent.
    Fetch { host: String, port: u16, head: Vec<u8> },
}

impl Request {
    pub(super) fn host(&self) -> &str {
        match self {
            Self::Connect { host, .. } | Self::Fetch { host, .. } => host,
        }
    }

    pub(super) const fn port(&self) -> u16 {
        match self {
            Self::Connect { port, .. } | Self::Fetch { port, .. } => *port,
        }
    }

    /// Host and port, for people: nothing of the path.
    pub(super) fn target(&self) -> String {
        shown(self.host(), self.port())
    }

    /// Reads one. `None` if the client went away before it said anything whole. What follows the head of a `Fetch` is not read;
    /// a client of a tunnel waits for its answer first.
    pub(super) async fn read(client: &mut (impl AsyncRead + Unpin)) -> Result<Option<Self>, Refusal> {
        let mut head = Vec::new();
        loop {
            // Byte by byte, as what follows belongs to the tunnel. Heads are short and the stream is in memory.
            match client.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return Ok(None),
            }
            if head.ends_with(b"\r\n\r\n") {
                return Self::parse(&head[..head.len() - 4]).map(Some);
            }
            if head.len() >= MAX_HEAD_BYTES {
                return Err(Refusal::Malformed);
            }
        }
    }

    fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(head).map_err(|_| Refusal::Malformed)?;
        let mut lines = text.split("\r\n");
        let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, "HTTP/1.1" | "HTTP/1.0"] = first[..] else { return Err(Refusal::Malformed) };
        let headers: Vec<(&str, &str)> =
            lines.map(header).collect::<Option<_>>().ok_or(Refusal::Malformed)?;
        match method {
            "CONNECT" => {
                let (host, port) = split(target, None).ok_or(Refusal::Malformed)?;
                Ok(Self::Connect { host, port })
            }
            "GET" | "HEAD" => Self::fetch(method, target, &headers),
            _ => Err(Refusal::Method),
        }
    }

    fn fetch(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Self, Refusal> {
        let rest = target.strip_prefix("http://").ok_or(Refusal::Malformed)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = split(authority, Some(80)).ok_or(Refusal::Malformed)?;
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::Malformed);
        }
        let has = |name: &str| headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        if has("transfer-encoding").is_some() || has("content-length").is_some_and(|(_, value)| *value != "0")
        {
            return Err(Refusal::Method);
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let mut head =
            format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
        for (name, value) in headers {
            if !LEFT_OUT.iter().any(|it| name.eq_ignore_ascii_case(it)) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        head.push_str("\r\n");
        Ok(Self::Fetch { host, port, head: head.into_bytes() })
    }
}

/// Name and value of a header; `None` for what is none, folded lines among it.
fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_plain = |c: char| c == '\t' || !c.is_control();
    (!name.is_empty() && name.bytes().all(is_token) && value.chars().all(is_plain))
        .then_some((name, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str, expected: Result<Request, Refusal>) {
        assert_eq!(Request::parse(head.as_bytes()), expected, "{head}");
    }

    #[test]
    fn plain_requests_are_read_and_all_else_is_refused() {
        let connect = |host: &str, port| Ok(Request::Connect { host: host.to_owned(), port });
        check("CONNECT Registry.Example:443 HTTP/1.1\r\nHost: x", connect("registry.example", 443));
        check("CONNECT [::1]:443 HTTP/1.1", connect("::1", 443));
        let head = "GET /simple/?q=1 HTTP/1.1\r\nHost: a.test:81\r\nConnection: close\r\nAccept: */*\r\n\r\n";
        let fetch = Request::Fetch { host: "a.test".to_owned(), port: 81, head: head.as_bytes().to_vec() };
        check(
            "GET http://a.test:81/simple/?q=1 HTTP/1.1\r\nHost: evil.test\r\nAccept: */*\r\nProxy-Authorization: x\r\nConnection: keep-alive",
            Ok(fetch),
        );
        for malformed in [
            "",
            "GET / HTTP/1.1",
            "GET https://a.test/ HTTP/1.1",
            "GET http://user@a.test/ HTTP/1.1",
            "GET http://a.test/ HTTP/2",
            "GET  http://a.test/ HTTP/1.1",
            "GET http://a.test/\u{e9} HTTP/1.1",
            "CONNECT a.test HTTP/1.1",
            "CONNECT a.test:443@evil.test:1 HTTP/1.1",
            "GET http://a.test/ HTTP/1.1\r\n folded: x",
            "GET http://a.test/ HTTP/1.1\r\nA: b\nX: y",
            "GET http://a.test/ HTTP/1.1\r\nno header",
        ] {
            check(malformed, Err(Refusal::Malformed));
        }
        for method in [
            "POST http://a.test/ HTTP/1.1",
            "PUT http://a.test/ HTTP/1.1",
            "GET http://a.test/ HTTP/1.1\r\nContent-Length: 5",
            "GET http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked",
        ] {
            check(method, Err(Refusal::Method));
        }
    }
}
