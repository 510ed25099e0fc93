//! Registries of packages on this machine: a simple index with a wheel, npm with a package that has an install script, and who came.
//!
//! Everything is made on the spot; nothing comes from a network.

#![expect(clippy::unwrap_used, reason = "a registry that cannot be started must fail the test")]

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A server of files; gone when it is dropped.
pub(crate) struct Registry {
    pub(crate) port: u16,
    hits: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Registry {
    /// `shape` 1.0 for pip and 1.0.0 for npm. It listens on all addresses of the machine, as a careless service does.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hits: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, files) = (Arc::clone(&hits), Arc::new(files()));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&files), Arc::clone(&seen)));
            }
        });
        Self { port, hits, task: task.abort_handle() }
    }

    /// How the proxy's settings name it.
    pub(crate) fn target(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Paths that were asked for, in order.
    pub(crate) fn hits(&self) -> Vec<String> {
        self.hits.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, files: Arc<BTreeMap<String, Vec<u8>>>, hits: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    hits.lock().unwrap().push(path.clone());
    let (status, body) = match files.get(&path) {
        Some(body) => ("200 OK", body.as_slice()),
        None => ("404 Not Found", b"nothing here\n".as_slice()),
    };
    let kind = if path.ends_with('/') { "text/html" } else { "application/octet-stream" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
}

fn files() -> BTreeMap<String, Vec<u8>> {
    let wheel = "shape-1.0-py3-none-any.whl";
    let index = format!("<!DOCTYPE html><html><body><a href=\"/files/{wheel}\">{wheel}</a></body></html>");
    BTreeMap::from([
        ("/simple/shape/".to_owned(), index.into_bytes()),
        (format!("/files/{wheel}"), wheel_of_shape()),
        ("/npm/shape/-/shape-1.0.0.tgz".to_owned(), package_of_shape()),
        ("/large".to_owned(), vec![b'x'; 3_000_000]),
    ])
}

/// <https://packaging.python.org/en/latest/specifications/binary-distribution-format/>
fn wheel_of_shape() -> Vec<u8> {
    let record = "shape.py,,\nshape-1.0.dist-info/METADATA,,\nshape-1.0.dist-info/WHEEL,,\nshape-1.0.dist-info/RECORD,,\n";
    zip(&[
        ("shape.py", "AREA = 4\n"),
        ("shape-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shape\nVersion: 1.0\n"),
        ("shape-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ("shape-1.0.dist-info/RECORD", record),
    ])
}

/// Its install script leaves a file behind.
fn package_of_shape() -> Vec<u8> {
    let package = r#"{"name": "shape", "version": "1.0.0", "main": "index.js", "scripts": {"postinstall": "touch ran"}}"#;
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in [("package/package.json", package), ("package/index.js", "exports.area = 4;\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&builder.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

/// An archive of files that are not compressed: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, sections 4.3.7, 4.3.12, 4.3.16.
fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut crc = flate2::Crc::new();
        crc.update(text.as_bytes());
        let mut common = Vec::new();
        // Version, flags, method, time and date (1 January 1980), checksum, sizes, lengths of the name and of no more.
        for half in [20_u16, 0, 0, 0, 33] {
            common.extend(half.to_le_bytes());
        }
        let n_bytes = u32::try_from(text.len()).unwrap();
        for word in [crc.sum(), n_bytes, n_bytes] {
            common.extend(word.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        let offset = u32::try_from(bytes.len()).unwrap();
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(text.as_bytes());
        central.extend(b"PK\x01\x02");
        central.extend(20_u16.to_le_bytes());
        central.extend(&common);
        // No comment, the first disk, no attributes inside; outside those of a plain file.
        central.extend([0; 6]);
        central.extend((0o100_644_u32 << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(name.as_bytes());
    }
    let start = u32::try_from(bytes.len()).unwrap();
    let n_files = u16::try_from(files.len()).unwrap();
    let n_central = u32::try_from(central.len()).unwrap();
    bytes.extend(central);
    bytes.extend(b"PK\x05\x06");
    for half in [0, 0, n_files, n_files] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [n_central, start] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u16.to_le_bytes());
    bytes
}
