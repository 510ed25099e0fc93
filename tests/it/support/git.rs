//! A git repository for one test, and a server that gives it over real HTTP.
//!
//! The server is git's own `git http-backend` behind a small handler, so what a client sees (protocol versions, 401 and its challenge,
//! refused pushes) is what a real host answers. It is no forge: no proposals, no hooks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

/// Far more than any fixture; a request over it is a mistake in a test.
const MAX_BODY_BYTES: usize = 64 << 20;

/// A bare repository `<root>/<name>.git` with a branch `main`, and a checkout to make commits in.
#[derive(Debug)]
pub(crate) struct Repository {
    folder: TempDir,
    name: String,
}

impl Repository {
    /// Makes one whose branch `main` has one commit with these files (path, text).
    pub(crate) fn create(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let repository = Self { folder, name: name.to_owned() };
        let (bare, checkout) = (repository.bare(), repository.checkout());
        run(repository.root(), &["init", "--quiet", "--bare", "--initial-branch=main", text(&bare)]);
        run(&bare, &["config", "http.receivepack", "true"]);
        run(repository.root(), &["clone", "--quiet", text(&bare), text(&checkout)]);
        run(&checkout, &["symbolic-ref", "HEAD", "refs/heads/main"]);
        repository.commit("main", "start", files);
        repository
    }

    /// The folder that [`GitServer::start`] serves.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The bare repository: what a client may clone by path.
    pub(crate) fn bare(&self) -> PathBuf {
        self.folder.path().join(format!("{}.git", self.name))
    }

    /// Writes files (path, text) and commits them on top of `branch`, which is made from the present commit if it is new; gives the
    /// commit's id.
    pub(crate) fn commit(&self, branch: &str, message: &str, files: &[(&str, &str)]) -> String {
        let checkout = self.checkout();
        if run(&checkout, &["branch", "--list", branch]).is_empty() && self.has_commit() {
            run(&checkout, &["checkout", "--quiet", "-b", branch]);
        } else if self.has_commit() {
            run(&checkout, &["checkout", "--quiet", branch]);
            run(&checkout, &["pull", "--quiet", "--ff-only", "origin", branch]);
        }
        for (path, content) in files {
            let path = checkout.join(path);
            std::fs::create_dir_all(path.parent().expect("a file has a folder"))
                .expect("a folder can be made");
            std::fs::write(&path, content).expect("a file can be written");
        }
        run(&checkout, &["add", "--all"]);
        run(&checkout, &["commit", "--quiet", "--allow-empty", "-m", message]);
        run(&checkout, &["push", "--quiet", "origin", branch]);
        run(&checkout, &["rev-parse", "HEAD"])
    }

    /// Runs git in the bare repository; gives its output without the last line end.
    ///
    /// # Panics
    /// When git fails; with its words.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&self.bare(), arguments)
    }

    /// The bare repository's branches, sorted.
    pub(crate) fn branches(&self) -> Vec<String> {
        let names = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        names.lines().map(str::to_owned).collect()
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    fn has_commit(&self) -> bool {
        !run(&self.bare(), &["for-each-ref", "--count=1"]).is_empty()
    }
}

/// Who may come in.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) may_push: bool,
}

/// One request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `/project.git/info/refs?service=git-upload-pack`
    pub(crate) target: String,
    /// The user of the credentials it came with, right or wrong.
    pub(crate) user: Option<String>,
    pub(crate) status: u16,
}

/// A git server on loopback; stopped together with the value.
#[derive(Debug)]
pub(crate) struct GitServer {
    /// `http://127.0.0.1:<port>`, without a slash at the end and without credentials.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl GitServer {
    /// Serves all repositories below `root`. With no credentials everybody may fetch and push.
    pub(crate) async fn start(root: &Path, credentials: Vec<Credential>) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let host = Host { root: root.to_owned(), credentials: credentials.into(), seen: Arc::clone(&seen) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let router = Router::new().fallback(answer).with_state(host);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the git server runs");
        });
        Self { url, seen, task }
    }

    /// The URL of a repository made by [`Repository::create`].
    pub(crate) fn repository_url(&self, name: &str) -> String {
        format!("{}/{name}.git", self.url)
    }

    /// Every request so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics while it holds the lock").clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Clone)]
struct Host {
    root: PathBuf,
    credentials: Arc<[Credential]>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// Lets in or refuses, then hands the request to `git http-backend`.
async fn answer(State(host): State<Host>, request: Request) -> Response {
    let target = request.uri().to_string();
    let login = basic(request.headers());
    let is_push = target.contains("git-receive-pack");
    let credential = login.as_ref().and_then(|(user, password)| {
        host.credentials.iter().find(|c| c.user == *user && c.password == *password)
    });
    let response = match credential {
        None if !host.credentials.is_empty() => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"git\"")]).into_response()
        }
        Some(credential) if is_push && !credential.may_push => StatusCode::FORBIDDEN.into_response(),
        None | Some(_) => backend(&host.root, request).await,
    };
    let seen = Seen { target, user: login.map(|(user, _)| user), status: response.status().as_u16() };
    host.seen.lock().expect("no test panics while it holds the lock").push(seen);
    response
}

/// The user and password of an `Authorization: Basic` header.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// One CGI call: <https://git-scm.com/docs/git-http-backend>, RFC 3875.
pub(super) async fn backend(root: &Path, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await.expect("the request can be read");
    let header =
        |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    let mut command = tokio::process::Command::from(git(root));
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or(""))
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("git can be run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let feed = async move {
        // The backend may answer, and close its input, before it has read everything: an error here is not one of the test.
        stdin.write_all(&body).await.ok();
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    from_cgi(&output.expect("git http-backend ends").stdout)
}

/// Header lines, an empty line, the body; `Status:` is 200 where it is not given.
fn from_cgi(output: &[u8]) -> Response {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "git http-backend gave no headers").into_response();
    };
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => {
                response = response.status(status.get(..3).expect("a status has three digits"));
            }
            Some((name, value)) => response = response.header(name, value),
            None => {}
        }
    }
    response.body(Body::from(output[end + 4..].to_vec())).expect("git's headers are headers")
}

/// git as on a machine where nobody has set anything up.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE");
    for (role, name) in [("AUTHOR", "A Developer"), ("COMMITTER", "A Developer")] {
        command
            .env(format!("GIT_{role}_NAME"), name)
            .env(format!("GIT_{role}_EMAIL"), "developer@example.com");
    }
    command
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = git(folder).args(arguments).output().expect("git can be run");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
