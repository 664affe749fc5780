"""What the validator, which runs code that nobody trusts, cannot reach; and what of the stack can be reached at all."""

from __future__ import annotations

import json
from pathlib import Path

from engine import Project, docker, say

ATTEMPT = Path(__file__).with_name("reach.py")
OUTSIDE = ("deb.debian.org", "pypi.org", "deb.debian.org:80", "pypi.org:443", "1.1.1.1:53", "8.8.8.8:53")
"""Names to resolve, and addresses to connect to, of which the machine that the stack runs on may reach some."""


def check(project: Project) -> None:
    """Raises AssertionError."""
    published = {name: ports for name in project.services() if (ports := project.published(name))}
    assert set(published) == {"gateway"}, published
    say(f"published: {published['gateway']}, the gateway's, and no other port")
    assert networks_that_lead_out(project, "validator") == []
    tried = (*OUTSIDE, *(f"{server}:53" for server in resolvers()))
    assert reached(project, "validator", "nats", "nats:4222") == ["nats", "nats:4222"], "attempts are in vain"
    assert reached(project, "validator", *tried) == []
    control = reached(project, "builder", *tried)
    say(f"of {', '.join(tried)} the validator reaches none, the builder {', '.join(control) or 'none either'}")


def resolvers() -> list[str]:
    """Those that this machine asks."""
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    return [line[1] for line in words if line[:1] == ["nameserver"] and ":" not in line[1]]


def networks_that_lead_out(project: Project, service: str) -> list[str]:
    """Of a container; the engine forwards nothing from an internal network to anywhere else."""
    joined = project.container(service)["NetworkSettings"]["Networks"]
    return [name for name in joined if docker("network", "inspect", "--format", "{{.Internal}}", name) != "true"]


def reached(project: Project, service: str, *tried: str) -> list[str]:
    """Which of these a process of its container can connect to (host:port) or resolve (a name)."""
    return json.loads(project.run_in(service, "python", "-c", ATTEMPT.read_text(), *tried))
