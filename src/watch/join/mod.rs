//! Lines to records: one small machine per runtime, one joiner per stream.
