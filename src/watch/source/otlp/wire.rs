//! The protobuf form, read by hand: four messages deep, of which a dozen fields are used, and nothing is made before its bytes are there.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>

use serde_json::{Map, Number, Value};

use super::text::{LogRecord, Logs, ResourceLogs};

/// Values within values; a body is rarely deeper than three.
const MAX_DEPTH: usize = 32;

/// Records in a request; a collector's batch has some thousands. One of two bytes takes a hundred times as much here.
pub(super) const MAX_RECORDS: usize = 100_000;

/// The bytes are not the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ExportLogsServiceRequest: {0}")]
pub struct WireError(&'static str);

const TOO_MANY: WireError = WireError("it has more than 100,000 records, send smaller batches");

/// One field as it stands on the wire.
enum Field<'m> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'m [u8]),
}

impl<'m> Field<'m> {
    fn bytes(&self) -> Result<&'m [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32 => Err(WireError("a field has another type")),
        }
    }

    fn number(&self) -> Result<u64, WireError> {
        match self {
            Self::Varint(number) | Self::Fixed64(number) => Ok(*number),
            Self::Fixed32 | Self::Bytes(_) => Err(WireError("a field has another type")),
        }
    }

    fn text(&self) -> Result<String, WireError> {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The fields of a message, one after the other.
struct Fields<'m>(&'m [u8]);

impl<'m> Fields<'m> {
    fn next(&mut self) -> Result<Option<(u64, Field<'m>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let (head, rest) = self.0.split_first_chunk::<8>().ok_or(WireError("it is cut off"))?;
                self.0 = rest;
                Field::Fixed64(u64::from_le_bytes(*head))
            }
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError("a length is too large"))?;
                let (head, rest) = self.0.split_at_checked(len).ok_or(WireError("it is cut off"))?;
                self.0 = rest;
                Field::Bytes(head)
            }
            5 => {
                let (_, rest) = self.0.split_first_chunk::<4>().ok_or(WireError("it is cut off"))?;
                self.0 = rest;
                Field::Fixed32
            }
            _ => return Err(WireError("a field has an unknown wire type")),
        };
        Ok(Some((tag >> 3, field)))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for (n, byte) in self.0.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * n);
            if byte & 0x80 == 0 {
                self.0 = &self.0[n + 1..];
                return Ok(number);
            }
        }
        Err(WireError("a number is cut off"))
    }
}

/// Reads a request.
///
/// # Errors
/// The bytes are not that message.
pub fn read(bytes: &[u8]) -> Result<Logs, WireError> {
    let mut logs = Logs::default();
    let mut fields = Fields(bytes);
    let mut n_records = 0;
    while let Some((number, field)) = fields.next()? {
        if number == 1 {
            let resource = resource_logs(field.bytes()?)?;
            n_records += resource.records.len();
            logs.resources.push(resource);
        }
        if n_records > MAX_RECORDS || logs.resources.len() > MAX_RECORDS {
            return Err(TOO_MANY);
        }
    }
    Ok(logs)
}

fn resource_logs(bytes: &[u8]) -> Result<ResourceLogs, WireError> {
    let mut resource = ResourceLogs::default();
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                let mut fields = Fields(field.bytes()?);
                while let Some((number, field)) = fields.next()? {
                    if number == 1 {
                        key_value(field.bytes()?, &mut resource.attributes, 0)?;
                    }
                }
            }
            2 => {
                let mut fields = Fields(field.bytes()?);
                while let Some((number, field)) = fields.next()? {
                    if number == 2 {
                        resource.records.push(record(field.bytes()?)?);
                    }
                    if resource.records.len() > MAX_RECORDS {
                        return Err(TOO_MANY);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(resource)
}

fn record(bytes: &[u8]) -> Result<LogRecord, WireError> {
    let mut record = LogRecord::default();
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => record.time = field.number()?,
            2 => record.severity = field.number()?.cast_signed(),
            3 => record.severity_text = field.text()?,
            5 => record.body = value(field.bytes()?, 0)?,
            6 => key_value(field.bytes()?, &mut record.attributes, 0)?,
            11 => record.observed_time = field.number()?,
            _ => {}
        }
    }
    Ok(record)
}

fn key_value(bytes: &[u8], into: &mut Map<String, Value>, depth: usize) -> Result<(), WireError> {
    let (mut key, mut of_key) = (String::new(), Value::Null);
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = field.text()?,
            2 => of_key = value(field.bytes()?, depth)?,
            _ => {}
        }
    }
    into.insert(key, of_key);
    Ok(())
}

fn value(bytes: &[u8], depth: usize) -> Result<Value, WireError> {
    if depth >= MAX_DEPTH {
        return Err(WireError("values are too deep"));
    }
    let mut value = Value::Null;
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        value = match number {
            1 => Value::String(field.text()?),
            2 => Value::Bool(field.number()? != 0),
            3 => Value::Number(field.number()?.cast_signed().into()),
            4 => Number::from_f64(f64::from_bits(field.number()?)).map_or(Value::Null, Value::Number),
            5 => {
                let mut values = Vec::new();
                let mut fields = Fields(field.bytes()?);
                while let Some((number, field)) = fields.next()? {
                    if number == 1 {
                        values.push(self::value(field.bytes()?, depth + 1)?);
                    }
                }
                Value::Array(values)
            }
            6 => {
                let mut map = Map::new();
                let mut fields = Fields(field.bytes()?);
                while let Some((number, field)) = fields.next()? {
                    if number == 1 {
                        key_value(field.bytes()?, &mut map, depth + 1)?;
                    }
                }
                Value::Object(map)
            }
            7 => Value::String(String::from_utf8_lossy(field.bytes()?).into_owned()),
            _ => value,
        };
    }
    Ok(value)
}

/// A message with one text in a field, and numbers before it; for answers.
pub(super) fn written(numbers: &[(u8, u64)], (number, text): (u8, &str)) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, value) in numbers {
        out.push(number << 3);
        push_varint(&mut out, *value);
    }
    out.push((number << 3) | 2);
    push_varint(&mut out, text.len() as u64);
    out.extend(text.as_bytes());
    out
}

/// A message within a field.
pub(super) fn within(number: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    push_varint(&mut out, message.len() as u64);
    out.extend(message);
    out
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::source::otlp::items;

    /// One resource with the records.
    fn request(service: &str, records: &[Vec<u8>]) -> Vec<u8> {
        let attribute = [within(1, b"service.name"), within(2, &within(1, service.as_bytes()))].concat();
        let resource = within(1, &within(1, &attribute));
        let records: Vec<u8> = records.iter().flat_map(|record| within(2, record)).collect();
        within(1, &[resource, within(2, &records)].concat())
    }

    fn attribute(key: &str, value: &str) -> Vec<u8> {
        within(6, &[within(1, key.as_bytes()), within(2, &within(1, value.as_bytes()))].concat())
    }

    #[test]
    fn records_become_what_a_program_would_print() {
        let time = [vec![(1 << 3) | 1], 5_u64.to_le_bytes().to_vec()].concat();
        let record = [
            time,
            vec![2 << 3, 17],
            within(5, &within(1, b"request failed")),
            attribute("exception.type", "ValueError"),
            attribute("exception.message", "no"),
            attribute(
                "exception.stacktrace",
                "Traceback (most recent call last):\n  File \"a.py\", line 1, in a\nValueError: no\n",
            ),
        ];
        let plain = [within(5, &within(6, &within(1, &[within(1, b"a"), within(2, &[3 << 3, 7])].concat())))];
        let logs = read(&request("shop", &[record.concat(), plain.concat()])).unwrap();
        let items = items(logs);
        let texts: Vec<_> =
            items.iter().map(|it| (it.at, String::from_utf8_lossy(&it.text).into_owned())).collect();
        let trace = "ERROR request failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in a\nValueError: no";
        assert_eq!(texts, [(Some(5), trace.to_owned()), (None, "{\"a\":7}".to_owned())]);
        assert_eq!(items[0].service, "shop");
    }

    #[test]
    fn what_is_cut_or_no_message_is_refused_without_harm() {
        let whole = request("shop", &[within(5, &within(1, b"x"))]);
        for len in 1..whole.len() {
            assert!(read(&whole[..len]).is_err(), "{len}");
        }
        let mut deep = within(1, b"x");
        for _ in 0..40 {
            deep = within(5, &within(1, &deep));
        }
        assert_eq!(read(&request("shop", &[within(5, &deep)])), Err(WireError("values are too deep")));
        assert!(read(&[0xff; 40]).is_err());
        assert_eq!(read(&request("shop", &vec![vec![]; MAX_RECORDS])).map(|it| it.n_rejected), Ok(0));
        assert_eq!(read(&request("shop", &vec![vec![]; MAX_RECORDS + 1])), Err(TOO_MANY));
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            let at = random.usize(0..bytes.len());
            bytes[at] = random.u8(..);
            // Whatever it says, it ends.
            let _ = read(&bytes);
        }
    }
}
