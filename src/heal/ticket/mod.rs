//! Stage: open the ticket and report on it.
