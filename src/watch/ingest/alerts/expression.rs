//! The query behind an alert of Loki's ruler, taken from its `generatorURL`, pure. The address itself is never called.
//!
//! The ruler puts its expression into a link to Grafana (`left={"queries":[{"expr":…}]}`, Loki 3) or to Prometheus' page (`g0.expr=…`,
//! Loki 2). It is a metric query around a log query. What is wanted are the lines behind it, so only the stream selector is taken: with the
//! line filter of the rule a stack trace would lose all lines that do not match.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// Which lines an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lines {
    /// A stream selector, for example `{container="bot"}`.
    pub(super) selector: String,
    /// How far back the rule looks, where it says so.
    pub(super) range: Option<Duration>,
}

impl Lines {
    /// The lines that the expression in the address is about; `None` if there is no expression of logs in it.
    pub(super) fn behind(generator_url: &str) -> Option<Self> {
        let url = url::Url::parse(generator_url).ok()?;
        let expression = url.query_pairs().find_map(|(key, value)| match key.as_ref() {
            "g0.expr" => Some(value.into_owned()),
            "left" => {
                let left: Value = serde_json::from_str(&value).ok()?;
                Some(left.get("queries")?.get(0)?.get("expr")?.as_str()?.to_owned())
            }
            _ => None,
        })?;
        Self::of_expression(&expression)
    }

    /// From the config: `$name` stands for a label of the alert. `None` if the alert lacks one of them.
    pub(super) fn of_template(template: &str, labels: &BTreeMap<String, String>) -> Option<Self> {
        let mut selector = String::new();
        let mut rest = template;
        while let Some(at) = rest.find('$') {
            selector.push_str(&rest[..at]);
            let name = &rest[at + 1..];
            let len = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            selector.push_str(&escaped(labels.get(&name[..len])?));
            rest = &name[len..];
        }
        selector.push_str(rest);
        Some(Self { selector, range: None })
    }

    fn of_expression(expression: &str) -> Option<Self> {
        let start = expression.find('{')?;
        let inside = &expression[start..];
        let end = find_unquoted(inside, '}')? + 1;
        let selector = inside[..end].to_owned();
        // `up{job="x"}` is a metric of Prometheus: a selector of logs has no name before it.
        let has_name =
            expression[..start].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':');
        if has_name || !selector.contains('=') {
            return None;
        }
        let range = find_unquoted(&inside[end..], '[').and_then(|at| {
            let range = &inside[end + at + 1..];
            duration(&range[..range.find(']')?])
        });
        Some(Self { selector, range })
    }
}

/// Where the character stands outside of quotes.
fn find_unquoted(text: &str, wanted: char) -> Option<usize> {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if is_escaped => is_escaped = false,
            Some('"') if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == wanted => return Some(at),
            None if c == '"' || c == '`' => quote = Some(c),
            None => {}
        }
    }
    None
}

/// A duration as LogQL writes it: `5m`, `1h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0u64;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let n_digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..n_digits].parse().ok()?;
        rest = &rest[n_digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..unit_len] {
            "ms" => 0,
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[unit_len..];
    }
    Some(Duration::from_secs(seconds))
}

/// A value between the quotes of a selector.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, selector: Option<&str>, range_seconds: Option<u64>) {
        let mut url = url::Url::parse("http://grafana/graph").unwrap();
        url.query_pairs_mut().append_pair("g0.expr", expression).append_pair("g0.tab", "1");
        let expected = selector.map(|selector| Lines {
            selector: selector.to_owned(),
            range: range_seconds.map(Duration::from_secs),
        });
        assert_eq!(Lines::behind(url.as_str()), expected, "{expression}");
    }

    #[test]
    fn the_selector_is_taken_without_what_filters_lines() {
        check(
            r#"(sum by (container)(count_over_time({container="bot"} |~ "ERROR|Exception" [1m])) > 0)"#,
            Some(r#"{container="bot"}"#),
            Some(60),
        );
        check(
            r#"rate({app="a}\"b", env=~`x[{]`} |= "[" | json [1h30m])"#,
            Some(r#"{app="a}\"b", env=~`x[{]`}"#),
            Some(5400),
        );
        check(r#"{job="x"}"#, Some(r#"{job="x"}"#), None);
    }

    #[test]
    fn what_is_no_query_of_logs_is_none() {
        check(r#"up{job="x"} == 0"#, None, None);
        check("vector(1)", None, None);
        check("{", None, None);
        check("{}", None, None);
        for url in
            ["", "not an address", "http://x/", "http://x/explore?left=%7B", "http://x/explore?left=%7B%7D"]
        {
            assert_eq!(Lines::behind(url), None, "{url}");
        }
    }

    #[test]
    fn the_link_of_loki_3_is_read() {
        let url = "http://127.0.0.1:23300/explore?left=%7B%22queries%22%3A%5B%7B%22expr%22%3A%22%28sum+by+%28container%29%28\
            count_over_time%28%7Bcontainer%3D%5C%22bot%5C%22%7D+%7C~+%5C%22ERROR%7CException%7CTraceback%5C%22%5B1m%5D%29%29+%5Cu003e+0%29\
            %22%2C%22queryType%22%3A%22range%22%7D%5D%7D";
        let expected =
            Lines { selector: r#"{container="bot"}"#.to_owned(), range: Some(Duration::from_secs(60)) };
        assert_eq!(Lines::behind(url), Some(expected));
    }

    #[test]
    fn a_selector_of_the_config_takes_labels_of_the_alert() {
        let labels =
            BTreeMap::from([("container".to_owned(), "a\"b".to_owned()), ("env".to_owned(), "x".to_owned())]);
        let selector = |template| Lines::of_template(template, &labels).map(|lines| lines.selector);
        assert_eq!(selector(r#"{c="$container",env="$env"}"#).as_deref(), Some(r#"{c="a\"b",env="x"}"#));
        assert_eq!(selector(r#"{c="$missing"}"#), None);
    }
}
