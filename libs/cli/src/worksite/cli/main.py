"""The `worksite` command line."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from worksite.cli import (
    commands,
    commands_knowledge,
    commands_repository,
    commands_tasks,
)
from worksite.cli.client.access import DEFAULT_ROLE, DEFAULT_TENANT
from worksite.cli.commands_knowledge import Ingestion
from worksite.cli.commands_repository import Application, Review
from worksite.cli.commands_tasks import Word
from worksite.cli.doctor import finding
from worksite.cli.doctor.checkup import examine
from worksite.cli.groups.dead_letters import dlq
from worksite.cli.groups.knowledge import knowledge
from worksite.cli.groups.rag import rag
from worksite.cli.groups.route import commands as routing
from worksite.cli.groups.stats import stats
from worksite.cli.groups.worktrees import worktrees
from worksite.cli.invocation import checked, end, finished, session_of, stack_for, told
from worksite.cli.options import (
    OUT,
    ROOT,
    STATE,
    AdminPort,
    Answer,
    ApproveDelivery,
    ApproveDesign,
    Before,
    GatewayPort,
    GitUrl,
    Kind,
    Language,
    MergeRequest,
    Name,
    Out,
    PathPrefix,
    Push,
    PushTo,
    Query,
    Ref,
    Repo,
    Request,
    Root,
    RouteName,
    Since,
    StateDir,
    Task,
    Tenant,
)
from worksite.cli.session import Screen, StackOptions
from worksite.cli.stack.embedded import Ports
from worksite.cli.stack.state import State
from worksite.cli.submissions import delivery_of, submission_of
from worksite.common.messages import Route, SearchMode, TaskStatus
from worksite.common.settings import SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(knowledge, name="knowledge")
app.add_typer(rag, name="rag")
app.add_typer(dlq, name="dlq")
app.add_typer(routing, name="route")
app.add_typer(worktrees, name="worktrees")
app.command()(stats)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"worksite {importlib.metadata.version('worksite-cli')}")
        raise typer.Exit


@app.callback()
def worksite(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and end")
    ] = False,
) -> None:
    """Worksite turns a software request into a validated git branch."""


@app.command()
def up(
    as_json: Annotated[bool, typer.Option("--json", help="log lines as JSON, as they are without a terminal")] = False,
    state: StateDir = STATE,
    root: Root = ROOT,
    port: GatewayPort = 8000,
    admin_port: AdminPort = 8080,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    options = StackOptions(checked(root), Ports(port, admin_port))
    finished(commands.up(state.absolute(), options, Screen(), as_json=as_json or not sys.stdout.isatty()))


@app.command()
def run(
    request: Request,
    route: RouteName = None,
    name: Name = None,
    git_url: GitUrl = None,
    repo: Repo = None,
    ref: Ref = None,
    approve_design: ApproveDesign = False,
    push: Push = False,
    push_to: PushTo = None,
    merge_request: MergeRequest = False,
    approve_delivery: ApproveDelivery = False,
    state: StateDir = STATE,
    root: Root = ROOT,
    out: Out = OUT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Submit a request, follow it, write out/<task>/; starts and stops a stack when none is running.

    Ends with one line PASS|FAIL|NEEDS_INPUT|ENVIRONMENT and the exit code 0|1|3|4.
    """
    session = session_of(state, tenant)
    stack = stack_for(session, root, port, admin_port)
    delivery = delivery_of(push, push_to, merge_request, approve_delivery, local=git_url is None)
    submission = submission_of(request, route, name, git_url, repo, ref, approve_design, delivery)
    raise typer.Exit(finished(commands_tasks.run(submission, session, stack, out)))


@app.command()
def submit(
    request: Request,
    route: RouteName = None,
    name: Name = None,
    git_url: GitUrl = None,
    repo: Repo = None,
    ref: Ref = None,
    approve_design: ApproveDesign = False,
    push: Push = False,
    push_to: PushTo = None,
    merge_request: MergeRequest = False,
    approve_delivery: ApproveDelivery = False,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="repeat safely with the same key")
    ] = None,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Submit a request to the running stack and print the task's id."""
    delivery = delivery_of(push, push_to, merge_request, approve_delivery, local=git_url is None)
    submission = submission_of(request, route, name, git_url, repo, ref, approve_design, delivery)
    print(finished(commands_tasks.submit(submission, session_of(state, tenant), idempotency_key)))


@app.command()
def watch(task: Task, state: StateDir = STATE, out: Out = OUT, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Follow a task to its end and fetch what it made; exit code as for run."""
    raise typer.Exit(finished(commands_tasks.watch(task, session_of(state, tenant), out)))


@app.command()
def answer(
    task: Task,
    text: Answer,
    route: RouteName = None,
    state: StateDir = STATE,
    root: Root = ROOT,
    out: Out = OUT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Answer a task that ended NEEDS_INPUT, and follow it; exit code as for run."""
    session = session_of(state, tenant)
    stack = stack_for(session, root, port, admin_port)
    raise typer.Exit(finished(commands_tasks.answer(task, text, route, session, stack, out)))


@app.command()
def approve(
    task: Task,
    reject: Annotated[bool, typer.Option("--reject", help="end the task instead")] = False,
    comment: Annotated[str, typer.Option("--comment", help="why, for the record")] = "",
    digest: Annotated[
        str | None, typer.Option("--digest", help="of what you looked at; needed to approve a delivery")
    ] = None,
    state: StateDir = STATE,
    root: Root = ROOT,
    out: Out = OUT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Approve the design or the delivery that a task waits with, and follow the task; exit code as for run.

    Without --digest a delivery is only shown: its remote, branch, commit and merge request.
    """
    session = session_of(state, tenant)
    word = Word(not reject, comment, digest)
    stack = stack_for(session, root, port, admin_port)
    raise typer.Exit(finished(commands_tasks.approve(task, word, session, stack, out)))


@app.command()
def tasks(
    status: Annotated[TaskStatus | None, typer.Option("--status", help="only these")] = None,
    route: Annotated[Route | None, typer.Option("--route", help="only these")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="at most so many")] = 20,
    everything: Annotated[bool, typer.Option("--all", help="no limit")] = False,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """List tasks, newest first."""
    finished(commands_tasks.show(status, route, None if everything else limit, session_of(state, tenant)))


@app.command()
def cancel(task: Task, state: StateDir = STATE, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Ask a task to end."""
    finished(commands_tasks.cancel(task, session_of(state, tenant)))


@app.command()
def apply(
    task: Task,
    path: Annotated[Path, typer.Argument(help="your repository, or a new folder")] = Path(),
    branch: Annotated[str | None, typer.Option("--branch", help="name of the new branch; default: the task's")] = None,
    switch: Annotated[bool, typer.Option("--switch", help="check it out, if nothing of yours can be lost")] = False,
    unproved: Annotated[bool, typer.Option("--unproved", help="also what did not end PASS")] = False,
    state: StateDir = STATE,
    root: Root = ROOT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Bring a task's branch into your repository, as a new branch; your files stay as they are."""
    session = session_of(state, tenant)
    application = Application(task, path, branch, switch, unproved)
    finished(commands_repository.apply(application, session, stack_for(session, root, port, admin_port)))


@app.command()
def review(
    path: Annotated[Path, typer.Argument(help="a local repository", show_default=False)],
    ref: Annotated[
        str | None, typer.Option("--ref", help="branch, tag or commit; default: what is checked out")
    ] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="compare with this; default: where it left the default branch")
    ] = None,
    criteria: Annotated[
        Path | None, typer.Option("--criteria", help="what must hold: YAML, JSON or lines of text")
    ] = None,
    state: StateDir = STATE,
    root: Root = ROOT,
    out: Out = OUT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Have a local repository judged, as it is committed; exit code as for run."""
    session = session_of(state, tenant)
    stack = stack_for(session, root, port, admin_port)
    raise typer.Exit(finished(commands_repository.review(Review(path, ref, base, criteria), session, stack, out)))


@app.command()
def ingest(
    paths: Annotated[
        list[Path], typer.Argument(help="files and folders of text, source code, HTML, PDF, DOCX", show_default=False)
    ],
    tag: Annotated[list[str] | None, typer.Option("--tag", help="for the documents; may be repeated")] = None,
    prune: Annotated[bool, typer.Option("--prune", help="remove what came from these folders and is gone")] = False,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Put files into the knowledge base and wait until they can be searched."""
    ingestion = Ingestion(tuple(paths), tuple(tag or ()), prune)
    end(finished(commands_knowledge.ingest(ingestion, session_of(state, tenant))))


@app.command()
def search(
    query: Query,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=100, help="how many passages")] = 5,
    mode: Annotated[SearchMode, typer.Option("--mode", help="by meaning, by words or by both")] = "hybrid",
    rerank: Annotated[bool, typer.Option("--rerank/--no-rerank", help="order the best of them more closely")] = True,
    rrf: Annotated[bool, typer.Option("--rrf", help="mode hybrid: by ranks instead of scores")] = False,
    path: PathPrefix = None,
    kind: Kind = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="only with this tag; may be repeated")] = None,
    language: Language = None,
    since: Since = None,
    before: Before = None,
    blueprints: Annotated[bool, typer.Option("--blueprints", help="search the product's blueprints as well")] = False,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Search the knowledge base."""
    times = {name: time.isoformat() for name, time in (("since", since), ("before", before)) if time}
    filters = {"path_prefix": path, "kind": kind, "tags": tag, "language": language, "blueprints": blueprints} | times
    body: dict[str, object] = {"query": query, "top_k": top_k, "mode": mode, "rerank": rerank}
    body |= {"filters": {name: value for name, value in filters.items() if value}} | ({"rrf": {}} if rrf else {})
    finished(commands_knowledge.search(body, session_of(state, tenant)))


@app.command()
def token(
    tenant: Tenant = DEFAULT_TENANT,
    role: Annotated[str, typer.Option("--role", help="viewer, developer, approver or operator")] = DEFAULT_ROLE,
    state: StateDir = STATE,
) -> None:
    """Print a bearer token for the running stack, e.g. for curl."""
    print(finished(commands.token(state.absolute(), tenant, role, Screen())))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    state: StateDir = STATE,
    root: Root = ROOT,
    port: GatewayPort = 8000,
    admin_port: AdminPort = 8080,
) -> None:
    """Say what this machine lacks to run Worksite, and how to get it; exit code 1 when something is missing."""
    work = examine(State(state.absolute()), root.absolute(), Ports(port, admin_port), os.environ)
    findings = finished(work)
    print(finding.as_json(findings) if as_json else "\n".join(finding.as_lines(findings)))
    end(finding.can_run(findings))


@app.command()
def provision(
    nats_url: Annotated[
        str, typer.Option("--nats-url", envvar="NATS_URL", help="the message bus")
    ] = "nats://127.0.0.1:4222",
    nats_user: Annotated[
        str | None, typer.Option("--nats-user", envvar="NATS_USER", help="a user that may create streams")
    ] = None,
    disk_gib: Annotated[float, typer.Option("--disk-gib", min=0.1, help="disk that JetStream may use")] = 10,
    replicas: Annotated[
        int, typer.Option("--replicas", envvar="STREAM_REPLICAS", min=1, max=5, help="copies of each stream")
    ] = 1,
) -> None:
    """Create or update the streams, buckets and consumers; the password comes from where services have theirs."""
    os.environ |= {"NATS_URL": nats_url, "NATS_USER": nats_user or ""}  # the settings are checked together
    try:
        with told():
            bus = commands.provisioner()
    except SettingsError as error:
        raise typer.BadParameter(str(error)) from None
    finished(commands.create_streams(bus, int(disk_gib * (1 << 30)), replicas))
    print("provisioned")


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
