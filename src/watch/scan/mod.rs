//! Find candidate lines in raw bytes: one prefilter for the required literals of all rules, then one regex.
