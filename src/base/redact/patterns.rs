//! The built-in patterns, as data. Order matters where two begin at one place: the first wins.
//!
//! Syntax is that of the `regex` crate without Unicode; the first group that took part is what gets replaced, or the
//! whole match where there is no group. Formats of keys are those their issuers document.

use super::plausible::Check;

/// What to look for and how to name what was there.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) kind: &'static str,
    pub(super) regex: &'static str,
    pub(super) check: Check,
}

const fn always(kind: &'static str, regex: &'static str) -> Pattern {
    Pattern { kind, regex, check: Check::Always }
}

const fn checked(kind: &'static str, regex: &'static str, check: Check) -> Pattern {
    Pattern { kind, regex, check }
}

pub(super) const BUILTIN: &[Pattern] = &[
    // A block without its end (cut off) is taken to the end of the text.
    always(
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    // Headers.
    always(
        "authorization",
        r#"(?i)\bauthorization\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?(?:bearer|basic|token|apikey|negotiate)[ \t]+([^\s"'\\,;]+)"#,
    ),
    always(
        "authorization",
        r#"(?i)\bauthorization\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?(?:digest|aws4-hmac-sha256)[ \t]+([^\r\n]+)"#,
    ),
    checked(
        "authorization",
        r#"(?i)\bauthorization\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?([^\s"'\\,;]{8,})"#,
        Check::SecretLike,
    ),
    always(
        "cookie",
        r#"(?i)\b(?:set-)?cookie\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?([^\s=;"',\\]+=[^\r\n"'\\]*)"#,
    ),
    checked("token", r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=-]{8,})", Check::SecretLike),
    checked("password", r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{6,}={0,2})", Check::BasicCredentials),
    // Keys whose issuer can be told by their form.
    always("aws-key", r"\b(?:AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9]{16}\b"),
    always("github-token", r"\b(?:gh[opusr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    always("gitlab-token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    always("slack-token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"),
    always("slack-webhook", r"\bhooks\.slack\.com/(?:services|workflows)/([A-Za-z0-9/_-]{8,})"),
    always("anthropic-key", r"\bsk-ant-[A-Za-z0-9_-]{16,}"),
    checked("openai-key", r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}", Check::SecretLike),
    always("google-key", r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{20,}"),
    always("stripe-key", r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|\bwhsec_[A-Za-z0-9]{16,}"),
    always("npm-token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    always("pypi-token", r"\bpypi-Ag[A-Za-z0-9_-]{40,}"),
    always("huggingface-token", r"\bhf_[A-Za-z0-9]{30,}\b"),
    always("sendgrid-key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    always("twilio-key", r"\bSK[0-9a-f]{32}\b"),
    always("telegram-token", r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b"),
    always("digitalocean-token", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    always("vault-token", r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}"),
    always("jwt", r"\beyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"),
    // `scheme://user:password@host` and `scheme://long-token@host`.
    always("password", r#"(?i)\b[a-z][a-z0-9+.-]{1,30}://[^\s/:@"'<>]*:([^\s/"'<>]+)@"#),
    checked("token", r#"(?i)\b[a-z][a-z0-9+.-]{1,30}://([^\s/:@"'<>]{20,})@"#, Check::SecretLike),
    // `name = value` in the forms of code, configs, URLs, JSON and JSON within JSON.
    checked(
        "password",
        r#"(?i)(?:password|passwd|passphrase|pwd)\\*["']?[ \t]{0,4}(?:=>?|:)[ \t]{0,4}(?:\\+["']([^"'\\\r\n]+)|"((?:[^"\\\r\n]|\\.)+)|'((?:[^'\\\r\n]|\\.)+)|([^\s"'&,;)\]}<>\\]+))"#,
        Check::Password,
    ),
    checked(
        "token",
        r#"(?i)(?:secret|token|credentials?|(?:api|access|private|signing|encryption|account)[_-]?key|signature|session_?id)\\*["']?[ \t]{0,4}(?:=>?|:)[ \t]{0,4}(?:\\+["']([^"'\\\r\n]+)|"((?:[^"\\\r\n]|\\.)+)|'((?:[^'\\\r\n]|\\.)+)|([^\s"'&,;)\]}<>\\]+))"#,
        Check::SecretLike,
    ),
    // `--password value`, where the value is no word of a sentence.
    checked(
        "password",
        r#"(?i)(?:^|\s)--?(?:[a-z][a-z0-9-]{0,30}-)?(?:password|passwd|passphrase|secret|token|api-key)[ \t]+["']?([^\s"'-][^\s"']{0,200}[0-9!@#$%^&*+][^\s"']*)"#,
        Check::Password,
    ),
    // People.
    checked(
        "email",
        r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9](?:[A-Za-z0-9-]*\.)+[A-Za-z]{2,24}\b",
        Check::Email,
    ),
    checked(
        "card",
        r"\b(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})\b",
        Check::Card,
    ),
];
