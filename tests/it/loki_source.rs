//! The Loki source: what comes of a query whatever Loki's limits are, and what is stored of it across everything that can happen.

mod conservation;
mod recorded;
mod tail;

use std::collections::HashMap;
use std::time::Duration;

use homeostat::base::clock::ManualClock;
use homeostat::base::clock::Timestamp;
use homeostat::base::secret::Secret;
use homeostat::watch::source::loki::{Auth, Client, LokiError, Page, Pages, Query, Remedy, Server};

use crate::support::loki::{Fault, Loki};

const HOUR: Duration = Duration::from_secs(3600);

/// A time of this age.
const T0: i64 = 1_795_232_769_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn client(loki: &Loki) -> Client {
    let server = Server { url: loki.url(), tenant: None, auth: None };
    Client::new(server, Duration::from_secs(10)).expect("a client can be made")
}

fn pages(loki: &Loki, query: &str, seconds: i64) -> Pages {
    Pages::new(client(loki), query.to_owned(), (T0, &[]), T0 + seconds * SECOND, HOUR)
}

/// All there is, asked again after each error that does not need a person; texts in order, and losses.
async fn all(pages: &mut Pages) -> Result<(Vec<String>, Vec<String>), LokiError> {
    let (mut texts, mut losses) = (Vec::new(), Vec::new());
    let mut n_errors = 0;
    loop {
        match pages.next().await {
            Ok(None) => return Ok((texts, losses)),
            Ok(Some(Page { entries, loss, .. })) => {
                texts.extend(entries.into_iter().map(|entry| entry.text));
                losses.extend(loss.map(|loss| loss.reason));
            }
            Err(error) if error.remedy() == Remedy::Mend || n_errors > 50 => return Err(error),
            Err(_) => n_errors += 1,
        }
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_lokis_passes_nothing() {
    let loki = Loki::start().await;
    loki.with(|state| state.now = T0 / SECOND + 10);
    let push = |seconds: i64| loki.push(&[("app", "a")], T0 + seconds * SECOND, &format!("line {seconds}"));
    // By this clock an hour has passed; entries come up to five seconds late.
    let mut pages = pages(&loki, "{app=\"a\"}", 3600);
    pages.heed_clock(Duration::from_secs(5));
    push(1);
    // Stamped by a clock that is ahead too: left until it can be in order.
    push(30);
    let texts = async |pages: &mut Pages| all(pages).await.expect("Loki answers").0;
    assert_eq!(texts(&mut pages).await, ["line 1"]);
    assert_eq!(texts(&mut pages).await, [""; 0]);
    push(8);
    for (now, expected) in [(12, &[][..]), (15, &["line 8"]), (36, &["line 30"]), (3000, &[])] {
        loki.with(|state| state.now = T0 / SECOND + now);
        pages.set_end(T0 + 3601 * SECOND + now);
        assert_eq!(texts(&mut pages).await, *expected, "{now}");
    }
}

/// Asks for everything of `{app=~".+"}` and compares it, order aside.
async fn check(loki: &Loki, seconds: i64, n_expected: usize, losses: &[&str]) {
    let (mut texts, lost) = all(&mut pages(loki, "{app=~\".+\"}", seconds)).await.expect("Loki answers");
    assert_eq!(lost, losses);
    let n = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!((n, texts.len()), (n_expected, n_expected), "nothing lost, nothing twice");
}

#[tokio::test]
async fn pages_end_among_the_entries_of_one_time() {
    for is_3 in [false, true] {
        let loki = Loki::start().await;
        loki.with(|state| {
            state.is_3 = is_3;
            state.max_limit = 50;
        });
        for n in 0..300_i64 {
            // Forty at a time, of four streams.
            loki.push(&[("app", ["a", "b", "c", "d"][n as usize % 4])], T0 + n / 40, &format!("line {n}"));
        }
        check(&loki, 10, 300, &[]).await;
    }
}

#[tokio::test]
async fn more_at_one_time_than_a_page_is_asked_for_by_stream_and_else_is_a_loss() {
    let loki = Loki::start().await;
    loki.with(|state| state.max_limit = 50);
    for n in 0..200 {
        loki.push(&[("app", ["a", "b", "c", "d", "e"][n % 5])], T0 + 5, &format!("line {n}"));
        // A stream whose labels are among those of others.
        loki.push(&[("app", "a"), ("host", "h")], T0 + 5 + n as i64 / 20, &format!("host line {n}"));
    }
    loki.push(&[("app", "a")], T0 + 6, "after");
    check(&loki, 10, 401, &[]).await;
    for n in 0..60 {
        loki.push(&[("app", "z")], T0 + 7 * SECOND, &format!("too much {n}"));
    }
    loki.push(&[("app", "z")], T0 + 8 * SECOND, "the end");
    let (texts, losses) = all(&mut pages(&loki, "{app=\"z\"}", 10)).await.expect("Loki answers");
    assert_eq!(losses, ["more entries at one time than Loki gives"]);
    assert_eq!((texts.len(), texts.last().map(String::as_str)), (51, Some("the end")));
}

#[tokio::test]
async fn answers_too_big_for_loki_are_asked_for_in_smaller_pieces() {
    let loki = Loki::start().await;
    loki.with(|state| state.max_answer_bytes = 400_000);
    for n in 0..1500 {
        loki.push(&[("app", "fat")], T0 + n * 1000, &format!("{n} {}", "q".repeat(4000)));
    }
    for n in 0..3000 {
        loki.push(&[("app", "thin")], T0 + SECOND + n, &format!("thin {n}"));
    }
    check(&loki, 10, 4500, &[]).await;
}

#[tokio::test]
async fn long_ranges_are_cut_and_faults_are_outlived() {
    let loki = Loki::start().await;
    loki.with(|state| {
        state.max_range_seconds = 600;
        let busy = Fault::Status(429, "too many outstanding requests");
        let away = Fault::Status(503, "Service Unavailable");
        let slow = Fault::Status(504, "context deadline exceeded");
        state.faults.extend([busy, away, Fault::Cut, slow, Fault::CutWithin, Fault::CutWithin]);
    });
    for n in 0..100 {
        loki.push(&[("app", "a")], T0 + n * 100 * SECOND, &format!("line {n}"));
    }
    check(&loki, 10_000, 100, &[]).await;
}

#[tokio::test]
async fn what_a_person_must_mend_is_said_in_lokis_words() {
    let loki = Loki::start().await;
    loki.with(|state| state.tenant = Some("team-a"));
    let refused = |server: Server, query: &'static str| async move {
        let client = Client::new(server, Duration::from_secs(10)).expect("a client can be made");
        let mut pages = Pages::new(client, query.to_owned(), (T0, &[]), T0 + SECOND, HOUR);
        pages.next().await.err().map(|error| (error.to_string(), error.remedy()))
    };
    let server =
        |tenant: Option<&str>, auth| Server { url: loki.url(), tenant: tenant.map(str::to_owned), auth };
    let told = refused(server(None, None), "{app=\"a\"}").await;
    assert_eq!(told, Some(("Loki answered 401 Unauthorized: no org id".to_owned(), Remedy::Mend)));
    let told = refused(server(Some("team-a"), None), "{app=\"a").await;
    let text = "Loki answered 400 Bad Request: parse error at line 1, col 17: syntax error: unexpected $end, expecting } or ,";
    assert_eq!(told, Some((text.to_owned(), Remedy::Mend)));
    assert_eq!(refused(server(Some("team-a"), None), "{app=\"a\"}").await, None);
    for (auth, authorization) in [
        (Auth::Bearer(Secret::new("hush")), "Bearer hush"),
        (Auth::Basic { user: "reader".to_owned(), password: Secret::new("hush") }, "Basic cmVhZGVyOmh1c2g="),
    ] {
        loki.with(|state| state.authorization = Some(authorization));
        let told = refused(server(Some("team-a"), None), "{app=\"a\"}").await;
        assert_eq!(
            told,
            Some(("Loki answered 401 Unauthorized".to_owned(), Remedy::Mend)),
            "no page of a proxy"
        );
        assert_eq!(refused(server(Some("team-a"), Some(auth)), "{app=\"a\"}").await, None);
    }
}

/// A query of everything with an `app`, followed with the given clock.
fn query(loki: &Loki) -> Query {
    Query {
        name: "all".to_owned(),
        server: Server { url: loki.url(), tenant: None, auth: None },
        query: "{app=~\".+\"}".to_owned(),
        service_labels: vec!["app".to_owned()],
        lag: Duration::from_secs(5),
        poll_every: Duration::from_millis(5),
        has_tail: true,
        look_back: Duration::ZERO,
        max_range: HOUR,
    }
}

fn clock_at(nanos: i64) -> ManualClock {
    ManualClock::new(Timestamp::from_nanosecond(nanos.into()).expect("a time"))
}

#[tokio::test]
async fn a_page_iterator_moves_on_with_its_end() {
    let loki = Loki::start().await;
    let mut pages = pages(&loki, "{app=\"a\"}", 1);
    let mut counts = HashMap::new();
    for second in 1..5_i64 {
        loki.push(&[("app", "a")], T0 + second * SECOND - 1, "before the end");
        loki.push(&[("app", "a")], T0 + second * SECOND, "at the end");
        pages.set_end(T0 + second * SECOND);
        let (texts, _) = all(&mut pages).await.expect("Loki answers");
        for text in texts {
            *counts.entry(text).or_insert(0) += 1;
        }
    }
    assert_eq!(counts["before the end"], 4);
    assert_eq!(counts["at the end"], 3, "the end is exclusive");
}
