//! The login page and its cookie, for where a token is set.
//!
//! The cookie holds a keyed hash of the token, not the token: it cannot be used as a bearer token elsewhere, needs no
//! table, and every cookie ends when the token is changed.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::state::App;
use crate::base::secret::Secret;

const COOKIE: &str = "homeostat_session";
const CONTEXT: &str = "homeostat 2026-11 dashboard session";
const SECONDS: u32 = 7 * 24 * 3600;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    is_wrong: bool,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct LoginForm {
    token: String,
}

pub(super) async fn page() -> Response {
    show(false, StatusCode::OK)
}

pub(super) async fn login(State(app): State<App>, Form(form): Form<LoginForm>) -> Response {
    let Some(token) = app.settings.token.as_ref().filter(|token| token.matches(form.token.trim())) else {
        tracing::warn!("a login with a wrong token was refused");
        return show(true, StatusCode::UNAUTHORIZED);
    };
    let secure = if app.settings.public_url.scheme() == "https" { "; Secure" } else { "" };
    let cookie =
        format!("{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={SECONDS}{secure}", session(token));
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// The session cookie of a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|it| it.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Whether `value` is the cookie that belongs to `token`.
pub(super) fn is_session(token: &Secret, value: &str) -> bool {
    session(token).as_bytes().ct_eq(value.as_bytes()).into()
}

fn session(token: &Secret) -> String {
    let key = blake3::derive_key(CONTEXT, token.expose().as_bytes());
    hex::encode(key)
}

fn show(is_wrong: bool, status: StatusCode) -> Response {
    let html = LoginPage { is_wrong }.render().unwrap_or_default();
    (status, Html(html)).into_response()
}
