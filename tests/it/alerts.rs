//! The Alertmanager webhook, with a real Alertmanager.
