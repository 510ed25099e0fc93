//! Branches and proposals: GitHub and the local forge.
