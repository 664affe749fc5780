"""Acceptance tests whose asserts the candidate cannot reach: grade `verified_io`.

examiner.py     the Spec's tests under pytest, in a sandbox of their own: knows the verdict, not the candidate;
                with channel.py (its line to the service) and remote.py (what tests see of functions and commands)
broker.py       in the service: carries what the tests ask to the candidate, and the answers back
hosted.py       the candidate's processes, in other sandboxes, which never hear of a verdict: as an application
                (candidate.py, asgi_host.py), as functions and objects (objects.py, object_host.py), as command lines
                (commands.py)
values.py       how values travel, on both sides
"""
