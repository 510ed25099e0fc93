//! Raw TOML to checked settings.
