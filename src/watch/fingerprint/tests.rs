//! Whole records to their fingerprints.
