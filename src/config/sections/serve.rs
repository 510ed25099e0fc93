//! `[state]`, `[database]` and `[http]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::super::document::{Found, Section};
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
    let url = database_url(&section);
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

/// The address of the database. It may hold a password, so it is never repeated in a message.
fn database_url(section: &Section<'_>) -> Option<Found<String>> {
    let found = section.text("url")?;
    let hint = "write \"sqlite:///path/file.db\" or \"postgres://user@host/name\"";
    let scheme = found.value.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        Some("sqlite") => match wrong_file(&found.value) {
            None => Some(found),
            Some(message) => {
                section.wrong("url", Some(&found), message, "write \"sqlite:///path/file.db\"");
                None
            }
        },
        Some("postgres" | "postgresql") => match url::Url::parse(&found.value) {
            Ok(_) => Some(found),
            Err(error) => {
                let hint = "a `#`, `/`, `?` or `@` of the password is written %23, %2F, %3F or %40, or leave it out and set `password`";
                section.wrong("url", Some(&found), format!("cannot be read as an address: {error}"), hint);
                None
            }
        },
        Some(scheme) if is_scheme(scheme) => {
            section.wrong(
                "url",
                Some(&found),
                format!("`{scheme}` is no database that homeostat knows"),
                hint,
            );
            None
        }
        Some(_) | None => {
            section.wrong("url", Some(&found), "is no address of a database", hint);
            None
        }
    }
}

/// What is wrong with the file that an address of SQLite names.
fn wrong_file(url: &str) -> Option<&'static str> {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    if path.contains(":memory:") || path.contains("mode=memory") {
        Some("names no file: a database in memory would forget everything")
    } else if path.starts_with('/') {
        None
    } else {
        Some("names no whole path: a daemon has no folder of its own")
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 20
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'+')
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
    let listen = listen.map_or(default.listen, |found| found.value);
    let public_url = section.web_address("public_url").map(|found| found.value);
    let public_url = public_url.or_else(|| address_of(listen)).unwrap_or(default.public_url);
    section.finish();
    http::Settings { listen, token, public_url, ..default }
}

/// Where people on this machine reach what listens there; `None` if the port is not known yet.
fn address_of(listen: SocketAddr) -> Option<url::Url> {
    let host = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let address = SocketAddr::new(host, listen.port());
    (listen.port() != 0).then(|| url::Url::parse(&format!("http://{address}")).ok())?
}
