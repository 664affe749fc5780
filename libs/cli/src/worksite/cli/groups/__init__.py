"""The groups of subcommands: each module parses one, and leaves the work to others."""
