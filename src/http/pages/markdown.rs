//! Markdown of reports and proposals as HTML, with nothing active in it.
//!
//! The texts carry words of logs and of the model, so raw HTML is shown as text, images become their description, and
//! links lead only to http and https.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

/// Renders Markdown. The result is safe to put into a page as it is.
pub(super) fn to_html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(markdown, options).filter_map(harmless);
    let mut out = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut out, events);
    out
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything but these few events is structure or text, which the renderer escapes"
)]
fn harmless(event: Event<'_>) -> Option<Event<'_>> {
    match event {
        // `<details>` is how long parts are folded at a forge; here the parts stand open.
        Event::Html(text) | Event::InlineHtml(text) if is_fold(&text) => None,
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => None,
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = if is_web(&dest_url) { dest_url } else { CowStr::Borrowed("#") };
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        other => Some(other),
    }
}

fn is_web(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    address.starts_with("https://") || address.starts_with("http://") || address.starts_with("/issues/")
}

/// Tags and comments of homeostat's own bodies that mean nothing here.
fn is_fold(html: &str) -> bool {
    let html = html.trim();
    html.starts_with("<!-- homeostat")
        || matches!(html, "<details>" | "</details>")
        || (html.starts_with("<details>") && !html[9..].contains("<"))
        || (html.starts_with("<summary>") && html.ends_with("</summary>") && html.matches('<').count() == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_comes_through() {
        let cases = [
            ("**bold** `code`", "<p><strong>bold</strong> <code>code</code></p>\n"),
            ("a <script>alert(1)</script>", "<p>a &lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
            ("![leak](https://evil.example/x.png)", "<p>leak</p>\n"),
            ("[x](javascript:alert(1))", "<p><a href=\"#\">x</a></p>\n"),
            ("[x](https://example.org/)", "<p><a href=\"https://example.org/\">x</a></p>\n"),
        ];
        for (markdown, expected) in cases {
            assert_eq!(to_html(markdown), expected, "{markdown}");
        }
        let block = to_html("<img src=x onerror=alert(1)>\n\ntext");
        assert!(!block.contains("<img"), "{block}");
    }
}
