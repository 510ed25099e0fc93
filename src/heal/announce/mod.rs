//! Stage: tell people.
