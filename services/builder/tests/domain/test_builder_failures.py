"""What git says about a remote, and what that means; the texts are git's and curl's own."""

from __future__ import annotations

import pytest
from worksite.builder.domain.failures import classify


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", "access_denied"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", "access_denied"),
        ("fatal: Authentication failed for 'https://x/'", "access_denied"),
        ("remote: Repository not found.; fatal: repository 'https://x/' not found", "repository_not_found"),
        ("fatal: '/srv/x' does not appear to be a git repository", "repository_not_found"),
        ("fatal: https://x/info/refs not valid: is this a git repository?", "repository_not_found"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "repository_unreachable"),
        ("fatal: unable to access 'http://x/': Failed to connect to x port 9: Couldn't connect to server",
         "repository_unreachable"),
        ("fatal: unable to access 'https://x/': server certificate verification failed.", "repository_unreachable"),
        ("error: object 1f: hasDotgit: contains '.git'; fatal: fsck error in packed object", "unsafe_repository"),
        ("fatal: transport 'file' not allowed", "url_refused"),
        ("fatal: couldn't find remote ref refs/heads/x", "unknown_ref"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 301", "url_refused"),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 418", "repository_unreadable"),
        ("fatal: protocol error: bad line length character: <!do", "repository_unreadable"),
    ],
)  # fmt: skip
def test_what_only_the_client_can_mend_is_refused(said: str, code: str) -> None:
    assert classify(said).code == code


@pytest.mark.parametrize(
    "said",
    [
        "fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection timed out",
        "fatal: unable to access 'https://x/': The requested URL returned error: 502",
        "fatal: unable to access 'https://x/': The requested URL returned error: 429",
        "error: RPC failed; curl 56 Recv failure: Connection reset by peer",
        "fetch-pack: unexpected disconnect while reading sideband packet; fatal: early EOF",
        "fatal: unable to access 'https://x/': Operation too slow. Less than 1000 bytes/sec transferred",
        "fatal: the remote end hung up unexpectedly",
        "fatal: write error: No space left on device; fatal: index-pack failed",
        "fatal: Out of memory, malloc failed; fatal: protocol error",
        "error: index-pack died of signal 9; fatal: early EOF",
        "git fetch: exit status -9",
    ],
)
def test_what_may_pass_by_itself_is_tried_again(said: str) -> None:
    assert classify(said).code is None


def test_what_nobody_foresaw_is_told_and_not_counted_as_a_fault_of_ours() -> None:
    """The remote chooses what git complains about."""
    assert classify("fatal: bad object HEAD").code == "repository_unreadable"
