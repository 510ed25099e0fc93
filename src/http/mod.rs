//! API, webhooks in, dashboard, metrics, health.
