//! Worker and stages: tickets, proposals, notices.
