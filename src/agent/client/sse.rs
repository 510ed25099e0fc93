//! Server-sent events out of bytes that are cut anywhere.
//!
//! Format: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

/// Longest event taken; the largest real one is a few kilobytes.
const MAX_EVENT_BYTES: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// `message` where the stream names none.
    pub(crate) event: String,
    pub(crate) data: String,
}

/// The stream sent an event that is longer than any event may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventTooLong;

/// Takes bytes, gives events. An event that is not ended by an empty line is never given.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    event: String,
    data: String,
    has_data: bool,
    is_after_cr: bool,
    is_begun: bool,
}

impl SseParser {
    /// The events that end within `bytes`.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, EventTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            // A line ends in CR, LF, or both together.
            let is_second_half = self.is_after_cr && byte == b'\n';
            self.is_after_cr = byte == b'\r';
            match byte {
                b'\n' if is_second_half => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > MAX_EVENT_BYTES {
                return Err(EventTooLong);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let line = if self.is_begun { line.as_str() } else { line.trim_start_matches('\u{feff}') };
        self.is_begun = true;
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            // Comments (an empty name), `id`, `retry` and what is not known.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        let event = if event.is_empty() { "message".to_owned() } else { event };
        has_data.then_some(SseEvent { event, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let events = pieces.iter().flat_map(|piece| parser.push(piece).unwrap());
        events.map(|it| (it.event, it.data)).collect()
    }

    fn check(input: &str, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(parse(&[input.as_bytes()]), expected, "{input:?}");
    }

    #[test]
    fn reads_every_form_of_event() {
        check("event: ping\ndata: {}\n\n", &[("ping", "{}")]);
        check("event:ping\r\ndata:{}\r\n\r\n", &[("ping", "{}")]);
        check("event: ping\rdata: {}\r\r", &[("ping", "{}")]);
        check("data: a\ndata: b\ndata\n\n", &[("message", "a\nb\n")]);
        check(": a comment\n\ndata:  two blanks\nid: 7\nretry: 9\n\n", &[("message", " two blanks")]);
        check("\u{feff}data: x\n\n", &[("message", "x")]);
        check("event: lonely\n\nevent: next\ndata: 1\n\n", &[("next", "1")]);
        check("data: cut off\n", &[]);
        check("data: a:b: c\n\n", &[("message", "a:b: c")]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = SseParser::default();
        let mut piece = b"data: ".to_vec();
        piece.resize(MAX_EVENT_BYTES, b'x');
        assert!(parser.push(&piece).unwrap().is_empty());
        assert_eq!(parser.push(b"0123456789"), Err(EventTooLong));
    }

    proptest! {
        #[test]
        fn borders_of_pieces_do_not_matter(
            lines in prop::collection::vec("(data|event|id|)(: ?)[a-zé\u{1f600}:]{0,12}|", 0..24),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r\n", "\r"]), 24),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[bytes]));
        }
    }
}
