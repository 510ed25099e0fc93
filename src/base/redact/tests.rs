//! What is redacted, what is not, and that twice is once.

use proptest::prelude::*;

use super::*;

fn check(input: &str, expected: &str) {
    assert_eq!(Redactor::builtin().redact(input).as_str(), expected, "of: {input}");
}

fn unchanged(input: &str) {
    check(input, input);
}

/// Written in two halves, so that no scanner of repositories takes the examples for real keys.
fn key(prefix: &str, rest: &str) -> String {
    format!("{prefix}{rest}")
}

#[test]
fn keys_are_known_by_their_form() {
    for (text, kind) in [
        (key("AKIA", "IOSFODNN7EXAMPLE"), "aws-key"),
        (key("ghp_", "abcdefghijklmnopqrstuvwxyz0123456789"), "github-token"),
        (key("github_pat_", "11ABCDEFG0abcdefghijklmnop"), "github-token"),
        (key("xoxb-", "123456789012-abcdefGHIJKL"), "slack-token"),
        (key("sk-ant-", "api03-abcdefghijklmnop_qrst"), "anthropic-key"),
        (key("sk-proj-", "abcdefghij0123456789abcdefghij"), "openai-key"),
        (key("AIza", "SyA1234567890abcdefghijklmnopqrstuv"), "google-key"),
        (key("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"), "stripe-key"),
        (key("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmN"), "jwt"),
        (key("123456789:", "AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"), "telegram-token"),
    ] {
        check(&format!("using {text} now"), &format!("using [redacted:{kind}] now"));
    }
}

#[test]
fn named_values_are_redacted_in_every_notation() {
    check("login password=hunter2 user=bob", "login password=[redacted:password] user=bob");
    check(r#"{"user":"bob","password":"hu\"nter2"}"#, r#"{"user":"bob","password":"[redacted:password]"}"#);
    check(r#"{"log":"{\"password\":\"hunter2\"}"}"#, r#"{"log":"{\"password\":\"[redacted:password]\"}"}"#);
    check("{'db_password': 'hunter2', 'n': 1}", "{'db_password': '[redacted:password]', 'n': 1}");
    check(":password=>\"hunter2\"", ":password=>\"[redacted:password]\"");
    check("GET /cb?token=a1b2c3d4e5&x=1", "GET /cb?token=[redacted:token]&x=1");
    check("client_secret: s3cr3tvalue99", "client_secret: [redacted:token]");
    check("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCY", "AWS_SECRET_ACCESS_KEY=[redacted:token]");
    check("run --db-password hunter2 --keep", "run --db-password [redacted:password] --keep");
    check("use --password to set it", "use --password to set it");
    check("postgres://app:hunter2@db:5432/x", "postgres://app:[redacted:password]@db:5432/x");
    check("redis://:p@ss@cache/0", "redis://:[redacted:password]@cache/0");
}

#[test]
fn headers_are_redacted() {
    check("Authorization: Bearer abc.def-123", "Authorization: Bearer [redacted:authorization]");
    check(r#""authorization":"Basic Ym9iOnB3""#, r#""authorization":"Basic [redacted:authorization]""#);
    check("sent bearer 0123456789abcdef", "sent bearer [redacted:token]");
    check("-H 'basic Ym9iOmh1bnRlcjI='", "-H 'basic [redacted:password]'");
    check("Cookie: sid=abc; theme=dark", "Cookie: [redacted:cookie]");
    check("Set-Cookie: sid=abc; Path=/", "Set-Cookie: [redacted:cookie]");
    check("X-Api-Key: 0a1b2c3d4e5f", "X-Api-Key: [redacted:token]");
}

#[test]
fn people_are_redacted() {
    check("mail to <bob.smith+x@example.co.uk> failed", "mail to <[redacted:email]> failed");
    check("card 4111 1111 1111 1111 declined", "card [redacted:card] declined");
    check("card 4111111111111111.", "card [redacted:card].");
    check("amex 378282246310005", "amex [redacted:card]");
}

#[test]
fn a_private_key_goes_whole_or_to_the_end() {
    let head = key("-----BEGIN RSA PRIVATE", " KEY-----");
    let end = key("-----END RSA PRIVATE", " KEY-----");
    check(&format!("key:\n{head}\nMIIE\nAbc=\n{end}\nnext"), "key:\n[redacted:private-key]\nnext");
    check(&format!("{head}\nMIIE\nAbc="), "[redacted:private-key]");
}

#[test]
fn traces_and_sentences_keep_their_words() {
    for text in [
        "",
        "\tat com.shop.Order@1a2b3c.run(Order.java:12)",
        "java.lang.Object@6d06d69c is not closed",
        "    at f (/app/node_modules/.pnpm/@babel+core@7.1.2_supports-color@8.1.1/index.js:1:2)",
        "    at g (/app/node_modules/@scope/x@1.2.3-beta.rc/lib/a.js:10:5)",
        "/root/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.21.linux-amd64/src/a.go:12 +0x1d",
        "    #61 0x003b7c3d in data@app@com.acme.apps.chrome-1@base.apk@classes.dex",
        "git@github.com:acme/shop.git",
        "Started getty@tty1.service.",
        "GET /img/icon@2x.png 404",
        "SyntaxError: Unexpected token: punc (})",
        "Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
        "invalid token: expected end of input",
        "max_tokens=4096 tokens: 123456789",
        "  File \"/app/db.py\", line 3, in connect\n    return open(user=user, password=self.password)",
        "def login(user: str, password: str) -> None:",
        "password = get_password(user)",
        "basic authentication failed for bearer authentication",
        "PWD=/srv/app",
        "order 1234567890123456 at 1700000000000 and 1700000000000000000",
        "trace 4111-1111-1111-1112, id 12345678-1234-4321-8765-432187654321",
        "http://host:8080/path?x=1",
        "authorization: required",
        "called `Option::unwrap()` on a `None` value",
    ] {
        unchanged(text);
    }
}

#[test]
fn what_was_redacted_stays() {
    unchanged(
        "Authorization: Bearer [redacted:authorization] password=[redacted:password], token: [redacted:token]",
    );
}

#[test]
fn extra_patterns_come_first_and_their_problems_all_at_once() {
    let extra = |name: &str, pattern: &str| ExtraPattern { name: name.into(), pattern: pattern.into() };
    let redactor = Redactor::with_extra(&[extra("customer", r"\bcust-(\d+)"), extra("word", "x+")]).unwrap();
    assert_eq!(redactor.redact("cust-42 xx ok").as_str(), "cust-[redacted:customer] [redacted:word] ok");
    let problems = Redactor::with_extra(&[extra("Bad Name", "a"), extra("open", "("), extra("empty", "a*")])
        .unwrap_err();
    assert_eq!(problems.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["Bad Name", "open", "empty"]);
}

proptest! {
    #[test]
    fn redacting_twice_is_redacting_once(
        parts in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,12}".prop_map(String::from),
                "\\PC{0,4}".prop_map(String::from),
                proptest::sample::select(vec![
                    "password", "=", ": ", "\"", "\\\"", "token", "Bearer ", "Authorization: ", "bob@example.com",
                    "[redacted:", "]", "[redacted:email]", "://", "user:", "@", concat!("AKIA", "IOSFODNN7EXAMPLE"), "\n", "Cookie: ",
                    "a=b", "4111 1111 1111 1111", "hunter2", "é",
                ]).prop_map(String::from),
            ],
            0..12,
        )
    ) {
        let redactor = Redactor::builtin();
        let once = redactor.redact(&parts.concat());
        prop_assert_eq!(redactor.redact(once.as_str()), once);
    }

    #[test]
    fn lines_stay_lines(lines in proptest::collection::vec("[a-zA-Z0-9 .:=@/\"']{0,40}", 1..8)) {
        let text = lines.join("\n");
        let redacted = Redactor::builtin().redact(&text);
        prop_assert_eq!(redacted.as_str().lines().count(), text.lines().count());
    }
}

#[test]
fn numbered_placeholders_can_be_put_back() {
    let aws = key("AKIA", "IOSFODNN7EXAMPLE");
    let other = key("AKIA", "IOSFODNN7EXAMPLF");
    let text = format!("a = '{aws}'\nb = '{other}'\nc = '{aws}'\nseen: [redacted:aws-key-1]\n");
    let (clean, hidden) = Redactor::builtin().redact_numbered(&text);
    // `1` is taken by the text itself.
    let expected = "a = '[redacted:aws-key-2]'\nb = '[redacted:aws-key-3]'\nc = '[redacted:aws-key-2]'\nseen: [redacted:aws-key-1]\n";
    assert_eq!(clean.as_str(), expected);
    assert_eq!(unhide(clean.as_str(), &hidden), text);
    assert_eq!(unhide("k = [redacted:aws-key-3]", &hidden), format!("k = {other}"));
    assert_eq!(Redactor::builtin().redact(clean.as_str()), clean);
    assert!(!format!("{hidden:?}").contains(&aws));
}

proptest! {
    #[test]
    fn hiding_and_unhiding_is_the_identity(words in prop::collection::vec(prop::sample::select(vec![
        "password=", "hunter2", "hunter3", " ", "\n", "Bearer abcdefghijklmnopqrstuvwxyz", concat!("AKIA", "IOSFODNN7EXAMPLE"),
        "[redacted:password]", "[redacted:password-1]", "token: \"", "\"", "user@example.com", "x", "=",
    ]), 0..24)) {
        let text = words.concat();
        let (clean, hidden) = Redactor::builtin().redact_numbered(&text);
        prop_assert_eq!(unhide(clean.as_str(), &hidden), text);
        prop_assert_eq!(Redactor::builtin().redact(clean.as_str()), clean);
    }
}

/// One text at least for each kind.
const TEXTS: [&str; 22] = [
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    "Authorization: Bearer abc.def-123",
    "authorization = digest username=\"x\"",
    "AUTHORIZATION: 0123456789",
    "Set-Cookie: sid=abc; theme=dark",
    "sent Bearer\t0123456789abcdef",
    "-H 'basic Ym9iOmh1bnRlcjI='",
    "xoxb-123456789012-abcdefGHIJKL xapp-123456789012",
    "https://hooks.slack.com/services/T000/B000/XXXX",
    "sk-ant-api03-abcdefghijklmnop_qrst sk-proj-abcdefghij0123456789abcdefghij",
    "hf_abcdefghijklmnopqrstuvwxyz0123456789 SG.abcdefghijklmnop1.abcdefghijklmnop2",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789 glpat-abcdefghij0123456789",
    "hvs.abcdefghijklmnopqrstuvwxyz dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "SK0123456789abcdef0123456789abcdef 123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc",
    "postgres://app:hunter2@db:5432/x https://0123456789abcdefghij@example.com",
    "login password=hunter2 db_pwd: x passphrase => \"a b\"",
    "client_secret: s3cr3tvalue99 apiKey='abcdef1' session-id sessionid=a1b2c3d4e5 access_key: a1b2c3d4e5",
    "first line\n--db-password hunter2 --keep",
    "a\n--token a1b2c3!d4",
    "to bob@example.com",
    "card 4111 1111 1111 1111.",
    "AKIAIOSFODNN7 ghp_abcdefghijklmnopqrstuvwxyz eyJhbGciOiJ.eyJzdWIiOiI.x",
];

/// **Invariant:** what a pattern matches is never passed by because a literal is missing.
#[test]
fn every_pattern_has_its_literals_or_is_searched_for_by_itself() {
    let redactor = Redactor::builtin();
    let searches = redactor.searches();
    let syntax = syntax_of_patterns();
    let mut n_with = 0;
    for pattern in BUILTIN {
        let parsed = syntax::parse_with(pattern.regex, &syntax).unwrap();
        let literals = RequiredLiterals::of(&parsed, Searched::Texts);
        n_with += usize::from(!literals.is_empty());
        assert!(literals.iter().all(|it| it.len() > 2 && !it.contains(&b'\n')), "{}", pattern.kind);
        let alone = compile(&[pattern.regex]).unwrap();
        for text in TEXTS {
            if let Some(found) = alone.find(text) {
                let found = &text[found.range()];
                assert!(searches.is_suspect(text), "{} in {text}", pattern.kind);
                let lower = found.to_ascii_lowercase();
                let has_one = literals.iter().any(|it| memchr::memmem::find(lower.as_bytes(), it).is_some());
                assert!(literals.is_empty() || has_one, "{} in {found}", pattern.kind);
            }
        }
    }
    assert!(n_with > BUILTIN.len() / 2, "only {n_with}");
}
