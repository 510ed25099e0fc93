//! One record of the spool: length, checksum, and what was sent, in little endian.

/// One text of one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What names the service.
    pub service: String,
    /// What tells senders of one service apart, and what people know them by.
    pub label: String,
    /// When it was logged, in nanoseconds since 1970, where the sender says so.
    pub at: Option<i64>,
    pub text: Vec<u8>,
}

/// Length and checksum.
pub(super) const HEAD: usize = 8;

/// Longer texts are cut: what follows finds no error any more, and a broken length must not be believed.
pub(super) const MAX_RECORD: usize = 4 << 20;

/// An item with the tick of its arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) tick: i64,
    pub(super) item: Item,
}

/// What the beginning of some bytes is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A record, and its length with the head.
    Record(Box<Record>, usize),
    /// More bytes are needed.
    Short,
    /// No record: torn, or damaged.
    Broken,
}

impl Record {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Item { service, label, at, text } = &self.item;
        let start = out.len();
        out.extend([0; HEAD]);
        out.extend(self.tick.to_le_bytes());
        out.extend(at.unwrap_or(i64::MIN).to_le_bytes());
        for name in [service, label] {
            let name = &name.as_bytes()[..name.len().min(usize::from(u16::MAX))];
            out.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend(name);
        }
        out.extend(&text[..text.len().min(MAX_RECORD / 2)]);
        let body = &out[start + HEAD..];
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let sum = checksum(body);
        out[start..start + 4].copy_from_slice(&len);
        out[start + 4..start + HEAD].copy_from_slice(&sum);
    }

    pub(super) fn parse(bytes: &[u8]) -> Parsed {
        let Some((len, rest)) = bytes.split_first_chunk::<4>() else { return Parsed::Short };
        let len = u32::from_le_bytes(*len) as usize;
        if !(20..=MAX_RECORD).contains(&len) {
            return Parsed::Broken;
        }
        let Some((sum, rest)) = rest.split_first_chunk::<4>() else { return Parsed::Short };
        let Some(body) = rest.get(..len) else { return Parsed::Short };
        if checksum(body) != *sum {
            return Parsed::Broken;
        }
        match Self::of_body(body) {
            Some(record) => Parsed::Record(Box::new(record), HEAD + len),
            None => Parsed::Broken,
        }
    }

    fn of_body(body: &[u8]) -> Option<Self> {
        let (tick, rest) = body.split_first_chunk::<8>()?;
        let (at, rest) = rest.split_first_chunk::<8>()?;
        let (service, rest) = name(rest)?;
        let (label, text) = name(rest)?;
        let at = Some(i64::from_le_bytes(*at)).filter(|at| *at != i64::MIN);
        let item = Item { service, label, at, text: text.to_vec() };
        Some(Self { tick: i64::from_le_bytes(*tick), item })
    }
}

fn name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    Some((String::from_utf8_lossy(name).into_owned(), rest))
}

fn checksum(body: &[u8]) -> [u8; 4] {
    let mut sum = [0; 4];
    sum.copy_from_slice(&blake3::hash(body).as_bytes()[..4]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written_or_not_at_all() {
        let record = |at, text: &[u8]| {
            let item = Item { service: "shop".to_owned(), label: "ü".to_owned(), at, text: text.to_vec() };
            Record { tick: 5, item }
        };
        for record in [record(Some(-1), b"ERROR x\nat y"), record(None, b""), record(Some(7), &[0xff, 0])] {
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            let n = bytes.len();
            bytes.push(b'x');
            assert_eq!(Record::parse(&bytes), Parsed::Record(Box::new(record), n));
            for len in 0..n {
                assert_eq!(Record::parse(&bytes[..len]), Parsed::Short, "{len}");
            }
            bytes[n - 1] ^= 1;
            assert_eq!(Record::parse(&bytes), Parsed::Broken);
        }
        assert_eq!(Record::parse(&[0; 64]), Parsed::Broken);
        assert_eq!(Record::parse(&[0xff; 64]), Parsed::Broken);
    }
}
