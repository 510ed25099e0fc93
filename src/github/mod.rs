//! The client that the forge and the tracker on GitHub share: authentication, errors, paging, limits.
