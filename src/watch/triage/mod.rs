//! What does an occurrence mean for its issue: cooldown, mute, storm, route. Pure.
