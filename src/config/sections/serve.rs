//! `[state]`, `[database]` and `[http]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::super::document::Section;
use crate::http;
use crate::store;

/// Reads `[state]`: the folder for mirrors and the embedded database.
pub(in crate::config) fn state(root: &Section<'_>) -> PathBuf {
    let section = root.section("state");
    let folder = section.path("folder");
    if let Some(found) = &folder
        && found.value.is_relative()
    {
        section.wrong(
            "folder",
            Some(found),
            "is a relative path",
            "write the whole path: a daemon has no folder of its own",
        );
    }
    section.finish();
    folder.map_or_else(|| PathBuf::from("/var/lib/homeostat"), |found| found.value)
}

/// Reads `[database]`.
pub(in crate::config) fn database(root: &Section<'_>, state_folder: &Path) -> store::Settings {
    let section = root.section("database");
    let url = section.read("url", |value| {
        let text = value.as_str().filter(|text| {
            ["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| text.starts_with(scheme))
        });
        let hint = "write \"sqlite:///path/file.db\" or \"postgres://user@host/name\"";
        text.map(str::to_owned).ok_or_else(|| hint.to_owned())
    });
    let default = format!("sqlite://{}", state_folder.join("homeostat.db").display());
    let mut address = url.as_ref().map_or(default, |found| found.value.clone());
    if let Some(password) = section.secret("password") {
        match url::Url::parse(&address) {
            Ok(mut parsed) if parsed.scheme().starts_with("postgres") => {
                // Fails only for an address without a host, which was refused above.
                let _ = parsed.set_password(Some(password.expose()));
                address = parsed.into();
            }
            Ok(_) | Err(_) => section.wrong(
                "password",
                url.as_ref(),
                "needs a postgres address",
                "set `url`, or leave it out",
            ),
        }
    }
    let max_connections = u32::try_from(section.number("max_connections", 1..=500, 8)).unwrap_or(8);
    section.finish();
    store::Settings { url: address, max_connections }
}

/// Reads `[http]`. Listening beyond loopback without a token is refused.
pub(in crate::config) fn http(root: &Section<'_>) -> http::Settings {
    let section = root.section("http");
    let default = http::Settings::default();
    let listen = section.read("listen", |value| {
        let address = value.as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        address.ok_or_else(|| "write an address and a port, for example \"127.0.0.1:8686\"".to_owned())
    });
    let token = section.secret("token");
    if let Some(found) = &listen
        && !found.value.ip().is_loopback()
        && token.is_none()
        && !section.has("token")
    {
        section.wrong(
            "listen",
            Some(found),
            format!("`{}` can be reached from outside and there is no token", found.value),
            "set `token = { file = \"…\" }`, or listen on 127.0.0.1",
        );
    }
    let public_url = section.web_address("public_url").map_or(default.public_url, |found| found.value);
    section.finish();
    http::Settings { listen: listen.map_or(default.listen, |found| found.value), token, public_url }
}
