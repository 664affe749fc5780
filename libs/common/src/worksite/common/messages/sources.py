"""Where the project of a task comes from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import Model


def _ref_format(name: str) -> str:
    """What git-check-ref-format(1) asks beyond the characters, which the patterns see to."""
    parts = name.split("/")
    if ".." in name or name.endswith(".") or any(p.startswith(".") or p.endswith(".lock") or not p for p in parts):
        raise ValueError(
            "not a name that git takes: no '..', no '//', no part that begins with '.' or ends with '.lock'"
        )
    return name


_SCHEMES = "https://, http://, git:// or file://"
_SSH = re.compile(r"(git\+)?ssh://|[^/:@]+@[^/:@]+:(?!//)")
"""`git@host:team/shop.git` is SSH too. No part holds an `@`: else a megabyte of them would be looked at for an hour."""


def _in_words(url: object) -> object:
    """Says of what the pattern refuses why, to people, and repeats nothing of it: there may be a password in it."""
    if isinstance(url, str):
        if _SSH.match(url):
            raise ValueError(f"SSH is not spoken here: give the repository's address with {_SCHEMES}")
        if not re.match("(https?|git|file)://", url):
            raise ValueError(f"no address of a repository: it has to begin with {_SCHEMES}")
        if "?" in url or "#" in url:
            raise ValueError("holds a query or a fragment: leave out what follows ? or #")
    return url


def _clone_url(url: str) -> str:
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0]
    if "@" in authority:
        raise ValueError("holds credentials: they never belong in a request; give the URL without user and password")
    if not authority and scheme != "file":
        raise ValueError("names no host")
    return url


ProjectName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"), AfterValidator(_ref_format)
]
"""Becomes part of refs and paths, so it is held to git's rule as well."""
GitUrl = Annotated[
    str,
    StringConstraints(pattern=r"^(https?|git|file)://[!$-;=@-\[\]-~]+$", max_length=1000),
    AfterValidator(_clone_url),
    BeforeValidator(_in_words),
]
"""Printable ASCII, percent-encoded where needed. No query and no fragment: git needs none, and tokens hide there.
Whether file:// and addresses of the inside are cloned is for the builder's settings to say."""
GitRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$"), AfterValidator(_ref_format)]


class NewProject(Model):
    """A new and empty repository."""

    kind: Literal["new"] = "new"
    name: ProjectName = "project"


class GitProject(Model):
    """A repository that the builder clones. Credentials never belong in the URL."""

    kind: Literal["git"] = "git"
    git_url: GitUrl
    ref: GitRef | None = Field(default=None, description="branch, tag or commit; default: the remote's default branch")


ArchiveFormat = Literal["bundle", "zip", "tar"]
"""A git bundle, with its history, or the files alone; a tar may be compressed with gzip."""


class UploadedProject(Model):
    """What a client uploaded: a git bundle, or an archive of files that becomes one commit."""

    kind: Literal["upload"] = "upload"
    archive: ArtifactRef
    format: ArchiveFormat
    name: ProjectName | None = Field(default=None, description="equal for all uploads of one project; null: unknown")
    ref: GitRef | None = Field(default=None, description="of a bundle: branch, tag or commit; default: its HEAD")


class Push(Model):
    """Where the branch of a task goes. A branch that is there at another commit is never moved."""

    url: GitUrl | None = Field(default=None, description="default: the project's git_url")
    branch: GitRef | None = Field(default=None, description="its name there; default: worksite/<task>")


class Delivery(Model):
    """What becomes of a branch that passed."""

    push: Push = Push()
    merge_request: bool = Field(default=False, description="open one, into the branch that the project came from")


ProjectSource = Annotated[NewProject | GitProject | UploadedProject, Field(discriminator="kind")]
