//! Anthropic's Messages API by streaming: request, server-sent events, assembly of the answer, retries.
//!
//! Knows the wire and nothing of what is asked. It never sends what current models refuse: a temperature, a forced tool
//! choice, disabled or budgeted thinking, a prefill. Format: <https://platform.claude.com/docs/en/api/messages>.

pub(super) mod assemble;
pub(super) mod http;
pub(super) mod request;
pub(super) mod retry;
pub(super) mod sse;
