"""Worktrees architect, builder and validator beside a person's repository, to work in by hand."""
