"""What would confine candidates: the validator's own probe, in a process of its own, because it alone decides."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worksite.cli.doctor.child import ask
from worksite.cli.doctor.finding import Finding
from worksite.cli.stack.state import State

_CHECK = "isolation"
_CONTAINER_ADVICE = "or run Worksite in a virtual machine with such a kernel"


async def check(state: State, environ: Mapping[str, str]) -> Finding:
    """Start the probe where the validator would work, or in a directory that is removed again."""
    if (state.root / "lock").exists():
        return judged(await _probed(state.root / "validator", environ))
    with tempfile.TemporaryDirectory(prefix="worksite-doctor-") as directory:
        os.chmod(directory, 0o711)  # noqa: PTH101, S103 - the sandbox user must be able to pass through
        return judged(await _probed(Path(directory) / "validator", environ))


def judged(probe: dict[str, Any]) -> Finding:
    """`probe`: what `worksite.validator.probing` printed, or `{"problem": …}`."""
    level, abi = probe.get("level"), probe.get("landlock_abi")
    if level is None:
        return Finding(_CHECK, "missing", *_refusal(abi, str(probe["problem"])))
    layers = f"level {level} ({', '.join(probe['layers'])}), Landlock ABI {abi}"
    if level == "none":
        return Finding(
            _CHECK, "warning", "SANDBOX=none confines nothing", "unset SANDBOX unless you trust every request"
        )
    if level == "jail" and probe["mode"] == "auto":
        return Finding(_CHECK, "warning", f"{layers}; that is the floor", _to_namespaces(probe))
    return Finding(_CHECK, "ok", layers)


def _refusal(abi: int | None, problem: str) -> tuple[str, str]:
    """The finding and the remedy where the validator would not start."""
    if abi == 0:
        remedy = f"boot with landlock in lsm= on the kernel command line (Linux 6.2 or newer), {_CONTAINER_ADVICE}"
        return "this kernel offers no Landlock, so the validator will not start", remedy
    return "the validator will not start", problem


def _to_namespaces(probe: dict[str, Any]) -> str:
    if probe["bubblewrap"] is None:
        return "for namespaces on top install bubblewrap (Debian: apt install bubblewrap)"
    return f"namespaces do not work here (sysctl kernel.unprivileged_userns_clone, AppArmor): {probe['stronger']}"


async def _probed(state_dir: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    passed_on = {name: environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "SANDBOX") if name in environ}
    answer = await ask("-m", "worksite.validator.probing", env=passed_on | {"STATE_DIR": str(state_dir)})
    return {"problem": answer.complaint} if answer.complaint else dict(json.loads(answer.output))
