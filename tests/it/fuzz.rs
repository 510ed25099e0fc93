//! The targets of `make fuzz`, each over texts that are changed at random: the same ones on every run.

#[path = "../fuzz/targets.rs"]
mod targets;

use targets::TARGETS;

/// What the changes begin with.
const SEEDS: [&str; 8] = [
    "\x03ok\nTraceback (most recent call last):\n  File \"/app/a.py\", line 3, in f\n    g(x)\nValueError: x\nok\n",
    "\x01com.acme.Boom: no stock\n\tat com.acme.A.b(A.java:3)\n\tat com.acme.A.c(A.java:9)\nCaused by: java.lang.Error: x\n\t... 2 more\n",
    "\x04{\"log\":\"error: <x> \\\"y\\\"\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.1Z\"}\n{\"log\":\"part\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05.1Z\"}\n{\"log\":\" end\\n\",\"stream\":\"stdout\"}\n",
    "\x022026-01-02T03:04:05.1Z stderr P panic: \n2026-01-02T03:04:05.1Z stderr F boom\n2026-01-02T03:04:05.2Z stdout F ok\n",
    "\x05{\"stream\":\"a\",\"line\":\"error: x\"}\n{\"line\":\"failed\\u0000\"}\n",
    "\x06/app/shop.js:12\n  throw new Boom('x')\n  ^\n\nBoom: x\n    at f (/app/shop.js:12:9)\n\nNode.js v20.1.0\n\u{1b}[31merr\u{1b}[0mor: x\n",
    "\x07panic: boom\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/app/main.go:3 +0x1d\nfatal error: x\r\n",
    r#"{"version":"4","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"a"},"annotations":{"log":"error: x"},"startsAt":"2026-01-02T03:04:05Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://x/graph?g0.expr=up","fingerprint":"f"}]}"#,
];

/// Takes out, doubles, moves and flips pieces; now and then puts in a piece of another seed.
fn change(text: &mut Vec<u8>, random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..8) {
        let from = random.usize(0..=text.len());
        let to = random.usize(from..=text.len().min(from + 40));
        match random.u8(0..6) {
            0 => drop(text.drain(from..to)),
            1 => text.extend_from_within(from..to),
            2 => text[from..to].reverse(),
            3 => text[from..to].iter_mut().for_each(|byte| *byte ^= 1 << random.u8(0..8)),
            4 => {
                let other = random.choice(SEEDS).unwrap_or_default().as_bytes();
                let start = random.usize(0..other.len());
                text.splice(from..to, other[start..].iter().copied().take(60));
            }
            _ => drop(text.splice(from..to, [*random.choice(b"\n\r\0\x1b\"\\{}:\xff ").unwrap_or(&b'\n')])),
        }
    }
}

fn check(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("it is one of them");
    let mut random = fastrand::Rng::with_seed(7);
    for seed in SEEDS {
        run(seed.as_bytes());
        for _ in 0..60 {
            let mut text = seed.as_bytes().to_vec();
            change(&mut text, &mut random);
            let ended = std::panic::catch_unwind(|| run(&text));
            assert!(ended.is_ok(), "{target} broke on {:?}", String::from_utf8_lossy(&text));
        }
    }
}

macro_rules! tests {
    ($($name:ident $target:literal)*) => {
        $(#[test]
        fn $name() {
            check($target);
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$($target),*];
            assert_eq!(TARGETS.map(|(name, _)| name), run);
        }
    };
}

tests! {
    scan "scan"
    docker_json "docker-json"
    cri "cri"
    jsonl "jsonl"
    join "join"
    webhook "webhook"
}
