//! Tails with rotation.
