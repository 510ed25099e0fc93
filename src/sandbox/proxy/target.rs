//! Whom a proxy may talk to: a host, or all hosts below a domain, and a port.

use std::fmt;
use std::str::FromStr;

/// `registry.example:443`, `*.example:443` or `10.0.0.7:8081`; without a port that of HTTPS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// In lower case, without brackets.
    host: String,
    /// Whether all names below `host` are meant, and not `host` itself.
    is_domain: bool,
    port: u16,
}

/// A text that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `host:port`, `*.domain:port` or `host`")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || TargetError(text.chars().take(80).collect());
        let (is_domain, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (host, port) = split(rest, Some(443)).ok_or_else(wrong)?;
        if is_domain && host.parse::<std::net::IpAddr>().is_ok() {
            return Err(wrong());
        }
        Ok(Self { host, is_domain, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = if self.is_domain { "*." } else { "" };
        write!(f, "{start}{}", shown(&self.host, self.port))
    }
}

impl Target {
    /// Whether it stands for this host, given as [`split`] gives it.
    pub(super) fn covers(&self, host: &str, port: u16) -> bool {
        let is_host = if self.is_domain {
            host.strip_suffix(self.host.as_str()).is_some_and(|start| start.len() > 1 && start.ends_with('.'))
        } else {
            host == self.host
        };
        is_host && self.port == port
    }
}

/// `host:port` with IPv6 addresses in brackets.
pub(super) fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The host in lower case, without brackets and without the dot of the root, and the port, else `default`. `None` if a character could
/// not stand in a host's name or address.
pub(super) fn split(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest.strip_prefix(':').or_else(|| rest.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" if !text.ends_with(':') => default?,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    let fits = !host.is_empty() && host.len() <= 253 && port != 0 && host.bytes().all(is_name);
    (fits && !host.starts_with(['.', '-'])).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_cover_their_hosts_only() {
        let check = |target: &str, text: &str, expected| {
            let target: Target = target.parse().unwrap();
            let (host, port) = split(text, None).unwrap();
            assert_eq!(target.covers(&host, port), expected, "{target} {text}");
        };
        check("registry.example", "Registry.Example:443", true);
        check("registry.example", "registry.example.:443", true);
        check("registry.example", "registry.example:80", false);
        check("registry.example:8081", "registry.example:8081", true);
        check("registry.example", "xregistry.example:443", false);
        check("*.example", "a.example:443", true);
        check("*.example", "a.b.example:443", true);
        check("*.example", "example:443", false);
        check("*.example", "badexample:443", false);
        check("*.example", "a.example.evil.test:443", false);
        check("[::1]:8081", "[::1]:8081", true);
        for wrong in [
            "",
            "*.",
            "a b",
            "a:b",
            "a:0",
            "a:70000",
            "http://a",
            "a/b",
            "user@a",
            "*.10.0.0.1",
            "a:1:2",
            "[x]:1",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
