//! Occurrences and cursors across kills.
