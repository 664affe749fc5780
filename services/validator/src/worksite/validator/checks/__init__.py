"""One check per file; each turns evidence into a CheckResult."""
