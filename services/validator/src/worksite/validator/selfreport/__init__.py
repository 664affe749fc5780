"""Tests that must run in the candidate's own process: grade `self_reported`.

driver.py    in the sandbox: pytest, loaded before anything of the candidate's, with a plugin that keeps records
records.py   in the service: believes them only if sequence, authentication, sentinels and exit code agree
config.py    which parts of a project's pytest configuration count
run.py       one run of one tree
"""
