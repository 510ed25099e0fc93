//! Tickets: GitHub Issues and the local tracker.
