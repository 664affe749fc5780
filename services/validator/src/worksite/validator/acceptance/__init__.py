"""Acceptance tests whose asserts the candidate cannot reach: grade `verified_io`.

examiner.py   the Spec's tests under pytest, in a sandbox of their own: knows the verdict, not the candidate
broker.py     in the service: carries what the tests ask to the candidate, and the answers back
asgi_host.py  the candidate's application behind JSON lines, in another sandbox: never hears of a verdict
"""
