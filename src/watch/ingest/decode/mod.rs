//! From bytes as a source keeps them to lines of text with their stream and time. Odd input is a plain line.

pub mod line;
