"""What git's complaints about a remote mean for the client."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteProblem:
    """`code` None: try again later."""

    code: str | None
    advice: str


_PASSING = RemoteProblem(None, "the remote does not answer")
_ACCESS = RemoteProblem(
    "access_denied", "it is private or does not exist, or what GIT_CREDENTIALS has for this tenant does not open it"
)
_ABSENT = RemoteProblem("repository_not_found", "there is no such repository")
_UNREACHABLE = RemoteProblem("repository_unreachable", "the repository's host cannot be reached")
_UNSAFE = RemoteProblem("unsafe_repository", "git refuses objects of this repository")
_REFUSED = RemoteProblem("url_refused", "this kind of URL may not be cloned")
_TAKEN = RemoteProblem("branch_taken", "the remote has a branch of this name, with other work in it")
_FORBIDDEN = RemoteProblem("push_refused", "a rule of the remote forbids this branch: it may be protected")
_GONE = RemoteProblem("unknown_ref", "the ref is gone")
_MOVED = RemoteProblem(
    "url_refused",
    "the URL redirects to another one, which is not followed: give that one (often, .git is missing at the end)",
)
OURS = RemoteProblem(None, "the builder has no room for it just now")
_UNREADABLE = RemoteProblem("repository_unreadable", "git cannot read a repository at this URL")

# The first line that matches decides: what passes by itself stands before what looks final but may be its echo.
_SIGNS: tuple[tuple[str, RemoteProblem], ...] = (
    ("no space left on device", OURS),
    ("out of memory", OURS),
    ("died of signal", OURS),
    ("exit status -", OURS),
    ("timed out", _PASSING),
    ("timeout was reached", _PASSING),
    ("operation too slow", _PASSING),
    ("connection reset", _PASSING),
    ("early eof", _PASSING),
    ("unexpected disconnect", _PASSING),
    ("returned error: 429", _PASSING),
    ("returned error: 5", _PASSING),
    ("returned error: 3", _MOVED),
    ("stale info", _TAKEN),
    ("remote rejected", _FORBIDDEN),
    ("could not read username", _ACCESS),
    ("could not read password", _ACCESS),
    ("authentication failed", _ACCESS),
    ("returned error: 401", _ACCESS),
    ("returned error: 403", _ACCESS),
    ("terminal prompts disabled", _ACCESS),
    ("fsck error", _UNSAFE),
    ("error in object", _UNSAFE),
    ("fsckobjects", _UNSAFE),
    ("not allowed", _REFUSED),
    ("couldn't find remote ref", _GONE),
    ("could not resolve host", _UNREACHABLE),
    ("couldn't connect", _UNREACHABLE),
    ("failed to connect", _UNREACHABLE),
    ("unable to connect", _UNREACHABLE),
    ("unable to look up", _UNREACHABLE),
    ("connection refused", _UNREACHABLE),
    ("certificate", _UNREACHABLE),
    ("not found", _ABSENT),
    ("does not appear to be a git repository", _ABSENT),
    ("not valid: is this a git repository", _ABSENT),
    ("the remote end hung up", _PASSING),
    ("rpc failed", _PASSING),
)


def classify(said: str) -> RemoteProblem:
    """The problem behind git's words (in the C locale). What nobody foresaw is the remote's: it chooses the words."""
    lowered = said.lower()
    return next((problem for sign, problem in _SIGNS if sign in lowered), _UNREADABLE)
