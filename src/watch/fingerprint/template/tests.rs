//! What is masked, as what, and what is kept.

use super::*;

#[track_caller]
fn check(message: &str, expected: &str) {
    assert_eq!(template(message).text, expected, "{message}");
}

#[test]
fn values_are_masked() {
    for (message, expected) in [
        ("order ORD-3001 declined amount=3", "order <id> declined amount=<num>"),
        ("GET https://a.example/b?c=1 failed", "GET <url> failed"),
        ("mail to [redacted:email] bounced", "mail to <redacted> bounced"),
        ("mail to a.b@example.com bounced", "mail to <email> bounced"),
        ("id=e305b9fb-1b01-4da5-87d4-bd50b2cb30df gone", "id=<uuid> gone"),
        ("connection to 10.0.0.1:5432 refused", "connection to <ip> refused"),
        ("at Sun Jul 10 16:43:21 2005", "at <time>"),
        ("since 2024-01-02T03:04:05.123Z", "since <time>"),
        ("cannot open /srv/app/x.txt: no such file", "cannot open <path>: no such file"),
        ("took 12.5ms, 3.1 MB", "took <size>"),
        ("obj java.lang.Object@41629346", "obj java.lang.Object@<num>"),
        ("index 7 out of range [0, 3]", "index <num> out of range [<num>]"),
        (
            "Failed password for root from 10.0.0.1 port 22 ssh2",
            "Failed password for <name> from <ip> port <num> ssh2",
        ),
        ("connection from 10.0.0.1 (a.example) at noon", "connection from <ip> at noon"),
        ("connection from 10.0.0.1 () at noon", "connection from <ip> at noon"),
        ("for host.example.com [10.0.0.1] failed", "for <name> [<ip>] failed"),
        ("bad value 'a b c' given", "bad value <str> given"),
        ("enabled=true", "enabled=<flag>"),
        ("dial db.example.com:5432: refused", "dial <name>: refused"),
        ("failed in pay.py:12", "failed in pay.py:<num>"),
    ] {
        check(message, expected);
    }
}

#[test]
fn words_that_say_what_happened_are_kept() {
    for message in [
        "'NoneType' object has no attribute 'missing'",
        "codec utf-8 cannot decode",
        "GET returned status 503",
        "Can't find child",
        "java.net.NoRouteToHostException: No Route to Host",
        "error=timeout",
        "check pass; user unknown",
    ] {
        check(message, message);
    }
}

#[test]
fn runs_of_masks_are_one() {
    check("onExtend:1514038530000 14 0 4", "onExtend:<num>");
    check("steps = 1##2##3", "steps = <num>");
    check("ask 10.0.0.1:1 to delete blk_1 blk_2", "ask <ip> to delete <id>");
}

#[test]
fn ids_of_other_shapes_are_the_same_for_the_hash() {
    let one = template("cannot charge ORD-3001");
    let other = template("cannot charge cust_77120045");
    assert_eq!(one.canonical, other.canonical);
    assert_eq!(template("cannot charge 12").canonical, one.canonical);
    assert_ne!(template("cannot refund 12").canonical, one.canonical);
}

#[test]
fn odd_texts_do_no_harm() {
    for message in [
        "",
        "   ",
        "'",
        "\"",
        "=",
        "ü",
        "日本語 12",
        "::",
        "1.2.3.",
        "/",
        "\\\\",
        "[redacted:",
        "<",
        "0x",
        "a=",
        "\u{0}",
    ] {
        let _ = template(message);
    }
}
