//! A second look at what a pattern found, where its form alone says too little.
//!
//! Log text is full of near misses: `icon@2x.png`, `Unexpected token: punc`, order numbers of 16 digits. What is
//! not plausible stays as it is, so that traces and messages remain readable.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Which second look a pattern needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// None: the form is proof enough.
    Always,
    /// A value of `password=`: anything but code that only names a password.
    Password,
    /// A value of `token:` and the like: long enough and mixed enough to be no word of a sentence.
    SecretLike,
    /// Base64 of `user:password`.
    BasicCredentials,
    /// An address of a person, not a package with a version, a unit or an image name.
    Email,
    /// Digits of a known issuer whose checksum is right.
    Card,
}

/// Whether `text[secret]` is what its pattern takes it for.
pub(super) fn is_plausible(check: Check, text: &str, secret: Range<usize>) -> bool {
    let value = &text.as_bytes()[secret.clone()];
    match check {
        Check::Always => true,
        Check::Password => !is_code(text, &secret) && !is_working_directory(value),
        Check::SecretLike => !is_code(text, &secret) && is_secret_like(text, &secret),
        Check::BasicCredentials => is_basic_credentials(value),
        Check::Email => !is_part_of_path(text.as_bytes(), &secret) && is_email(value),
        Check::Card => is_card(text.as_bytes(), &secret),
    }
}

/// `password=get_password()`, `password: str`, `password = self.password`: code in a trace, not a value.
fn is_code(text: &str, secret: &Range<usize>) -> bool {
    const WORDS: [&str; 14] = [
        "none",
        "null",
        "nil",
        "true",
        "false",
        "undefined",
        "str",
        "string",
        "&str",
        "option",
        "(null)",
        "***",
        "****",
        "******",
    ];
    let is_quoted = secret.start > 0 && matches!(text.as_bytes()[secret.start - 1], b'"' | b'\'');
    let value = String::from_utf8_lossy(&text.as_bytes()[secret.clone()]).to_ascii_lowercase();
    if WORDS.contains(&value.as_str()) {
        return true;
    }
    let names_itself =
        ["password", "passwd", "pwd", "passphrase", "token", "secret", "key"].iter().any(|name| {
            value.ends_with(name) && value.bytes().all(|b| b.is_ascii_alphabetic() || b"_.$".contains(&b))
        });
    !is_quoted && (value.contains('(') || names_itself)
}

/// `PWD=/srv/app` is where a process stands.
fn is_working_directory(value: &[u8]) -> bool {
    value.first() == Some(&b'/')
}

fn is_secret_like(text: &str, secret: &Range<usize>) -> bool {
    let value = &text.as_bytes()[secret.clone()];
    let is_quoted = secret.start > 0 && matches!(text.as_bytes()[secret.start - 1], b'"' | b'\'');
    let has_digit = value.iter().any(u8::is_ascii_digit);
    let has_letter = value.iter().any(u8::is_ascii_alphabetic);
    let is_one_word =
        value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._~+/=-|:!@#$%^*?".contains(byte));
    is_one_word
        && ((is_quoted && value.len() >= 6)
            || (value.len() >= 8 && has_digit && has_letter)
            || value.len() >= 24)
}

fn is_basic_credentials(value: &[u8]) -> bool {
    let decoded = STANDARD.decode(value).or_else(|_| STANDARD_NO_PAD.decode(value));
    decoded
        .is_ok_and(|it| it.contains(&b':') && std::str::from_utf8(&it).is_ok_and(|text| !text.contains('\0')))
}

/// `Order@1a2b3c.run(…)` and `data@app@base.apk@classes.dex`.
fn is_part_of_path(text: &[u8], secret: &Range<usize>) -> bool {
    let before = secret.start.checked_sub(1).and_then(|at| text.get(at));
    before == Some(&b'@') || matches!(text.get(secret.end), Some(b'(' | b'@'))
}

fn is_email(value: &[u8]) -> bool {
    /// Last labels that are no domain: suffixes of files and of systemd units.
    const NOT_A_DOMAIN: [&str; 46] = [
        "service", "socket", "timer", "mount", "target", "slice", "scope", "device", "path", "swap", "js",
        "jsx", "mjs", "cjs", "ts", "tsx", "py", "go", "rs", "java", "kt", "rb", "php", "ex", "exs", "json",
        "xml", "yml", "yaml", "toml", "css", "html", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "so",
        "dll", "jar", "whl", "tgz", "apk", "dex",
    ];
    let value = String::from_utf8_lossy(value);
    let Some((local, domain)) = value.split_once('@') else { return false };
    let last = domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    local != "git" && !is_version(domain) && !is_object_hash(domain) && !NOT_A_DOMAIN.contains(&last.as_str())
}

/// `1.2.3-beta.rc`, `v0.0.1-go1.21.linux`: what follows the `@` of a package.
fn is_version(domain: &str) -> bool {
    let mut labels = domain.strip_prefix('v').unwrap_or(domain).split('.');
    let is_number =
        |label: Option<&str>| label.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    let first_is_number =
        labels.next().is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()));
    first_is_number && is_number(labels.next())
}

/// `1a2b3c.run`: what a JVM prints behind the class of an object.
fn is_object_hash(domain: &str) -> bool {
    let first = domain.split('.').next().unwrap_or_default();
    (5..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_hexdigit())
        && first.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_card(text: &[u8], secret: &Range<usize>) -> bool {
    let joins = |byte: Option<&u8>| byte.is_some_and(|it| b"-_.".contains(it));
    let before = secret.start.checked_sub(1).and_then(|at| text.get(at));
    // A full stop may end a sentence; a point with a digit behind it makes a decimal number.
    let after = text.get(secret.end);
    let is_decimal = after == Some(&b'.') && text.get(secret.end + 1).is_some_and(u8::is_ascii_digit);
    if joins(before) || is_decimal || matches!(after, Some(b'-' | b'_')) {
        return false;
    }
    let digits: Vec<u8> =
        text[secret.clone()].iter().filter(|it| it.is_ascii_digit()).map(|it| it - b'0').collect();
    is_issued(&digits) && has_luhn_checksum(&digits)
}

/// Whether a card issuer uses numbers of this beginning and length (ISO/IEC 7812 ranges of the large networks).
fn is_issued(digits: &[u8]) -> bool {
    let head = |n: usize| digits.iter().take(n).fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    match digits.len() {
        13 | 19 if head(1) == 4 => true,
        14 => matches!(head(3), 300..=305) || matches!(head(2), 36 | 38),
        15 => matches!(head(2), 34 | 37),
        16 => {
            head(1) == 4
                || matches!(head(2), 51..=55 | 62 | 65)
                || matches!(head(4), 2221..=2720 | 6011 | 3528..=3589)
                || matches!(head(3), 644..=649)
        }
        17..=19 => head(2) == 62,
        _ => false,
    }
}

fn has_luhn_checksum(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}
