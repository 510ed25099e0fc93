//! The frames that go between the relay and the daemon; `relay.py` has the other half.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes of one connection and direction that may be under way.
pub(super) const WINDOW: usize = 256 << 10;

/// Largest payload of a frame.
const MAX_PAYLOAD: usize = 64 << 10;

const HEAD_BYTES: usize = 9;

/// What one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// A client has connected.
    Opened {
        number: u32,
    },
    Data {
        number: u32,
        data: Bytes,
    },
    /// Nothing more comes of this connection from the side that says so.
    Ended {
        number: u32,
    },
    /// So many bytes have been passed on.
    Passed {
        number: u32,
        n_bytes: u32,
    },
    /// The relay listens.
    Ready,
}

/// A stream that is not one of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl Frame {
    pub(super) fn encode(&self) -> Bytes {
        let (kind, number, payload) = match self {
            Self::Opened { number } => (0, *number, Bytes::new()),
            Self::Data { number, data } => (1, *number, data.clone()),
            Self::Ended { number } => (2, *number, Bytes::new()),
            Self::Passed { number, n_bytes } => (3, *number, Bytes::copy_from_slice(&n_bytes.to_be_bytes())),
            Self::Ready => (4, 0, Bytes::new()),
        };
        let mut bytes = BytesMut::with_capacity(HEAD_BYTES + payload.len());
        bytes.put_u8(kind);
        bytes.put_u32(number);
        bytes.put_u32(u32::try_from(payload.len()).expect("a payload is small"));
        bytes.put(payload);
        bytes.freeze()
    }

    /// Takes the first frame off `bytes`, if a whole one is there.
    pub(super) fn decode(bytes: &mut BytesMut) -> Result<Option<Self>, Broken> {
        if bytes.len() < HEAD_BYTES {
            return Ok(None);
        }
        let mut head = &bytes[..HEAD_BYTES];
        let (kind, number, n_bytes) = (head.get_u8(), head.get_u32(), head.get_u32() as usize);
        if n_bytes > MAX_PAYLOAD {
            return Err(Broken);
        }
        if bytes.len() < HEAD_BYTES + n_bytes {
            return Ok(None);
        }
        bytes.advance(HEAD_BYTES);
        let mut data = bytes.split_to(n_bytes).freeze();
        Ok(Some(match (kind, n_bytes) {
            (0, 0) => Self::Opened { number },
            (1, _) => Self::Data { number, data },
            (2, 0) => Self::Ended { number },
            (3, 4) => Self::Passed { number, n_bytes: data.get_u32() },
            (4, 0) => Self::Ready,
            _ => return Err(Broken),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let frames = [
            Frame::Ready,
            Frame::Opened { number: 1 },
            Frame::Data { number: 1, data: Bytes::from_static(b"GET") },
            Frame::Passed { number: 7, n_bytes: 70_000 },
            Frame::Ended { number: u32::MAX },
        ];
        let all: Vec<u8> = frames.iter().flat_map(|frame| frame.encode().to_vec()).collect();
        for n_piece in [1, 2, 8, 9, 100] {
            let (mut buffer, mut read) = (BytesMut::new(), Vec::new());
            for piece in all.chunks(n_piece) {
                buffer.extend_from_slice(piece);
                while let Some(frame) = Frame::decode(&mut buffer).unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, frames, "{n_piece}");
        }
        for broken in [
            &[9, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 0, 0, 0, 255, 0, 0, 0],
            &[3, 0, 0, 0, 0, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(Frame::decode(&mut BytesMut::from(broken)), Err(Broken));
        }
    }
}
