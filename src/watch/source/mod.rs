//! Where lines come from: Docker containers and files, each with its cursor.
