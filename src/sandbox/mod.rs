//! A `SandboxSpec` run by a container engine: no network, no credentials, capped.
