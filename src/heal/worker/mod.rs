//! Lease, run, complete, back off, dead-letter; knows no stage.
