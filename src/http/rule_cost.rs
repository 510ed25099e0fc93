//! `/metrics/rules`: what each rule costs, measured when it is asked for, on the lines of the next seconds.
//!
//! Not a part of `/metrics`: it takes seconds, some of them of a core, and a name for each rule.

use std::fmt::Write as _;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::HttpError;
use super::state::App;
use crate::watch::ingest::rule_cost::RuleCost;

const MAX_SECONDS: u64 = 20;

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// How long lines are taken; 2 if it is left out.
    seconds: Option<u64>,
}

pub(super) async fn costs(
    State(app): State<App>,
    Query(Asked { seconds }): Query<Asked>,
) -> Result<Response, HttpError> {
    let Some(pipeline) = &app.pipeline else {
        return Err(HttpError::new(StatusCode::NOT_FOUND, "this process watches nothing"));
    };
    let time = Duration::from_secs(seconds.unwrap_or(2).min(MAX_SECONDS));
    let Some((n_recent, costs)) = pipeline.get().rule_costs(time).await else {
        return Err(HttpError::new(StatusCode::TOO_MANY_REQUESTS, "the rules are being measured already"));
    };
    let content_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((content_type, text(n_recent, &costs)).into_response())
}

/// In the form of Prometheus. Ids of rules have no character that it would have to escape.
fn text(n_recent: usize, costs: &[RuleCost]) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: &dyn Fn(&RuleCost) -> f64| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for it in costs {
            let _ = writeln!(text, "{name}{{rule=\"{}\",search=\"{}\"}} {}", it.rule, it.search, value(it));
        }
    };
    gauge("homeostat_rule_nanoseconds_per_line", "what a rule costs on each line", &|it| it.nanos_a_line);
    gauge("homeostat_rule_nanoseconds_per_look", "what a look at a line takes", &|it| it.nanos_a_look);
    gauge("homeostat_rule_looked_at_ratio", "part of the lines that a rule is looked at on", &|it| {
        it.looked_at
    });
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows no integers")]
    gauge("homeostat_rule_sample_hits", "lines of the sample that a rule hits", &|it| it.n_hits as f64);
    let name = "homeostat_rule_sample_lines";
    let _ =
        writeln!(text, "# HELP {name} lines of the sample; 0: ordinary ones, none came\n# TYPE {name} gauge");
    let _ = writeln!(text, "{name} {n_recent}");
    text
}
