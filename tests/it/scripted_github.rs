//! The strict scripted GitHub refuses what the real one refuses.
