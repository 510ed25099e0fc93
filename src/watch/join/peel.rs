//! Takes off what loggers and shippers put before and around a text: timestamps, levels, thread and logger names,
//! docker-compose and syslog headers, JSON envelopes.
