//! The shipped rules against their own examples.
