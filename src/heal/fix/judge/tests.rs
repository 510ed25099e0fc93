//! Outputs of real test runners against the issue they must show.
