//! The targets of `make fuzz`, each over texts that are changed at random: the same ones on every run.

#[path = "../fuzz/targets.rs"]
mod targets;

use targets::TARGETS;

/// What the changes begin with: one text for each form, and each one that broke a target once.
fn seeds() -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fuzz");
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("it can be read")).collect()
}

/// Takes out, doubles, moves and flips pieces; now and then puts in a piece of another seed.
fn change(text: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut fastrand::Rng) {
    for _ in 0..random.usize(1..8) {
        let from = random.usize(0..=text.len());
        let to = random.usize(from..=text.len().min(from + 40));
        match random.u8(0..6) {
            0 => drop(text.drain(from..to)),
            1 => text.extend_from_within(from..to),
            2 => text[from..to].reverse(),
            3 => text[from..to].iter_mut().for_each(|byte| *byte ^= 1 << random.u8(0..8)),
            4 => {
                let other = &seeds[random.usize(0..seeds.len())];
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
    let seeds = seeds();
    for seed in &seeds {
        run(seed);
        for _ in 0..40 {
            let mut text = seed.clone();
            change(&mut text, &seeds, &mut random);
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
    frames "frames"
    terminal "terminal"
    otlp "otlp"
    syslog "syslog"
    journal "journal"
    loki "loki"
}
