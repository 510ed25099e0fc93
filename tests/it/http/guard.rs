//! Who comes in: hosts, origins, tokens, cookies; and the headers that nobody leaves without.

use reqwest::Method;

use super::{SEE_OTHER, ask, ask_with, get, post};
use crate::pages::server::Server;
use crate::pages::story::Given;

const TOKEN: &str = "a-token-of-a-test";
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn a_foreign_name_for_this_address_is_refused() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let port = server.address.port();
    for (host, expected) in [
        (format!("127.0.0.1:{port}"), 200),
        ("127.0.0.1".to_owned(), 200),
        (format!("localhost:{port}"), 200),
        (format!("LOCALHOST:{port}"), 200),
        (format!("[::1]:{port}"), 200),
        ("homeostat.example".to_owned(), 200),
        ("evil.example".to_owned(), 421),
        (format!("evil.example:{port}"), 421),
        ("127.0.0.1.evil.example".to_owned(), 421),
        ("localhost.evil.example".to_owned(), 421),
        ("homeostat.example.evil.example".to_owned(), 421),
        ("10.0.0.1".to_owned(), 421),
    ] {
        let answer = ask(&server, Method::GET, "/", &[("host", &host)]).await;
        assert_eq!(answer.status, expected, "{host}");
    }
    let answer = ask(&server, Method::GET, "/healthz", &[("host", "evil.example")]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"), "a probe may use any name");
    let answer = ask(&server, Method::GET, "/metrics", &[("host", "evil.example")]).await;
    assert_eq!(answer.status, 421, "numbers are for this name only");
}

#[tokio::test]
async fn a_change_from_another_site_is_refused() {
    let given = Given::empty().await;
    let server = Server::start(&given).await;
    let home = format!("http://{}", server.address);
    let host = server.address.to_string();
    for (headers, is_let_in) in [
        (vec![], true),
        (vec![("origin", home.as_str())], true),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site")], false),
        (vec![("sec-fetch-site", "cross-site"), ("origin", home.as_str())], false),
        (vec![("host", host.as_str()), ("origin", "http://127.0.0.1:1")], false),
    ] {
        given.store.set_paused(false, "test", given.clock.now()).await.unwrap();
        let answer = ask(&server, Method::POST, "/pause", &headers).await;
        assert_eq!(answer.status, if is_let_in { SEE_OTHER } else { 403 }, "{headers:?}");
        assert_eq!(given.store.is_paused().await.unwrap(), is_let_in, "{headers:?}");
    }
    let answer = ask(&server, Method::GET, "/", &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(answer.status, 200, "a link from elsewhere may lead here");
}

#[tokio::test]
async fn with_a_token_nobody_comes_in_without_it() {
    let given = Given::empty().await;
    let server = Server::start_with(&given, Some(TOKEN)).await;
    let basic = |user: &str, password: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        format!("Basic {pair}")
    };
    for (shown, expected) in [
        (format!("Bearer {TOKEN}"), 200),
        (format!("bearer  {TOKEN}"), 200),
        (basic("alertmanager", TOKEN), 200),
        (basic("", TOKEN), 200),
        (format!("Bearer {TOKEN}x"), 401),
        ("Bearer ".to_owned(), 401),
        (basic(TOKEN, "x"), 401),
        ("Basic %%%".to_owned(), 401),
        (format!("Digest {TOKEN}"), 401),
    ] {
        let answer = ask(&server, Method::POST, "/pause", &[("authorization", &shown)]).await;
        assert_eq!(answer.status, if expected == 200 { SEE_OTHER } else { expected }, "{shown}");
    }
    let refused = post(&server, "/v1/alerts", "{}").await;
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    assert_eq!(refused.body, r#"{"error":"show the token: `Authorization: Bearer …`"}"#);
    for path in ["/", "/jobs", "/gaps", "/issues/0190c2d4-7b1e-7cc0-a1b2-5f0e6c1d2e3f", "/nothing"] {
        let answer = get(&server, path).await;
        assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, "/login"), "{path}");
    }
    for (path, expected) in [
        ("/metrics", 401),
        ("/events", SEE_OTHER),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/login", 200),
        ("/assets/style.css", 200),
    ] {
        assert_eq!(get(&server, path).await.status, expected, "{path}");
    }
    let answer = ask(
        &server,
        Method::GET,
        "/",
        &[("host", "any.example"), ("authorization", &format!("Bearer {TOKEN}"))],
    )
    .await;
    assert_eq!(answer.status, 200, "the token guards where names cannot");
}

#[tokio::test]
async fn a_login_gives_a_cookie_that_is_not_the_token() {
    let given = Given::empty().await;
    let server = Server::start_with(&given, Some(TOKEN)).await;
    let wrong = post(&server, "/login", "token=guess").await;
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, ""));
    assert!(wrong.body.contains("That is not the token."));

    let answer = post(&server, "/login", &format!("token=+{TOKEN}+")).await;
    assert_eq!((answer.status, answer.header("location")), (SEE_OTHER, "/"));
    let set = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Secure"] {
        assert!(set.split("; ").any(|it| it == part), "{part}: {set}");
    }
    assert!(!set.contains(TOKEN));
    let cookie = set.split(';').next().unwrap();
    assert_eq!(
        ask(&server, Method::GET, "/", &[("cookie", &format!("other=1; {cookie}"))]).await.status,
        200
    );
    let forged = format!("{cookie}0");
    assert_eq!(ask(&server, Method::GET, "/", &[("cookie", &forged)]).await.status, SEE_OTHER);

    let other = Server::start_with(&given, Some("another-token")).await;
    let answer = ask(&other, Method::GET, "/", &[("cookie", cookie)]).await;
    assert_eq!(answer.status, SEE_OTHER, "a new token ends every session");
    let crossing = ask_with(
        &server,
        Method::POST,
        "/pause",
        &[("cookie", cookie), ("sec-fetch-site", "cross-site")],
        "",
    )
    .await;
    assert_eq!(crossing.status, 403, "a cookie does not help a foreign page");
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let (given, shown) = Given::with_story().await;
    let open = Server::start(&given).await;
    let closed = Server::start_with(&given, Some(TOKEN)).await;
    let issue = format!("/issues/{}", shown.issue);
    let asked = [
        (&open, Method::GET, "/", 200, "no-store"),
        (&open, Method::GET, issue.as_str(), 200, "no-store"),
        (&open, Method::GET, "/jobs", 200, "no-store"),
        (&open, Method::GET, "/healthz", 200, "no-store"),
        (&open, Method::GET, "/assets/style.css", 200, "max-age=300"),
        (&open, Method::GET, "/assets/nothing.css", 404, "no-store"),
        (&open, Method::GET, "/nothing", 404, "no-store"),
        (&open, Method::GET, "/issues/seven", 400, "no-store"),
        (&open, Method::GET, "/tickets/99", 404, "no-store"),
        (&open, Method::DELETE, "/jobs", 405, "no-store"),
        (&open, Method::POST, "/pause", SEE_OTHER, "no-store"),
        (&closed, Method::GET, "/", SEE_OTHER, "no-store"),
        (&closed, Method::POST, "/pause", 401, "no-store"),
        (&closed, Method::GET, "/login", 200, "no-store"),
    ];
    for (server, method, path, status, cached) in asked {
        let answer = ask(server, method, path, &[]).await;
        assert_eq!(answer.status, status, "{path}");
        for (name, expected) in [
            ("content-security-policy", POLICY),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cache-control", cached),
        ] {
            assert_eq!(answer.header(name), expected, "{name} of {path}");
        }
    }
}
