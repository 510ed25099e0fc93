//! The unit file.
