//! Real containers on a real engine.
