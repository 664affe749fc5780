"""The `worksite` command."""
