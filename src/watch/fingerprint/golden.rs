//! Golden preimages: no identity changes unseen.
//!
//! The snapshot holds the preimage and the id of one record of each runtime and of some messages. A change here opens issues anew in every
//! store that is out there: where that is meant, and a version of homeostat was released with the old ids, the algorithm gets a new version and the old one
//! becomes its [`FORMER`](super::FORMER). Before the first release the snapshot is looked through and renewed (`INSTA_UPDATE=always`).

use std::fmt::Write as _;

use super::*;

/// What is logged, by a name for it.
const RECORDS: [(&str, &str); 22] = [
    (
        "python",
        "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 3, in <module>\n    main()\n  File \"/srv/app/pay.py\", line 12, in charge\n    raise PaymentError(order)\nshop.PaymentError: declined A-17",
    ),
    (
        "python, cause and generic type",
        "Traceback (most recent call last):\n  File \"/srv/app/db.py\", line 9, in connect\n    sock.connect(a)\nConnectionRefusedError: [Errno 111] Connection refused\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/srv/app/pay.py\", line 12, in charge\n    raise RuntimeError(\"no ledger\")\nRuntimeError: no ledger 17",
    ),
    (
        "jvm",
        "java.lang.IllegalStateException: job failed\n\tat a.Job.run(Job.java:12)\n\tat java.base/java.lang.Thread.run(Thread.java:840)\nCaused by: a.PaymentException: declined A-17\n\tat a.Pay.charge(Pay.java:7)\n\t... 2 more",
    ),
    (
        "node",
        "TypeError: Cannot read properties of undefined (reading 'name')\n    at lookup (/srv/app/shop.js:3:39)\n    at Object.<anonymous> (/srv/app/main.js:24:22)\n    at Module._compile (node:internal/modules/cjs/loader:1521:14)",
    ),
    (
        "go",
        "panic: runtime error: index out of range [6] with length 3\n\ngoroutine 1 [running]:\nmain.pick(...)\n\t/srv/app/main.go:5\nmain.main()\n\t/srv/app/main.go:16 +0x412\nexit status 2",
    ),
    (
        "rust",
        "thread 'main' (23997) panicked at src/main.rs:12:46:\nindex out of bounds: the len is 3 but the index is 7\nstack backtrace:\n   0: __rustc::rust_begin_unwind\n             at /rustc/5980/library/std/src/panicking.rs:689:5\n   1: shop::pick\n             at ./src/main.rs:12:46\nnote: Some details are omitted",
    ),
    ("rust without a backtrace", "thread 'worker-3' panicked at src/stock.rs:27:10:\nno shelf 17"),
    (
        "dotnet",
        "Unhandled exception. System.InvalidOperationException: cart 17 is closed\n   at Shop.Cart.Add(Int32 id) in /src/Cart.cs:line 41\n   at Program.<Main>$(String[] args) in /src/Program.cs:line 9",
    ),
    (
        "ruby",
        "/srv/app/cart.rb:7:in `total': undefined method `price' for nil:NilClass (NoMethodError)\n\tfrom /srv/app/checkout.rb:52:in `checkout'\n\tfrom /srv/app/main.rb:3:in `<main>'",
    ),
    (
        "php",
        "PHP Fatal error:  Uncaught InvalidArgumentException: no order 17 in /srv/app/Pay.php:12\nStack trace:\n#0 /srv/app/main.php(3): App\\Pay->charge(17)\n#1 {main}\n  thrown in /srv/app/Pay.php on line 12",
    ),
    (
        "c++, sanitizer",
        "==4711==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x55d0 bp 0x7ffe sp 0x7ffd\nREAD of size 4 at 0x602000000010 thread T0\n    #0 0x55d0 in shop::Cart::total(int) /src/cart.cc:41:9\n    #1 0x55e1 in main /src/main.cc:9:3\n    #2 0x7f00 in __libc_start_main (/lib/libc.so.6+0x23d09)",
    ),
    (
        "c++, terminate",
        "terminate called after throwing an instance of 'std::out_of_range'\n  what():  vector::_M_range_check: __n (which is 7) >= this->size() (which is 3)",
    ),
    (
        "perl",
        "Can't locate object method \"price\" via package \"Cart\" at /srv/app/Shop.pm line 12.\n\tShop::total(HASH(0x55d0)) called at /srv/app/main.pl line 3",
    ),
    (
        "dart",
        "Unhandled exception:\nRangeError (index): Invalid value: Not in inclusive range 0..2: 7\n#0      pick (package:shop/pick.dart:17:10)\n#1      main (package:shop/main.dart:9:3)",
    ),
    (
        "elixir",
        "** (KeyError) key :price not found in: %{id: 17}\n    (shop 0.1.0) lib/shop/cart.ex:41: Shop.Cart.total/1\n    (shop 0.1.0) lib/shop.ex:9: Shop.main/0",
    ),
    (
        "lua",
        "lua: cart.lua:7: attempt to index a nil value (local 'item')\nstack traceback:\n\tcart.lua:7: in function 'total'\n\tmain.lua:3: in main chunk\n\t[C]: in ?",
    ),
    (
        "message",
        "2026-11-21 10:00:00,123 ERROR [pay-3] order 4711 of user ada took 12.5 s: GET /pay/4711 gave 502",
    ),
    (
        "message with an address and an id",
        "ERROR cannot reach 10.0.0.7:5432 for 9f1c2d3e-0000-4000-8000-123456789abc",
    ),
    (
        "message with a path and a quoted value",
        "failed to open '/var/lib/shop/17.db': No such file or directory (errno 2)",
    ),
    ("logfmt", "time=2026-11-21T10:00:00Z level=error msg=\"cannot open the ledger\" order=4711"),
    ("json", "{\"level\":\"error\",\"msg\":\"cannot open ledger 17\",\"pid\":4711}"),
    (
        "json with a trace",
        "{\"level\":50,\"msg\":\"failed\",\"err\":{\"stack\":\"TypeError: x\\n    at lookup (/srv/app/shop.js:3:39)\"}}",
    ),
];

#[test]
fn no_identity_changes_unseen() {
    let mut golden = String::new();
    for (name, text) in RECORDS {
        let made = Fingerprinter::builtin().fingerprint(&Clean::trusted(text));
        let (id, runtime) = (made.levels.identity.full(), made.runtime);
        writeln!(golden, "# {name} ({runtime})\n{id}\n{}\n", made.preimage).unwrap();
    }
    insta::assert_snapshot!(golden);
}
