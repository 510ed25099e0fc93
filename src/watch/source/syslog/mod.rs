//! Syslog, RFC 5424 and 3164, over UDP and TCP: each message is an entry of the program that its tag names.
//!
//! `message` reads one message, `framing` finds messages in a TCP stream, `server` listens. What was taken stands in the spool: a TCP
//! sender that is not read from has to wait, so while it runs only datagrams are ever lost, and those are a gap.
//!
//! At a start there is a gap if something can have been sent that was not taken: always where datagrams are listened for (but not when the
//! config is read again: the socket is kept), and with connections alone if somebody was connected when the run before ended, or if it was
//! killed. Else senders learned that nobody listened, and keep what they have.
//!
//! Formats: <https://www.rfc-editor.org/rfc/rfc5424>, <https://www.rfc-editor.org/rfc/rfc3164>, <https://www.rfc-editor.org/rfc/rfc6587>

mod framing;
mod message;
mod server;

pub use framing::Framer;
pub use message::{Message, read};
pub use server::{Settings, Sockets, run};
