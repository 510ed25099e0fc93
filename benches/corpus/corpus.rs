//! Logs to measure with, and the machine's own limit. Built by `scripts/bench` with `rustc` alone: it needs no crate.
//!
//! `corpus make FORMAT PER_MILLE MEGABYTES` writes a log to its standard output: `plain`, or `docker` as the engine's json-file has it.
//! Every event is one of what nginx, pino, structlog, log4j, Python, zap and Postgres write; so many of a thousand are
//! errors: half a line of one of these, half a trace of Python, Java, Node or Go. The same arguments give the same bytes.
//! `corpus lines FILE` reads a file as `homeostat scan` does and counts its line breaks: less work cannot be done.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["make", format @ ("plain" | "docker"), per_mille, megabytes] => {
            let (per_mille, megabytes) = (number(per_mille)?, number(megabytes)?);
            make(format == "docker", per_mille, megabytes * 1_000_000)
        }
        ["lines", file] => lines(file),
        _ => Err(io::Error::other("corpus make plain|docker PER_MILLE MEGABYTES, or corpus lines FILE")),
    }
}

fn number(text: &str) -> io::Result<u64> {
    text.parse().map_err(|_| io::Error::other(format!("not a number: {text}")))
}

/// Reads blocks at the start of a page, as the scan does.
fn lines(file: &str) -> io::Result<()> {
    const BLOCK: usize = 256 * 1024;
    let layout = Layout::from_size_align(BLOCK, 4096).map_err(io::Error::other)?;
    let mut file = File::open(file)?;
    // SAFETY: the layout has a size, the block is all zeros, and it is given back with the same layout after its last use.
    let block = unsafe { std::slice::from_raw_parts_mut(alloc_zeroed(layout), BLOCK) };
    let (mut n_lines, mut n_read) = (0_u64, usize::MAX);
    while n_read > 0 {
        n_read = file.read(block)?;
        // A count of up to 255 stays in a byte, which the compiler makes wide vectors of.
        for part in block[..n_read].chunks(255 * 32) {
            let mut counts = [0_u8; 32];
            let whole = part.chunks_exact(32);
            n_lines += whole.remainder().iter().filter(|byte| **byte == b'\n').count() as u64;
            for bytes in whole {
                for (count, byte) in counts.iter_mut().zip(bytes) {
                    *count += u8::from(*byte == b'\n');
                }
            }
            n_lines += counts.iter().map(|it| u64::from(*it)).sum::<u64>();
        }
    }
    // SAFETY: as above.
    unsafe { dealloc(block.as_mut_ptr(), layout) };
    println!("{n_lines}");
    Ok(())
}

fn make(is_docker: bool, per_mille: u64, n_bytes: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    let mut writer = Writer { random: 0x9e37_79b9_7f4a_7c15, micros: 1_767_322_800_000_000, event: String::new() };
    let (mut n_written, mut line) = (0, String::new());
    // As many bytes of text in both formats, so that the records are the same.
    while n_written < n_bytes {
        writer.event(per_mille);
        n_written += writer.event.len() as u64;
        if !is_docker {
            out.write_all(writer.event.as_bytes())?;
            continue;
        }
        for text in writer.event.lines() {
            line.clear();
            line.push_str("{\"log\":\"");
            for letter in text.chars() {
                match letter {
                    '"' | '\\' => line.extend(['\\', letter]),
                    '\t' => line.push_str("\\t"),
                    '<' | '>' | '&' => line.push_str(&format!("\\u{:04x}", letter as u32)),
                    _ => line.push(letter),
                }
            }
            let stream = if writer.micros % 3 == 0 { "stderr" } else { "stdout" };
            let nanos = writer.micros * 7 % 1000;
            let time = iso(writer.micros, 'T', '.');
            line.push_str(&format!("\\n\",\"stream\":\"{stream}\",\"time\":\"{time}{nanos:03}Z\"}}\n"));
            out.write_all(line.as_bytes())?;
        }
    }
    out.flush()
}

/// `2026-01-02T03:04:05.123456`
fn iso(micros: u64, day: char, point: char) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, seconds) = (seconds / 86400 - 20_454, seconds % 86400);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("2026-01-{:02}{day}{hour:02}:{minute:02}:{second:02}{point}{micros:06}", 1 + days % 31)
}

const PATHS: [&str; 12] = [
    "/", "/health", "/api/v1/orders", "/api/v1/orders/items", "/static/app.8f3a2b.js", "/login", "/cart", "/search?q=blue+shoes&page=2",
    "/api/v2/users/me", "/metrics", "/img/banner.webp", "/api/v1/payments/confirm",
];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "curl/8.5.0",
    "kube-probe/1.29",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
];
const WORDS: [&str; 16] = [
    "order accepted", "payment settled", "cache refreshed", "session started", "user logged in", "job finished", "message published",
    "request completed", "connection opened", "index rebuilt", "mail queued", "token renewed", "upload stored", "invoice sent",
    "stock updated", "report generated",
];
const CLASSES: [&str; 8] = [
    "com.acme.shop.OrderService", "com.acme.shop.pay.PaymentClient", "o.s.web.servlet.DispatcherServlet", "com.acme.shop.cart.CartRepository",
    "org.hibernate.SQL", "com.zaxxer.hikari.HikariDataSource", "com.acme.shop.mail.Sender", "o.a.k.clients.consumer.Fetcher",
];
const TABLES: [&str; 6] = ["orders", "users", "items", "payments", "sessions", "invoices"];

struct Writer {
    random: u64,
    micros: u64,
    event: String,
}

impl Writer {
    /// xorshift64*
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len() as u64) as usize]
    }

    fn add(&mut self, text: &str) {
        self.event.push_str(text);
        self.event.push('\n');
    }

    fn event(&mut self, per_mille: u64) {
        self.event.clear();
        self.micros += 1 + self.below(2_000);
        match (self.below(1000) < per_mille, self.below(2)) {
            (false, _) => self.ordinary(),
            (true, 0) => self.line(),
            (true, _) => self.trace(),
        }
    }

    fn ordinary(&mut self) {
        let (micros, id, took, word) = (self.micros, self.below(1_000_000), self.below(400), self.one(&WORDS));
        let millis = micros / 1000;
        let text = match self.below(9) {
            0 | 1 => self.access(200),
            2 => format!(
                r#"{{"level":30,"time":{millis},"pid":{},"hostname":"web-7d9f8b6c5-x2k{}q","reqId":"req-{id:x}","msg":"{word}","responseTime":{took}}}"#,
                id % 90,
                id % 9
            ),
            3 => format!(
                r#"{{"event": "{word}", "order_id": {id}, "duration_ms": {took}.{}, "level": "info", "logger": "shop.orders", "timestamp": "{}Z"}}"#,
                id % 10,
                iso(micros, 'T', '.')
            ),
            4 => format!(
                "{} INFO  [http-nio-8080-exec-{}] {} - {word} for order {id} in {took} ms",
                &iso(micros, ' ', ',')[..23],
                id % 20,
                self.one(&CLASSES)
            ),
            5 => format!(
                "{} INFO shop.orders.views: {word} id={id} took={took}ms user=u{}",
                &iso(micros, ' ', ',')[..23],
                id % 5000
            ),
            6 => format!(
                "{}Z\tINFO\tserver/handler.go:{}\t{word}\t{{\"trace_id\": \"{:016x}\", \"status\": 200, \"latency\": {took}.{}}}",
                &iso(micros, 'T', '.')[..23],
                id % 300,
                self.random,
                id % 100
            ),
            7 => format!(
                "{} UTC [{}] LOG:  duration: {took}.{:03} ms  statement: select * from {} where id = {id}",
                &iso(micros, ' ', '.')[..23],
                1000 + id % 400,
                id % 1000,
                self.one(&TABLES)
            ),
            _ => format!(
                "{} DEBUG [scheduler-{}] {} - polled {} messages, lag {took}, no errors so far",
                &iso(micros, ' ', ',')[..23],
                id % 4,
                self.one(&CLASSES),
                id % 500
            ),
        };
        self.add(&text);
    }

    fn access(&mut self, status: u64) -> String {
        let (id, path, agent) = (self.below(1 << 24), self.one(&PATHS), self.one(&AGENTS));
        let time = &iso(self.micros, ':', '.')[11..19];
        format!(
            "10.{}.{}.{} - - [02/Jan/2026:{time} +0000] \"GET {path} HTTP/1.1\" {status} {} \"-\" \"{agent}\"",
            id >> 16,
            id >> 8 & 255,
            id & 255,
            self.below(90_000)
        )
    }

    /// One line that says that something failed.
    fn line(&mut self) {
        let (micros, id) = (self.micros, self.below(1_000_000));
        let millis = micros / 1000;
        let text = match self.below(7) {
            0 => {
                let status = 500 + self.below(5);
                self.access(status)
            }
            1 => format!(
                r#"{{"level":50,"time":{millis},"pid":{},"hostname":"web-7d9f8b6c5-x2k{}q","reqId":"req-{id:x}","msg":"connect ECONNREFUSED 10.0.3.{}:5432"}}"#,
                id % 90,
                id % 9,
                id % 250
            ),
            2 => format!(
                r#"{{"event": "payment declined", "order_id": {id}, "level": "error", "logger": "shop.pay", "timestamp": "{}Z"}}"#,
                iso(micros, 'T', '.')
            ),
            3 => format!(
                "{} ERROR [http-nio-8080-exec-{}] {} - order {id} failed: connection timed out after 3000 ms",
                &iso(micros, ' ', ',')[..23],
                id % 20,
                self.one(&CLASSES)
            ),
            4 => format!(
                "{} ERROR shop.orders.views: cannot reserve item id={id} for user=u{}: permission denied",
                &iso(micros, ' ', ',')[..23],
                id % 5000
            ),
            5 => format!(
                "{}Z\tERROR\tserver/handler.go:88\tupstream call failed\t{{\"trace_id\": \"{:016x}\", \"error\": \"context deadline exceeded\"}}",
                &iso(micros, 'T', '.')[..23],
                self.random
            ),
            _ => format!(
                "{} UTC [{}] ERROR:  duplicate key value violates unique constraint \"{}_pkey\"",
                &iso(micros, ' ', '.')[..23],
                1000 + id % 400,
                self.one(&TABLES)
            ),
        };
        self.add(&text);
    }

    fn trace(&mut self) {
        let (micros, id, bug) = (self.micros, self.below(1_000_000), self.below(12));
        match self.below(4) {
            0 => {
                self.add(&format!("{} ERROR shop.tasks: task {id} crashed", &iso(micros, ' ', ',')[..23]));
                self.add("Traceback (most recent call last):");
                for depth in 0..4 + bug % 4 {
                    self.add(&format!("  File \"/srv/app/shop/stage{depth}.py\", line {}, in step_{bug}", 20 + depth * 13 + bug));
                    self.add(&format!("    return self.stage{}.step_{bug}(order, retries=3)", depth + 1));
                }
                self.add(&format!("ValueError: invalid amount for order {id}"));
            }
            1 => {
                self.add(&format!(
                    "{} ERROR [http-nio-8080-exec-{}] {} - request {id} failed",
                    &iso(micros, ' ', ',')[..23],
                    id % 20,
                    CLASSES[(bug % 8) as usize]
                ));
                self.add(&format!("java.lang.IllegalStateException: no stock for item {id}"));
                for depth in 0..8 + bug % 9 {
                    self.add(&format!("\tat com.acme.shop.layer{depth}.Service{bug}.handle(Service{bug}.java:{})", 40 + depth * 11));
                }
                self.add("Caused by: java.sql.SQLTransientConnectionException: pool is empty");
                for depth in 0..3 {
                    self.add(&format!("\tat com.zaxxer.hikari.pool.Pool{bug}.borrow{depth}(Pool.java:{})", 70 + depth));
                }
                self.add(&format!("\t... {} more", 5 + bug));
            }
            2 => {
                self.add(&format!("TypeError: Cannot read properties of undefined (reading 'price{bug}')"));
                for depth in 0..6 {
                    self.add(&format!("    at step{bug}_{depth} (/srv/app/dist/stage{depth}.js:{}:{})", 30 + bug * 7, 9 + depth));
                }
                self.add("    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)");
            }
            _ => {
                self.add("panic: runtime error: invalid memory address or nil pointer dereference");
                self.add(&format!("[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x{:x}]", 0x4a_0000 + bug * 64));
                self.add("");
                self.add(&format!("goroutine {} [running]:", 1 + id % 900));
                for depth in 0..5 {
                    self.add(&format!("main.(*Shop).stage{depth}_{bug}(0xc000{:06x}, 0x{:x})", id, depth + 1));
                    self.add(&format!("\t/srv/app/stage{depth}.go:{} +0x{:x}", 25 + bug * 3, 29 + depth));
                }
            }
        }
    }
}
