//! The kinds of values a config holds: texts, numbers with a range, durations, sizes, globs, names from a list, secrets.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::document::{Found, Section};
use crate::base::env;
use crate::base::secret::Secret;
use crate::model::money::NanoUsd;

impl Section<'_> {
    /// A text that is not empty.
    pub(super) fn text(&self, key: &'static str) -> Option<Found<String>> {
        self.read(key, as_text)
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let found = self.read(key, |value| value.as_bool().ok_or_else(|| "write true or false".to_owned()));
        found.map_or(default, |found| found.value)
    }

    /// A whole number in `range`.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let found = self.read(key, |value| {
            let number = value.as_integer().and_then(|it| u64::from_str_radix(it.as_str(), it.radix()).ok());
            let hint = || format!("write a whole number from {} to {}", range.start(), range.end());
            number.filter(|number| range.contains(number)).ok_or_else(hint)
        });
        found.map_or(default, |found| found.value)
    }

    /// An amount of dollars, from 0.
    pub(super) fn dollars(&self, key: &'static str) -> Option<Found<NanoUsd>> {
        self.read(key, |value| {
            let number = match value {
                DeValue::Integer(number) => number.as_str().parse().ok(),
                DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
                DeValue::String(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            };
            let number = number.filter(|number| (0.0..=1e6).contains(number));
            number.map(NanoUsd::from_usd).ok_or_else(|| "write dollars, for example 2.50".to_owned())
        })
    }

    /// A length of time such as `"90s"` or `"1h 30m"`, in `range`.
    pub(super) fn duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let found = self.read(key, |value| {
            let duration = value.as_str().and_then(|text| text.parse::<jiff::SignedDuration>().ok());
            let duration = duration.and_then(|it| Duration::try_from(it).ok());
            let hint = || {
                format!(
                    "write a duration from \"{:#}\" to \"{:#}\", for example \"90s\" or \"1h 30m\"",
                    signed(*range.start()),
                    signed(*range.end())
                )
            };
            duration.filter(|it| range.contains(it)).ok_or_else(hint)
        });
        found.map_or(default, |found| found.value)
    }

    /// A number of bytes: a whole number, or a text such as `"512MiB"` or `"4GiB"`.
    pub(super) fn bytes(&self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let found = self.read(key, |value| {
            let bytes = match value {
                DeValue::Integer(number) => number.as_str().parse().ok(),
                DeValue::String(text) => parse_bytes(text),
                DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => None,
            };
            let hint = || {
                format!(
                    "write a size from {} to {} bytes, for example \"512MiB\"",
                    range.start(),
                    range.end()
                )
            };
            bytes.filter(|bytes| range.contains(bytes)).ok_or_else(hint)
        });
        found.map_or(default, |found| found.value)
    }

    /// A list of texts; `None` if the key is not there.
    pub(super) fn texts(&self, key: &'static str) -> Option<Found<Vec<String>>> {
        self.read(key, |value| {
            let hint = "write a list of texts: [\"…\", \"…\"]";
            let array = value.as_array().ok_or_else(|| hint.to_owned())?;
            let items = array.iter().map(|item| as_text(item.get_ref())).enumerate();
            let wrong = |n: usize| format!("entry {} of it is no text, or an empty one; {hint}", n + 1);
            items.map(|(n, item)| item.map_err(|_| wrong(n))).collect()
        })
    }

    /// A list of globs for names, such as `"web-*"`; checked here, compiled by their user.
    pub(super) fn globs(&self, key: &'static str) -> Option<Vec<String>> {
        let found = self.texts(key)?;
        for pattern in &found.value {
            if let Err(error) = globset::Glob::new(pattern) {
                self.wrong(
                    key,
                    Some(&found),
                    format!("`{pattern}` is no glob: {}", error.kind()),
                    "use * and ?",
                );
            }
        }
        Some(found.value)
    }

    /// One name out of `names`, as its value.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let found = self.read(key, |value| {
            let choice = value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
            let names =
                || choices.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            choice.map(|(_, value)| *value).ok_or_else(|| format!("write one of {}", names()))
        });
        found.map_or(default, |found| found.value)
    }

    /// An http or https address, without a user or a password in it.
    pub(super) fn web_address(&self, key: &'static str) -> Option<Found<url::Url>> {
        let found = self.read(key, |value| {
            let url = value.as_str().and_then(|text| url::Url::parse(text).ok());
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            url.ok_or_else(|| "write an address such as \"https://example.org\"".to_owned())
        })?;
        if !found.value.username().is_empty() || found.value.password().is_some() {
            let hint =
                "leave them out of the address: secrets stand in files, credentials or the environment";
            self.wrong(key, Some(&found), "has a user or a password in it", hint);
            return None;
        }
        Some(found)
    }

    /// The address of a container engine.
    pub(super) fn engine_address(&self, key: &'static str) -> Option<String> {
        let found = self.read(key, |value| {
            let is_address = |text: &&str| match text.split_once("://") {
                Some(("unix", path)) => path.starts_with('/'),
                Some(("tcp" | "http", host)) => url::Url::parse(&format!("http://{host}")).is_ok(),
                Some(_) | None => false,
            };
            let hint = "write \"unix:///var/run/docker.sock\" or \"tcp://host:2375\"";
            value.as_str().filter(is_address).map(str::to_owned).ok_or_else(|| hint.to_owned())
        });
        found.map(|found| found.value)
    }

    /// A path.
    pub(super) fn path(&self, key: &'static str) -> Option<Found<PathBuf>> {
        self.read(key, |value| as_text(value).map(PathBuf::from))
    }

    /// A secret by reference: `{ file = "/path" }`, `{ credential = "name" }` (systemd) or `{ env = "NAME" }`. Never the
    /// secret itself: config files are copied, mailed and committed.
    pub(super) fn secret(&self, key: &'static str) -> Option<Secret> {
        // What stands there instead of a reference may be the secret: it is not repeated in the message.
        let place = self.read(key, |value| Ok(secret_place(value)))?;
        let read = place.value.as_ref().map_or_else(
            || {
                let hint =
                    "write { file = \"/path\" }, { credential = \"name\" } or { env = \"NAME\" }".to_owned();
                Err(("is no reference to a secret".to_owned(), hint))
            },
            SecretPlace::read,
        );
        match read {
            Ok(secret) => Some(secret),
            Err((message, hint)) => {
                self.wrong(key, Some(&place), message, hint);
                None
            }
        }
    }
}

/// The one place that a value refers to.
fn secret_place(value: &DeValue<'_>) -> Option<SecretPlace> {
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let (name, value) = table.iter().next()?;
    let text = as_text(value.get_ref()).ok()?;
    match name.get_ref().as_ref() {
        "file" => Some(SecretPlace::File(PathBuf::from(text))),
        "credential" => Some(SecretPlace::Credential(text)),
        "env" => Some(SecretPlace::Env(text)),
        _ => None,
    }
}

/// Where a secret is.
#[derive(Debug, Clone)]
enum SecretPlace {
    File(PathBuf),
    Credential(String),
    Env(String),
}

impl SecretPlace {
    /// The secret without surrounding blanks, or what is wrong and what to do.
    fn read(&self) -> Result<Secret, (String, String)> {
        match self {
            Self::File(path) => read_file(path),
            Self::Credential(name) => {
                let Some(folder) = env::path(env::CREDENTIALS_DIRECTORY) else {
                    return Err((
                        format!(
                            "there is no credential `{name}`: not started by systemd with LoadCredential="
                        ),
                        "add LoadCredential= to the unit, or use { file = \"…\" }".to_owned(),
                    ));
                };
                read_file(&folder.join(name))
            }
            Self::Env(name) => env::var(name).map(Secret::new).ok_or_else(|| {
                (
                    format!("the environment variable `{name}` is not set"),
                    format!("set {name} before the start"),
                )
            }),
        }
    }
}

fn read_file(path: &std::path::Path) -> Result<Secret, (String, String)> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        (
            format!("failed to read the secret file `{}`: {error}", path.display()),
            "create it with the secret in it, readable by the daemon's user only".to_owned(),
        )
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Err((
            format!("the secret file `{}` is empty", path.display()),
            "write the secret into it".to_owned(),
        ));
    }
    Ok(Secret::new(text))
}

fn as_text(value: &DeValue<'_>) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.trim().is_empty());
    let hint = || if value.is_str() { "write something in the quotes" } else { "write a text in quotes" };
    text.map(str::to_owned).ok_or_else(|| hint().to_owned())
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

/// `"512MiB"`, `"4 GiB"`, `"1000"`: binary units only, since limits of containers are binary.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let shift = match text[end..].trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("0", Some(0)),
            ("512MiB", Some(512 << 20)),
            ("4 GiB", Some(4 << 30)),
            ("4GB", None),
            ("-1", None),
            ("99999999TiB", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), expected, "{text}");
        }
    }
}
