//! The fix stage with real containers and real git.
