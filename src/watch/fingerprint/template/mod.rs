//! A message with its variable parts masked.
//!
//! One pass over the text, longest shapes first, then a few rules about neighbours. Nothing is learned from other
//! messages: the same text gives the same template everywhere, always.

mod shapes;

pub(super) use shapes::NAMES;
use shapes::{Mask, Piece};

/// Bytes of a message that count; the rest is detail.
const MAX_BYTES: usize = 1000;

/// A masked message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    /// For people: `order <id> took <num> ms`.
    pub(super) text: String,
    /// For the hash: every mask alike, so that an id of another shape is still an id.
    pub(super) canonical: String,
    /// What was masked, and as what.
    pub(super) masked: Vec<(String, &'static str)>,
}

/// Masks the first line of a message that says something.
pub(super) fn template(message: &str) -> Template {
    let line = message.lines().map(str::trim).find(|it| !it.is_empty()).unwrap_or("");
    let line = &line[..line.floor_char_boundary(MAX_BYTES.min(line.len()))];
    let mut pieces = shapes::pieces(line);
    neighbours(&mut pieces);
    let mut masked = Vec::new();
    for piece in &pieces {
        if let Piece::Mask(mask, text) = piece {
            masked.push(((*text).to_owned(), mask.name()));
        }
    }
    Template { text: render(&pieces, Mask::name), canonical: render(&pieces, |_| "*"), masked }
}

/// Words that follow `user` without naming one.
const NOT_USERS: [&str; 22] = [
    "unknown",
    "is",
    "was",
    "has",
    "not",
    "name",
    "id",
    "with",
    "does",
    "agent",
    "input",
    "data",
    "request",
    "authentication",
    "authentications",
    "and",
    "or",
    "in",
    "to",
    "who",
    "cannot",
    "did",
];
/// Keys whose value says what happened.
const TELLING_KEYS: [&str; 16] = [
    "err",
    "error",
    "reason",
    "cause",
    "msg",
    "message",
    "exception",
    "type",
    "kind",
    "method",
    "event",
    "level",
    "code",
    "expression",
    "function",
    "state",
];

/// Masks words that only their neighbours tell to be values.
fn neighbours(pieces: &mut Vec<Piece<'_>>) {
    for at in 0..pieces.len() {
        let Piece::Word(word) = pieces[at] else { continue };
        let before = |n: usize| at.checked_sub(n).map(|it| pieces[it]);
        let after = |n: usize| pieces.get(at + n).copied();
        let is_first_of_value = matches!(before(1), Some(Piece::Punct("=")));
        if is_first_of_value {
            let key = match before(2) {
                Some(Piece::Word(key)) => key,
                _ => "",
            };
            if !key.is_empty() && !TELLING_KEYS.iter().any(|it| key.eq_ignore_ascii_case(it)) {
                pieces[at] = Piece::Mask(Mask::Value, word);
                continue;
            }
        }
        let is_named = matches!((before(2), before(1)), (Some(Piece::Word(noun)), Some(Piece::Space))
            if ["user", "username", "login", "account", "principal", "host"].iter().any(|it| noun.eq_ignore_ascii_case(it)));
        if is_named && !NOT_USERS.contains(&word.to_ascii_lowercase().as_str()) && word.len() > 1 {
            pieces[at] = Piece::Mask(Mask::Name, word);
            continue;
        }
        // `for root from 10.0.0.1`
        let is_between = matches!(
            (before(2), before(1), after(1), after(2)),
            (Some(Piece::Word("for")), Some(Piece::Space), Some(Piece::Space), Some(Piece::Word("from")))
        );
        if is_between {
            pieces[at] = Piece::Mask(Mask::Name, word);
            continue;
        }
        // `host.example.com [10.0.0.1]`, `host/10.0.0.1`
        let bracket = if matches!(after(1), Some(Piece::Space)) { 2 } else { 1 };
        let is_host = matches!(
            (after(bracket), after(bracket + 1)),
            (Some(Piece::Punct("[" | "(" | "/")), Some(Piece::Mask(Mask::Ip, _)))
        );
        if is_host && (word.contains('.') || bracket == 1) {
            pieces[at] = Piece::Mask(Mask::Name, word);
            continue;
        }
        // `host.example.com:80`
        let has_port =
            matches!((after(1), after(2)), (Some(Piece::Punct(":")), Some(Piece::Mask(Mask::Num, _))));
        if has_port && is_domain(word) {
            pieces[at] = Piece::Mask(Mask::Name, word);
        }
    }
    drop_names_of_addresses(pieces);
}

/// Whether a word is the name of a host and not of a file: `db.example.com`, not `pay.py`.
fn is_domain(word: &str) -> bool {
    const SOURCES: [&str; 16] =
        ["c", "cc", "cpp", "cs", "ex", "go", "h", "java", "js", "kt", "lua", "php", "pl", "py", "rb", "ts"];
    word.rsplit_once('.').is_some_and(|(_, last)| {
        last.len() > 1 && last.bytes().all(|it| it.is_ascii_lowercase()) && !SOURCES.contains(&last)
    })
}

/// `10.0.0.1 (host.name)` and `10.0.0.1 ()` are one address.
fn drop_names_of_addresses(pieces: &mut Vec<Piece<'_>>) {
    let mut at = 0;
    while at < pieces.len() {
        if matches!(pieces[at], Piece::Mask(Mask::Ip, _)) {
            let open = at + 1 + usize::from(matches!(pieces.get(at + 1), Some(Piece::Space)));
            if matches!(pieces.get(open), Some(Piece::Punct("("))) {
                let close = pieces[open..].iter().take(8).position(|it| matches!(it, Piece::Punct(")")));
                let is_name = close.is_some_and(|it| {
                    pieces[open..open + it].iter().all(|piece| !matches!(piece, Piece::Space))
                });
                if let Some(close) = close.filter(|_| is_name) {
                    pieces.drain(at + 1..=open + close);
                }
            }
        }
        at += 1;
    }
}

/// Writes the pieces, runs of masks as one.
fn render(pieces: &[Piece<'_>], name: impl Fn(Mask) -> &'static str) -> String {
    let mut text = String::new();
    // Where the text ended after the last mask, if only separators came since.
    let mut after_mask: Option<usize> = None;
    for piece in pieces {
        match piece {
            Piece::Space => {
                if !text.is_empty() && !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            Piece::Punct(mark) => {
                text.push_str(mark);
                if !mark.bytes().all(|it| b",:;#/|-.+&x".contains(&it)) {
                    after_mask = None;
                }
            }
            Piece::Word(word) => {
                text.push_str(word);
                after_mask = None;
            }
            Piece::Mask(mask, _) => {
                match after_mask {
                    Some(end) => text.truncate(end),
                    None => {
                        text.push('<');
                        text.push_str(name(*mask));
                        text.push('>');
                    }
                }
                after_mask = Some(text.len());
            }
        }
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests;
