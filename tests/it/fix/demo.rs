//! The demo's recorded fix goes through the real stage.

use homeostat::agent::scripted::script::Script;
use homeostat::cli::demo_project::{FILES, SCRIPT};
use homeostat::model::attempt::Outcome;

use super::given::{Desk, Given, model};

/// What the service logs for order 1007, in the demo's container.
const RECORD: &str = "\
2026-11-20 10:00:03,127 ERROR billing: order 1007 cannot be invoiced
Traceback (most recent call last):
  File \"/app/service.py\", line 27, in handle
    invoice = orders.invoice(orders.parse(record))
              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/app/orders.py\", line 60, in invoice
    rows = zip(order.lines, split_voucher(order))
                            ^^^^^^^^^^^^^^^^^^^^
  File \"/app/orders.py\", line 51, in split_voucher
    parts = [voucher * line.total // total for line in order.lines]
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File \"/app/orders.py\", line 51, in <listcomp>
    parts = [voucher * line.total // total for line in order.lines]
             ~~~~~~~~~~~~~~~~~~~~~^^~~~~~~
ZeroDivisionError: integer division or modulo by zero";

#[tokio::test]
async fn the_recorded_fix_is_proven() {
    let mut given = Given::new(FILES).await;
    let model = model(vec![Script::from_json(SCRIPT).unwrap()]).await;
    let leased = given.lease_fix_of(RECORD).await;
    let desk = Desk::default();
    let outcome = given.run_until(&leased, &model, &desk).await;
    let attempt = given.attempt().await;
    assert_eq!(attempt.outcome, Some(Outcome::Fixed), "{outcome:?}\n{attempt:#?}\n{:#?}", desk.steps());
    let validation = attempt.validation.unwrap();
    assert!(validation.holds(), "{validation:#?}");
    assert!(validation.proof.before.output.contains("ZeroDivisionError: integer division or modulo by zero"));
    let names: Vec<&str> = validation.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["tests", "tests as they were before"]);
    assert_eq!(given.containers().await, Vec::<String>::new());
}
