//! The machine without tokio, a clock or a network: a world of closures answers its effects.

mod ends;
mod limits;
mod resume;
mod world;
