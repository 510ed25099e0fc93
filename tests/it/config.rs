//! Wrong configs, one clear line each.
