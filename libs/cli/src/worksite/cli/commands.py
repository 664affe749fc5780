"""What the commands about a stack and its bus do; `main.py` only parses."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from worksite.cli.client.access import Access
from worksite.cli.client.refusals import patiently
from worksite.cli.session import Screen, StackOptions
from worksite.cli.stack.embedded import Stack, running_stack
from worksite.cli.stack.lines import as_it_is, readable
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import PROVISIONER, State
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.secrets.source import reader
from worksite.common.settings import ServiceSettings, load


async def up(state_dir: Path, options: StackOptions, screen: Screen, *, as_json: bool) -> None:
    """Run the stack in the foreground until it is cancelled (Ctrl-C, SIGTERM); `as_json`: logs as they are."""
    state = State(state_dir)
    with StackLog(state.log, echo=as_it_is if as_json else readable) as log:
        async with running_stack(state, options.root, options.ports, log.write) as stack:
            _announce(stack, screen.results)
            try:
                await stack.supervisor.failed
            finally:
                screen.say("stopping: finishing or handing back what is running")


async def token(state_dir: Path, tenant: str, role: str, screen: Screen) -> str:
    """A bearer token."""
    access = Access.find(state_dir)
    return await patiently(lambda: access.token(tenant, role), screen.say)


def provisioner() -> BusSettings:
    """As the environment says, with the password from its source of secrets, Vault among them. Raises SettingsError,
    SecretsUnavailable."""
    return reader(ServiceSettings, load(ServiceSettings), PROVISIONER)().bus(PROVISIONER)


async def create_streams(settings: BusSettings, disk_bytes: int, replicas: int) -> None:
    """Provision the bus."""
    bus = await Bus.connect(settings)
    try:
        await provision(bus, disk_bytes, replicas)
    finally:
        await bus.close()


def _announce(stack: Stack, console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("gateway", stack.gateway_url)
    table.add_row("admin", f"{stack.admin_url}/readyz")
    table.add_row("NATS", f"{stack.nats_url} (monitoring: {stack.monitor_url})")
    console.print("Worksite is ready. Ctrl-C stops it.", style="bold")
    console.print(table)
