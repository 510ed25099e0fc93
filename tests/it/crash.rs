//! Kill -9 in each stage.
