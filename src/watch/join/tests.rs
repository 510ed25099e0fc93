//! Whole traces through the joiner, line by line, between ordinary lines and one after another.
