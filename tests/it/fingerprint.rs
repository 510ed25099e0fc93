//! `homeostat fingerprint`, and traces of real programs.
