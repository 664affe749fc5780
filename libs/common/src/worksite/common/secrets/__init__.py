"""Where secrets come from (environment, files, Vault), and how they change without a restart (ADR 0019)."""
