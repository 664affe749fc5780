"""Open the sandbox: find the strongest isolation that this machine really gives, and prove it."""

from __future__ import annotations

from worksite.validator.sandbox.sandbox import Sandbox
from worksite.validator.sandbox.settings import SandboxSettings


async def open_sandbox(settings: SandboxSettings) -> Sandbox:
    """Probe this machine and return the sandbox. Raises `SandboxUnavailable` when the floor is missing."""
    raise NotImplementedError
