"""mining-report.html: what mining chose, and why, for people."""
