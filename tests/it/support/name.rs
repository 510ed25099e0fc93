//! Names that no other test, run or person on this machine uses.

/// `homeostat-test-<purpose>-<12 hex digits>`: fit for a container, an image tag or a network.
pub(crate) fn unique(purpose: &str) -> String {
    format!("homeostat-test-{purpose}-{:012x}", fastrand::u64(..) >> 16)
}
