//! GitHub Apps: a signed token of the app buys a token of its installation.
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use homeostat::base::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::answer::{Answer, answer, refuse};
use super::api::Call;
use super::state::{State, Token};

/// The only installation there is.
pub(crate) const INSTALLATION: u64 = 77;

/// Answers what is for apps; `None` for everything else.
pub(super) fn answer_app(state: &mut State, call: &Call, parts: &[&str]) -> Option<Result<Answer, Answer>> {
    match (call.method.as_str(), parts) {
        ("GET", ["repos", owner, name, "installation"]) => {
            let name = format!("{owner}/{name}");
            Some(check(state, call).and_then(|()| installation(state, &name)))
        }
        ("POST", ["app", "installations", id, "access_tokens"]) => {
            Some(check(state, call).and_then(|()| access_token(state, id, &call.body)))
        }
        _ => None,
    }
}

fn installation(state: &State, name: &str) -> Result<Answer, Answer> {
    if !state.repositories.contains_key(name) {
        return Err(refuse(404, "Not Found"));
    }
    Ok(answer(
        200,
        json!({"id": INSTALLATION, "app_id": 1, "app_slug": "homeostat", "target_type": "Organization"}),
    ))
}

/// A token for all repositories and permissions of the installation, or for those that the body names.
fn access_token(state: &mut State, id: &str, body: &[u8]) -> Result<Answer, Answer> {
    if id != INSTALLATION.to_string() {
        return Err(refuse(404, "Not Found"));
    }
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_named = |name: &str| {
        let bare = name.rsplit('/').next().unwrap_or_default();
        asked["repositories"].as_array().is_none_or(|names| names.iter().any(|it| it == bare))
    };
    let sees: Vec<String> = state.repositories.keys().filter(|name| is_named(name)).cloned().collect();
    if sees.is_empty() {
        return Err(refuse(
            422,
            "There is at least one repository that does not exist or is not accessible to the parent installation.",
        ));
    }
    let may_write = asked["permissions"].is_null() || asked["permissions"]["contents"] == "write";
    let text = format!("ghs_scripted{}", state.fresh_id());
    state.tokens.insert(text.clone(), Token { login: "homeostat[bot]".to_owned(), may_write, sees });
    let expires = SystemClock.now().as_second() + 3_600;
    let expires = homeostat::base::clock::Timestamp::from_second(expires).expect("in range");
    Ok(answer(
        201,
        json!({"token": text, "expires_at": format!("{expires:.0}"), "permissions": {"contents": if may_write { "write" } else { "read" }}}),
    ))
}

/// RS256, signed by the app's key, issued by the app, for at most ten minutes.
fn check(state: &State, call: &Call) -> Result<(), Answer> {
    let bad = |words: &str| refuse(401, words);
    let (id, key) = state.app.as_ref().ok_or_else(|| bad("Integration not found"))?;
    let given = call.authorization.as_deref().and_then(|it| it.strip_prefix("Bearer "));
    let token = given.ok_or_else(|| bad("A JSON web token could not be decoded"))?;
    let decoded = decode(token).ok_or_else(|| bad("A JSON web token could not be decoded"))?;
    let (signed, claims, signature) = decoded;
    let now = SystemClock.now().as_second();
    let issuer = claims["iss"].as_u64().map(|id| id.to_string());
    let issuer = issuer.or_else(|| claims["iss"].as_str().map(str::to_owned));
    if issuer != Some(id.to_string()) {
        return Err(bad("'Issuer' claim ('iss') must be an Integer or the App's client ID"));
    }
    let (from, to) = (claims["iat"].as_i64().unwrap_or(0), claims["exp"].as_i64().unwrap_or(0));
    if to <= now || to - from > 600 + 60 {
        return Err(bad("'Expiration time' claim ('exp') is too far in the future"));
    }
    if !is_signed(key, &signed, &signature) {
        return Err(bad("A JSON web token could not be decoded"));
    }
    Ok(())
}

fn decode(token: &str) -> Option<(String, Value, Vec<u8>)> {
    let mut parts = token.split('.');
    let (head, body, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let head_text: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
    let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    (head_text["alg"] == "RS256").then(|| (format!("{head}.{body}"), claims, signature))
}

fn is_signed(key: &Path, signed: &str, signature: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    };
    let (text, signature) = (write("text", signed.as_bytes()), write("signature", signature));
    let output = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(key)
        .arg("-signature")
        .arg(signature)
        .arg(text)
        .output()
        .expect("openssl can be run");
    output.status.success()
}

/// A fresh key pair: the private key as PEM, and the file with the public one.
pub(crate) fn key_pair(folder: &Path) -> (String, PathBuf) {
    let (private, public) = (folder.join("app.pem"), folder.join("app.pub"));
    let run = |arguments: &[&str], from: Option<&Path>, to: &Path| {
        let mut command = Command::new("openssl");
        command.args(arguments);
        if let Some(from) = from {
            command.arg("-in").arg(from);
        }
        let output = command.arg("-out").arg(to).output().expect("openssl can be run");
        assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(&["genrsa", "-traditional"], None, &private);
    run(&["rsa", "-pubout"], Some(&private), &public);
    (std::fs::read_to_string(&private).expect("openssl wrote it"), public)
}
