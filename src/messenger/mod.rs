//! Notices out: Slack, generic webhook.
