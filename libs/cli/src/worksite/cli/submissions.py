"""From the options of `run` and `submit` to what is submitted."""

from __future__ import annotations

from pathlib import Path

import typer
from worksite.cli.commands_tasks import Delivery, Submission


def submission_of(
    request: str,
    route: str | None,
    name: str | None,
    git_url: str | None,
    repo: Path | None,
    ref: str | None,
    approve_design: bool,
    delivery: Delivery | None,
) -> Submission:
    """Raises typer.BadParameter where it is not clear what to work on."""
    if sum(option is not None for option in (name, git_url, repo)) > 1:
        raise typer.BadParameter("give --name for a new project, --git-url or --repo for an existing one: one of them")
    if ref is not None and git_url is None and repo is None:
        raise typer.BadParameter("--ref needs --git-url or --repo")
    gates = {"design": approve_design, "deliver": delivery is not None and delivery.approved_first}
    approve = tuple(gate for gate, shut in gates.items() if shut)
    return Submission(request, route, name, git_url, ref, repo, approve=approve, delivery=delivery)


def delivery_of(push: bool, push_to: str | None, merge_request: bool, approve: bool, *, local: bool) -> Delivery | None:
    """Raises typer.BadParameter where it is not clear what to push, or where to."""
    if not (push or push_to or merge_request):
        if approve:
            raise typer.BadParameter("--approve-delivery needs --push, --push-to or --merge-request")
        return None
    if local and push_to is None:
        raise typer.BadParameter("a project without --git-url is pushed nowhere by itself: say where with --push-to")
    return Delivery(push_to, merge_request, approve)
