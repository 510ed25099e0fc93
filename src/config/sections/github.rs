//! `[github]`, `[repository]`: as whom to call GitHub, and with what to clone.

use super::super::document::Section;
use crate::github::{Auth, Settings};
use crate::repo::{Credential, FetchToken, FetchTokens};

/// Reads `[github]`; `None` without a token or app.
pub(in crate::config) fn github(root: &Section<'_>) -> Option<Settings> {
    let section = root.section("github");
    let api = section.web_address("api");
    let web = section.web_address("web");
    let token = section.secret("token");
    let app_id = section.has("app_id").then(|| section.number("app_id", 1..=u64::MAX, 0));
    let installation_id =
        section.has("installation_id").then(|| section.number("installation_id", 1..=u64::MAX, 0));
    // Asked for once each, so that they are known keys.
    let (_, _) =
        (section.number("app_id", 1..=u64::MAX, 1), section.number("installation_id", 1..=u64::MAX, 1));
    let private_key = section.secret("private_key");
    let auth = match (token, app_id, private_key) {
        (Some(token), None, None) => Some(Auth::Token(token)),
        (None, Some(app_id), Some(private_key)) => Some(Auth::App { app_id, private_key, installation_id }),
        (None, None, None) => None,
        (Some(_), _, _) => {
            section.wrong::<()>("token", None, "there is a token and an app", "keep one of them");
            None
        }
        (None, Some(_), None) | (None, None, Some(_)) => {
            if !section.has("private_key") || app_id.is_none() {
                section.wrong::<()>(
                    "app_id",
                    None,
                    "an app needs `app_id` and `private_key`",
                    "set both, or use `token`",
                );
            }
            None
        }
    };
    let settings = auth.map(|auth| {
        let mut settings = Settings::new(auth);
        if let Some(api) = api {
            settings.api_url = api.value.as_str().trim_end_matches('/').to_owned();
        }
        if let Some(web) = web {
            settings.web_url = web.value.as_str().trim_end_matches('/').to_owned();
        }
        settings
    });
    section.finish();
    settings
}

/// Reads `[[repository.token]]`: read-only tokens for cloning, by the beginning of the address.
pub(in crate::config) fn fetch_tokens(root: &Section<'_>) -> FetchTokens {
    let section = root.section("repository");
    let mut tokens = Vec::new();
    for entry in section.sections("token") {
        let prefix = entry.text("prefix");
        let user = entry.text("user").map_or_else(|| "x-access-token".to_owned(), |found| found.value);
        let secret = entry.secret("token");
        if let Some(found) = &prefix
            && !(found.value.starts_with("https://") && found.value.ends_with('/'))
        {
            let hint = "write for example \"https://github.com/example/\"";
            entry.wrong("prefix", Some(found), "must begin with https:// and end with /", hint);
        }
        for (key, is_there) in [("prefix", entry.has("prefix")), ("token", entry.has("token"))] {
            if !is_there {
                entry.wrong::<()>(key, None, "is missing", "a token needs `prefix` and `token`");
            }
        }
        if let (Some(prefix), Some(token)) = (prefix, secret) {
            tokens.push(FetchToken { prefix: prefix.value, credential: Credential { user, token } });
        }
        entry.finish();
    }
    section.finish();
    FetchTokens(tokens)
}
