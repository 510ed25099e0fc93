//! The stream selector of a LogQL query, as far as it must be known: where it ends, and how to narrow it to one stream.

use std::collections::BTreeMap;

/// The selector at the beginning of a log query, and what follows it; `None` if it begins with none.
pub(super) fn split(query: &str) -> Option<(&str, &str)> {
    let query = query.trim_start();
    if !query.starts_with('{') {
        return None;
    }
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in query.char_indices() {
        match quote {
            _ if is_escaped => is_escaped = false,
            Some('"') if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '`' => quote = Some(c),
            None if c == '}' => return Some(query.split_at(at + 1)),
            None => {}
        }
    }
    None
}

/// One query for each of the streams, that meets no other of them. `None` if the query begins with no selector.
pub(super) fn of_streams(query: &str, streams: &[BTreeMap<String, String>]) -> Option<Vec<String>> {
    let (_, rest) = split(query)?;
    let mut queries = Vec::new();
    for labels in streams {
        let mut labels = labels.clone();
        for name in streams.iter().flat_map(BTreeMap::keys) {
            // An empty value is that of a stream without the label.
            labels.entry(name.clone()).or_default();
        }
        queries.push(format!("{}{rest}", written(&labels)));
    }
    Some(queries)
}

/// Labels as a selector.
pub(super) fn written(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_ends_at_its_brace() {
        let cases = [
            ("{a=\"b\"} |= `}`", Some(("{a=\"b\"}", " |= `}`"))),
            (" {a=\"}\\\"}\", b=~`\\}`}", Some(("{a=\"}\\\"}\", b=~`\\}`}", ""))),
            ("sum(rate({a=\"b\"}[1m]))", None),
            ("{a=\"b", None),
            ("", None),
        ];
        for (query, expected) in cases {
            assert_eq!(split(query), expected, "{query}");
        }
    }

    #[test]
    fn a_query_is_narrowed_to_each_stream() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let streams = [labels(&[("a", "say \"x\"\\")]), labels(&[("a", "1"), ("b", "1\n2")])];
        assert_eq!(
            of_streams("{a=~\".+\"} |= \"error\"", &streams).unwrap(),
            ["{a=\"say \\\"x\\\"\\\\\", b=\"\"} |= \"error\"", "{a=\"1\", b=\"1\\n2\"} |= \"error\""]
        );
    }
}
