//! Who may come in, and what every answer carries.
//!
//! Three checks before any handler: the `Host` must be one this server is reached by (a foreign page that rebinds its
//! name to loopback is refused), a change must come from the same site, and where a token is set it must be shown.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::error::HttpError;
use super::login::{cookie, is_session};
use super::state::App;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the security headers to every answer.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request through or answers it.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let path = request.uri().path();
    // Asked by machines under any name; they tell nothing but "alive".
    if matches!(path, "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    if app.settings.token.is_none() && !is_known_host(&app, headers) {
        return HttpError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "this address is not homeostat's: use the address in `http.public_url`",
        )
        .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && is_cross_site(headers) {
        return HttpError::new(StatusCode::FORBIDDEN, "a change must come from homeostat's own pages")
            .into_response();
    }
    let is_open = path.starts_with("/assets/") || path == "/login";
    if !is_open && !is_allowed(&app, headers) {
        let wants_page =
            request.method() == Method::GET && !path.starts_with("/v1/") && !path.starts_with("/metrics");
        if wants_page {
            return Redirect::to("/login").into_response();
        }
        let mut response =
            HttpError::new(StatusCode::UNAUTHORIZED, "show the token: `Authorization: Bearer …`")
                .into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    next.run(request).await
}

/// Whether the token is shown, as a bearer token, as the password of basic authentication (Alertmanager knows both), or by a session cookie.
fn is_allowed(app: &App, headers: &HeaderMap) -> bool {
    let Some(token) = &app.settings.token else { return true };
    let shown = text(headers, header::AUTHORIZATION.as_str());
    if let Some((scheme, value)) = shown.and_then(|it| it.split_once(' ')) {
        if scheme.eq_ignore_ascii_case("bearer") {
            return token.matches(value.trim());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            use base64::Engine as _;
            let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok();
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            return decoded
                .is_some_and(|it| it.split_once(':').is_some_and(|(_, password)| token.matches(password)));
        }
    }
    cookie(headers).is_some_and(|value| is_session(token, value))
}

/// Whether `Host` is loopback, the bound address, or the public address.
fn is_known_host(app: &App, headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, header::HOST.as_str()) else { return true };
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|it| it.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_start_matches('[').trim_end_matches(']');
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|it| it.is_loopback() || it == app.settings.listen.ip());
    is_loopback || app.settings.public_url.host_str().is_some_and(|it| it.eq_ignore_ascii_case(name))
}

/// Whether a browser says that the request comes from another site. Programs say neither and pass: they hold no cookie.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text(headers, header::ORIGIN.as_str()) else { return false };
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, it)| !it.eq_ignore_ascii_case(host))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
