//! What is taken off, and what must stay.

use super::*;

#[track_caller]
fn check(line: &str, text: &str, is_error: bool) {
    let peeled = peel(line);
    assert_eq!((peeled.text, peeled.is_error), (text, is_error), "{line}");
    assert_eq!(peeled.is_prefixed, text.len() != line.len(), "{line}");
}

#[test]
fn prefixes_are_taken_off() {
    for (prefix, is_error) in [
        ("2024-01-01 ERROR ", true),
        ("2024-01-01T10:00:00.123Z ", false),
        ("2024-01-01 10:00:00,123 - app.pay - ERROR - ", true),
        ("2024-01-01 10:00:00.123 ERROR 17 --- [nio-8080-exec-1] c.e.PayController : ", true),
        ("[2024-01-01 10:00:00] [ERROR] [main] ", true),
        ("10:00:00.123 [main] ERROR c.e.Pay - ", true),
        ("ERROR:root:", true),
        ("INFO:     ", false),
        ("[ERROR] ", true),
        ("CRASH LOG: ", false),
        ("web-1  | ", false),
        ("web-1  | 2024-01-01T10:00:00Z ", false),
        ("2024-01-01T10:00:00.000000000Z stderr F ", false),
        ("Jan  2 03:04:05 host app[123]: ", false),
        ("E0102 15:04:05.000000       1 server.go:12] ", true),
        ("[   12.345678] ", false),
        ("2024/01/02 15:04:05 ", false),
        ("Jul 09, 2015 3:23:29 PM ", false),
        ("[Thu Jun 09 06:07:04 2005] [error] ", true),
        ("1700000000.123 ", false),
    ] {
        for text in ["Traceback (most recent call last):", "    at f (/a.js:1:2)", "java.lang.Error: x"] {
            // Blanks after a padded level cannot be told from an indentation.
            if prefix != "INFO:     " || !text.starts_with(' ') {
                let peeled = peel_all(prefix, text);
                assert_eq!(peeled.0.trim_start(), text.trim_start(), "{prefix}{text}");
                assert_eq!(peeled.1, is_error, "{prefix}{text}");
            }
        }
    }
}

fn peel_all(prefix: &str, text: &str) -> (String, bool) {
    let line = format!("{prefix}{text}");
    let peeled = peel(&line);
    assert!(peeled.is_prefixed, "{line}");
    (peeled.text.to_owned(), peeled.is_error)
}

#[test]
fn texts_are_left_alone() {
    for line in [
        "",
        "Traceback (most recent call last):",
        "    at f (/a.js:1:2)",
        "Error: x",
        "java.lang.RuntimeException: x",
        "  | ValueError: 1",
        "thread 'main' panicked at src/main.rs:4:5:",
        "goroutine 1 [running]:",
        "[stacktrace]",
        "#0 /a.php(5): f()",
        "Information is here",
        "==1==ERROR: AddressSanitizer: x",
        "1: main::f",
        "a.rb:6:in `/': divided by 0 (ZeroDivisionError)",
    ] {
        check(line, line, false);
    }
}

#[test]
fn indentation_after_a_prefix_is_kept() {
    check("web-1  | \tat a.B.c(B.java:1)", "\tat a.B.c(B.java:1)", false);
    check("2024-01-01T10:00:00Z   File \"x.py\", line 1, in f", "  File \"x.py\", line 1, in f", false);
}

#[test]
fn lines_of_their_own_are_known() {
    for line in [r#"{"level":"info"}"#, "level=info msg=x", "10.0.0.1 - - [x] \"GET / HTTP/1.1\" 200 1"] {
        assert!(stands_alone(line), "{line}");
    }
    for line in ["{", "line two", "10.0.0.1 is away", "1.2.3.4"] {
        assert!(!stands_alone(line), "{line}");
    }
}
