//! A model server on loopback that speaks the Messages API by streaming and plays a script.
//!
//! Used by `homeostat demo` where there is no key, and by tests. It is strict: what the real API refuses it refuses with the
//! same status and the same shape of error, and some things that the real one only advises against. It keeps its own books, so
//! that money can be compared to the cent.
//!
//! It remembers conversations, but needs no memory: a thinking block is signed over everything before it, so that a changed
//! history is refused by a server that was started anew, too.

mod answer;
mod blocks;
pub mod books;
mod check;
mod memory;
mod pairing;
pub mod script;
pub mod server;
mod stream;
mod wire;
