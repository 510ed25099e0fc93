//! Read a trace, normalise it, hash it.
