"""The arguments and options that several commands share."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from worksite.cli import places
from worksite.cli.knowledge.moments import moment
from worksite.common.messages import Route
from worksite.common.messages.search import LANGUAGES, MAX_QUERY_LENGTH


def _something(text: str) -> str:
    """Refused before a stack is started for nothing."""
    if not text.strip():
        raise typer.BadParameter("it is empty")
    return text


def _moment(text: str) -> datetime:
    try:
        return moment(text, datetime.now().astimezone())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _known(language: str | None) -> str | None:
    if language is not None and language not in LANGUAGES:
        raise typer.BadParameter(f"one of {', '.join(LANGUAGES)}")
    return language


def _spoken(url: str | None) -> str | None:
    if url is not None and (url.startswith(("ssh://", "git+ssh://")) or _SCP_LIKE.match(url)):
        raise typer.BadParameter("SSH is not spoken here: give the repository's address with https://")
    return url


_SCP_LIKE = re.compile(r"[^/:]+@[^/:]+:(?!//)")
"""`git@host:team/shop.git`"""
StateDir = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="WORKSITE_STATE",
        callback=lambda given: given or places.state(),
        help="where the stack on this machine keeps its data; default: .worksite in Worksite's checkout",
    ),
]
Root = Annotated[
    Path,
    typer.Option(
        "--root",
        envvar="WORKSITE_ROOT",
        callback=lambda given: given or places.home(),
        help="Worksite's checkout, with blueprints/ and policies/; default: this folder where it is one, else the one "
        "that the command was installed from",
    ),
]
Tenant = Annotated[str, typer.Option("--tenant", help="in whose name")]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        callback=lambda given: given or places.results(),
        help="where results are written; default: out in Worksite's checkout",
    ),
]
Request = Annotated[
    str, typer.Argument(callback=_something, help='what you want, e.g. "Create auth system"', show_default=False)
]
Answer = Annotated[str, typer.Argument(callback=_something, help="what the task needs to know", show_default=False)]
RouteName = Annotated[Route | None, typer.Option("--route", help="default: what the request reads like")]
GitUrl = Annotated[
    str | None, typer.Option("--git-url", callback=_spoken, help="work on this repository, cloned from its URL")
]
Repo = Annotated[Path | None, typer.Option("--repo", help="work on this local repository, as it is committed")]
Ref = Annotated[str | None, typer.Option("--ref", help="its branch, tag or commit")]
Name = Annotated[str | None, typer.Option("--name", help="name of the new project")]
ApproveDesign = Annotated[
    bool, typer.Option("--approve-design", help="wait for 'worksite approve' before anything is built")
]
Push = Annotated[bool, typer.Option("--push", help="push the branch to where the project came from once it has passed")]
PushTo = Annotated[
    str | None,
    typer.Option(
        "--push-to",
        callback=_spoken,
        help="push it to this URL instead: an empty repository, or any that takes a new branch",
    ),
]
MergeRequest = Annotated[bool, typer.Option("--merge-request", help="push it, and open a merge request")]
ApproveDelivery = Annotated[
    bool, typer.Option("--approve-delivery", help="wait for 'worksite approve' before anything is pushed")
]
Task = Annotated[
    str,
    typer.Argument(
        help="the task's id, its first digits (at least 8, and as many as tell it from others), or 'last'",
        show_default=False,
    ),
]
_LETTER = "the letter's number in 'worksite dlq ls'"
Letter = Annotated[int, typer.Argument(min=1, help=_LETTER, show_default=False)]
Letters = Annotated[list[int], typer.Argument(min=1, help=_LETTER, show_default=False)]
GatewayPort = Annotated[
    int, typer.Option("--port", envvar="DASHBOARD_PORT", help="the gateway's port; 0: any free one")
]
AdminPort = Annotated[
    int, typer.Option("--admin-port", envvar="ADMIN_PORT", help="admin's operations port; 0: any free one")
]

Query = Annotated[
    str,
    typer.Argument(
        callback=_something, help=f"what to look for, at most {MAX_QUERY_LENGTH} characters", show_default=False
    ),
]
PathPrefix = Annotated[str | None, typer.Option("--path", help="only what is named so from its beginning")]
Kind = Annotated[
    Literal["document", "blueprint"] | None, typer.Option("--kind", help="only documents, or only blueprints")
]
Language = Annotated[
    str | None, typer.Option("--language", callback=_known, help=f"only sources in {', '.join(LANGUAGES)}")
]
_WHEN = "changed or sent at this time or later: 2026-11-01, 2026-11-01T12:00, or 30m, 12h, 7d, 2w ago"
Since = Annotated[datetime | None, typer.Option("--since", parser=_moment, metavar="WHEN", help=f"only {_WHEN}")]
Before = Annotated[
    datetime | None, typer.Option("--before", parser=_moment, metavar="WHEN", help="only before such a time")
]

_PLACE: Any = None  # which the option's callback turns into a path
STATE = ROOT = OUT = _PLACE
