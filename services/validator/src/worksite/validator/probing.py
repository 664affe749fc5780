"""What would confine candidates here, really tried: `python -m worksite.validator.probing` prints one JSON object.

It reads the validator's settings and does what the validator does at its start, so its answer is the one that counts.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import shutil
import sys
from dataclasses import asdict, dataclass, replace

from worksite.common import settings as settings_module
from worksite.common.settings import SettingsError
from worksite.validator.sandbox import SandboxSettings, SandboxUnavailable, open_sandbox
from worksite.validator.settings import ValidatorSettings

_OTHER_UIDS = 1000
"""The sweep after a run ends every process of its uid, so a probe beside a working validator takes others."""
_LANDLOCK_CREATE_RULESET, _LANDLOCK_VERSION = 444, 1


@dataclass(frozen=True)
class Findings:
    """`level` is what the validator would use, None when it would refuse to start for the reason `problem`.

    `stronger`: why there is no `namespaces` level, where there is none. `landlock_abi`: 0 without Landlock.
    """

    mode: str
    level: str | None
    layers: tuple[str, ...]
    problem: str | None
    stronger: str | None
    landlock_abi: int
    bubblewrap: str | None


async def probe_machine(settings: SandboxSettings) -> Findings:
    """Start programs that try to break out, at the level that the settings ask for."""
    settings = replace(settings, uid=settings.uid + _OTHER_UIDS)
    level, layers, problem, stronger = None, (), None, None
    try:
        isolation = (await open_sandbox(settings)).isolation
    except SandboxUnavailable as error:
        problem = str(error)
    else:
        level, layers = isolation.level, isolation.layers
        if level == "jail":
            stronger = await _refusal(replace(settings, mode="namespaces"))
    return Findings(settings.mode, level, layers, problem, stronger, _landlock_abi(), shutil.which("bwrap"))


async def _refusal(settings: SandboxSettings) -> str | None:
    try:
        await open_sandbox(settings)
    except SandboxUnavailable as error:
        return str(error)
    return None


def _landlock_abi() -> int:
    return max(0, ctypes.CDLL(None).syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION))


def main() -> None:
    """Entry point; exits with 2 and one line for settings that are wrong."""
    try:
        settings = settings_module.load(ValidatorSettings)
    except SettingsError as error:
        print(f"validator: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(asdict(asyncio.run(probe_machine(settings.sandbox_settings())))))


if __name__ == "__main__":
    main()
