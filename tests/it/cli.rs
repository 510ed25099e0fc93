//! The command line contract.
