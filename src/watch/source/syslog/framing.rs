//! Messages in a TCP stream: counted (`57 <34>1 …`) or each on a line (RFC 6587); a sender may mix them.

/// A longer message is cut.
pub(super) const MAX_MESSAGE: usize = 256 << 10;

/// Takes what comes, gives whole messages. Holds at most one message.
#[derive(Debug, Default)]
pub struct Framer {
    held: Vec<u8>,
    /// Bytes left of a counted message that is being cut.
    skip: usize,
    /// The rest of the line is being cut.
    is_skipping_line: bool,
    n_cut: u64,
}

impl Framer {
    /// Takes bytes as they come; whole messages are appended to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let n = self.skip.min(bytes.len());
                self.skip -= n;
                self.n_cut += n as u64;
                bytes = &bytes[n..];
                continue;
            }
            if self.is_skipping_line {
                let end = memchr::memchr(b'\n', bytes);
                let n = end.map_or(bytes.len(), |end| end + 1);
                self.is_skipping_line = end.is_none();
                self.n_cut += n as u64;
                bytes = &bytes[n..];
                continue;
            }
            let n = bytes.len().min(MAX_MESSAGE + 16 - self.held.len());
            self.held.extend(&bytes[..n]);
            bytes = &bytes[n..];
            self.take(out);
        }
    }

    /// What is left at the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<Vec<u8>>) {
        let rest = std::mem::take(&mut self.held);
        if !rest.trim_ascii().is_empty() {
            out.push(rest);
        }
    }

    /// Bytes left out since the last call.
    pub fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.n_cut)
    }

    fn take(&mut self, out: &mut Vec<Vec<u8>>) {
        let mut at = 0;
        loop {
            let held = &self.held[at..];
            match count_of(held) {
                Count::Unknown => break,
                Count::Of { head, len } => {
                    let kept = len.min(MAX_MESSAGE);
                    if held.len() < head + kept {
                        break;
                    }
                    out.push(held[head..head + kept].to_vec());
                    // Of one that is cut, as much as is there is left out at once, the rest as it comes.
                    let n_cut = (held.len() - head).min(len) - kept;
                    self.n_cut += n_cut as u64;
                    self.skip = len - kept - n_cut;
                    at += head + kept + n_cut;
                    if self.skip > 0 {
                        break;
                    }
                }
                Count::None => match memchr::memchr(b'\n', held) {
                    Some(end) => {
                        let kept = end.min(MAX_MESSAGE);
                        if !held[..kept].trim_ascii().is_empty() {
                            out.push(held[..kept].to_vec());
                        }
                        if end > kept {
                            self.n_cut += (end + 1 - kept) as u64;
                        }
                        at += end + 1;
                    }
                    None if held.len() > MAX_MESSAGE => {
                        out.push(held[..MAX_MESSAGE].to_vec());
                        self.n_cut += (held.len() - MAX_MESSAGE) as u64;
                        self.is_skipping_line = true;
                        self.held.clear();
                        return;
                    }
                    None => break,
                },
            }
        }
        self.held.drain(..at);
    }
}

enum Count {
    /// It may still become one.
    Unknown,
    /// Its length, and that of the number before it.
    Of {
        head: usize,
        len: usize,
    },
    None,
}

/// A count is a number of up to eight digits, a blank, and then `<`.
fn count_of(held: &[u8]) -> Count {
    let n_digits = held.iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    if held.is_empty() || (n_digits == held.len() && n_digits <= 8) {
        return Count::Unknown;
    }
    if n_digits == 0 || n_digits > 8 || held[0] == b'0' || held[n_digits] != b' ' {
        return Count::None;
    }
    match held.get(n_digits + 1) {
        None => Count::Unknown,
        Some(b'<') => {
            let len = std::str::from_utf8(&held[..n_digits]).ok().and_then(|it| it.parse().ok()).unwrap_or(0);
            Count::Of { head: n_digits + 1, len }
        }
        Some(_) => Count::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, u64) {
        let (mut framer, mut out) = (Framer::default(), Vec::new());
        for chunk in stream.chunks(chunk) {
            framer.push(chunk, &mut out);
        }
        framer.finish(&mut out);
        (out, framer.take_cut())
    }

    #[test]
    fn messages_are_found_however_they_are_cut_in_chunks() {
        let long = format!("<1>{}", "x".repeat(MAX_MESSAGE));
        let counted = format!("{} {long}", long.len());
        let streams: [(Vec<u8>, Vec<&str>, u64); 5] = [
            (
                b"5 <1>a\n<2>line\n\n7 <3>a\nbc<4>last".to_vec(),
                vec!["<1>a\n", "<2>line", "<3>a\nbc", "<4>last"],
                0,
            ),
            (b"404 is no count\n12\n<1>x\n".to_vec(), vec!["404 is no count", "12", "<1>x"], 0),
            (format!("{long}\n<2>next\n").into_bytes(), vec![&long[..MAX_MESSAGE], "<2>next"], 4),
            (format!("{counted}<2>next\n").into_bytes(), vec![&long[..MAX_MESSAGE], "<2>next"], 3),
            (Vec::new(), vec![], 0),
        ];
        for (stream, expected, n_cut) in &streams {
            let expected: Vec<Vec<u8>> = expected.iter().map(|it| it.as_bytes().to_vec()).collect();
            let chunks: &[usize] =
                if stream.len() > 1000 { &[1000, 70_000, 1 << 20] } else { &[1, 2, 3, 7, 100] };
            for chunk in chunks {
                assert_eq!(framed(stream, *chunk), (expected.clone(), *n_cut), "chunks of {chunk}");
            }
        }
    }
}
