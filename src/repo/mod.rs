//! Git on the host: mirrors, clones, patches; holds at most a read-only fetch credential.
