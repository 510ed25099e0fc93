//! The words of the story: logs, reports, a patch.

use homeostat::model::attempt::Outcome;
use homeostat::model::detection::Severity;
use homeostat::model::issue::IssueEvent;

/// Minutes ago and counts: a first burst, a lull, then more and more.
pub(super) const AN_EVENING: &[(i64, u64)] = &[
    (186, 3),
    (183, 11),
    (181, 26),
    (178, 14),
    (175, 6),
    (169, 2),
    (158, 1),
    (149, 4),
    (141, 3),
    (130, 9),
    (122, 12),
    (117, 18),
    (111, 9),
    (103, 7),
    (97, 21),
    (90, 30),
    (84, 26),
    (77, 19),
    (71, 34),
    (66, 41),
    (59, 37),
    (52, 28),
    (45, 44),
    (39, 52),
    (33, 61),
    (26, 48),
    (20, 57),
    (14, 66),
    (9, 71),
    (5, 58),
    (2, 63),
];

pub(super) const PYTHON: &str = r#"2026-11-21 18:04:11,392 ERROR shop.api request failed path=/cart/9f3c/summary
Traceback (most recent call last):
  File "/usr/lib/python3.13/site-packages/starlette/routing.py", line 75, in app
    response = await func(request)
  File "/app/shop/api.py", line 112, in summary
    return {"average": average_price(cart.items)}
                       ~~~~~~~~~~~~~^^^^^^^^^^^^
  File "/app/shop/cart.py", line 41, in average_price
    return sum(item.price for item in items) / len(items)
           ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~^~~~~~~~~~~~
ZeroDivisionError: division by zero"#;

pub(super) const JVM: &str = r#"2026-11-21T18:22:40.118Z ERROR [invoice-7] c.e.billing.InvoiceJob - invoice 48213 failed
java.lang.NullPointerException: Cannot invoke "com.example.billing.Address.country()" because "customer.address" is null
	at com.example.billing.TaxTable.rateFor(TaxTable.java:58)
	at com.example.billing.InvoiceJob.total(InvoiceJob.java:131)
	at com.example.billing.InvoiceJob.run(InvoiceJob.java:74)
	at java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1144)
	at java.base/java.lang.Thread.run(Thread.java:1583)"#;

const GO: &str = "panic: runtime error: index out of range [3] with length 3

goroutine 91 [running]:
main.(*Router).pick(0xc000110000, 0x3)
	/src/gateway/router.go:88 +0x1d
main.(*Router).ServeHTTP(0xc000110000, {0x8a1f20, 0xc0001b2000}, 0xc0001be000)
	/src/gateway/router.go:52 +0x9a
net/http.serverHandler.ServeHTTP({0xc0000b0000?}, {0x8a1f20?, 0xc0001b2000?}, 0x6?)
	/usr/local/go/src/net/http/server.go:3210 +0x8e";

const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'address')
    at render (/srv/mailer/src/template.js:27:31)
    at Object.send (/srv/mailer/src/queue.js:64:18)
    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)";

const RUST: &str = "thread 'indexer-2' panicked at src/segment.rs:211:46:
called `Option::unwrap()` on a `None` value
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt
   2: search::segment::Segment::merge
             at ./src/segment.rs:211:46
   3: search::indexer::run
             at ./src/indexer.rs:77:13";

const MESSAGE: &str = "2026-11-21 17:02:51 ERROR upstream payments.example.org:443 did not answer within 5000 ms, gave up after 3 tries";

const KERNEL: &str = "Out of memory: Killed process 48213 (report-worker) total-vm:8123456kB, anon-rss:4012345kB, file-rss:0kB";

/// An issue of the list that has no page of its own in the tests.
pub(super) struct Other {
    pub(super) service: &'static str,
    pub(super) text: &'static str,
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    pub(super) seen: &'static [(i64, u64)],
    pub(super) events: &'static [(IssueEvent, &'static str)],
}

pub(super) const OTHERS: &[Other] = &[
    Other {
        service: "gateway",
        text: GO,
        rule: "go.panic",
        severity: Severity::Critical,
        seen: &[(38, 2), (6, 1)],
        events: &[],
    },
    Other {
        service: "mailer",
        text: NODE,
        rule: "node.error",
        severity: Severity::Error,
        seen: &[(700, 118), (240, 31), (44, 12)],
        events: &[
            (IssueEvent::FixQueued, "fix queued"),
            (IssueEvent::AttemptEnded(Outcome::NeedsPerson), "attempt ended"),
        ],
    },
    Other {
        service: "search",
        text: RUST,
        rule: "rust.panic",
        severity: Severity::Error,
        seen: &[(2900, 5), (1500, 9)],
        events: &[
            (IssueEvent::FixQueued, "fix queued"),
            (IssueEvent::ProposalOpened, "proposal opened"),
            (IssueEvent::ProposalMerged, "proposal merged"),
        ],
    },
    Other {
        service: "checkout",
        text: MESSAGE,
        rule: "generic.error",
        severity: Severity::Warning,
        seen: &[(410, 1204), (95, 377), (12, 81)],
        events: &[(IssueEvent::Muted { until: None }, "muted")],
    },
    Other {
        service: "report-worker",
        text: KERNEL,
        rule: "kernel.oom",
        severity: Severity::Critical,
        seen: &[(4400, 1)],
        events: &[(IssueEvent::Resolved, "resolved")],
    },
];

pub(super) const FIX_STEPS: &[(&str, &str)] = &[
    ("workspace", "shop at 8f14e45, python 3.13 detected"),
    ("model call", "1: claude-sonnet-5-5, 11 204 tokens in, 310 out"),
    ("read_file", "shop/cart.py"),
    ("run_command", "python -m pytest -q tests/test_cart.py: exit 0, 41 passed"),
    ("write_file", "tests/test_cart.py: an empty cart has an average of 0"),
    ("run_command", "python -m pytest -q tests/test_cart.py: exit 1, ZeroDivisionError at shop/cart.py:41"),
    ("edit_file", "shop/cart.py: return 0 for an empty cart"),
    ("run_command", "python -m pytest -q: exit 0, 43 passed"),
    ("validate", "fails before, passes after, fails when reverted"),
];

pub(super) const REPORT: &str = "**Cause.** `average_price` divides by the number of items, which is 0 for a cart that was \
just emptied. `summary` calls it for every cart since `8f14e45`.

**Change.** An empty cart has an average of 0, as `total_price` already has. Two tests were added: the one that failed with the \
logged error, and one for a cart with one item.";

pub(super) const GAVE_UP: &str = "**Tried.** The customer of invoice 48213 has no address. The test fixtures hold no such \
customer, and none of the twelve tests that were written failed with the logged error.";

pub(super) const TICKET: &str = "`ZeroDivisionError: division by zero` in **shop**, 3 times since 18:04.

```text
File \"/app/shop/cart.py\", line 41, in average_price
```

| Rule | Runtime |
|---|---|
| `python.traceback` | python |";

pub(super) const PROPOSAL: &str = "An empty cart made `average_price` divide by zero.

| Run | Expected | Result |
|---|---|---|
| base and the new test | fails | failed with `ZeroDivisionError` |
| with the fix | passes | passed |
| with the fix taken out | fails | failed with `ZeroDivisionError` |

<details>
<summary>Trace</summary>

```text
File \"/app/shop/cart.py\", line 41, in average_price
ZeroDivisionError: division by zero
```

</details>";

pub(super) const PATCH: &str = r"diff --git a/shop/cart.py b/shop/cart.py
index 2f1a7c4..9b0d3e1 100644
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -36,6 +36,8 @@ def total_price(items):


 def average_price(items):
     '''The mean price of the items of a cart.'''
+    if not items:
+        return 0
     return sum(item.price for item in items) / len(items)


diff --git a/tests/test_cart.py b/tests/test_cart.py
index 77aa210..c31d9fe 100644
--- a/tests/test_cart.py
+++ b/tests/test_cart.py
@@ -58,3 +58,11 @@ def test_total_of_two_items():

     assert total_price([Item(3), Item(4)]) == 7
+
+
+def test_average_of_an_empty_cart():
+    assert average_price([]) == 0
+
+
+def test_average_of_one_item():
+    assert average_price([Item(4)]) == 4
";

pub(super) const FAILS: &str = "    def average_price(items):
>       return sum(item.price for item in items) / len(items)
E       ZeroDivisionError: division by zero

shop/cart.py:41: ZeroDivisionError
1 failed, 42 passed in 1.31s";

pub(super) const PASSES: &str = "43 passed in 1.22s";

pub(super) const HOSTILE_TITLE: &str =
    "<script>document.title='owned'</script> \"><img src=x onerror=alert(1)>";

pub(super) const HOSTILE: &str = "</pre></main><script>document.title='owned'</script>
ERROR {{ 7 * 7 }} ![x](https://evil.example/leak.png) [go](javascript:alert(1)) \u{202e}gnp.exe
<style>body { display: none }</style><iframe src=https://evil.example></iframe>";
