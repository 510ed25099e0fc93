//! Every promise of the sandbox, each with a test that tries to break it.
