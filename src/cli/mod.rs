//! The command line: run, check, scan, explain, fingerprint, demo, status, issue, job, pause, resume.
