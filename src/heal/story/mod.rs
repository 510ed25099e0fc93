//! What stages tell people: texts built from the store, and timeline entries written once.
