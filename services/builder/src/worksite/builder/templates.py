"""Blueprints: the files that a Spec pinned, rendered into a folder."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from worksite.builder import process
from worksite.builder.domain.parameters import complete
from worksite.builder.domain.redaction import presentable
from worksite.builder.render import REFUSED
from worksite.common import blueprints
from worksite.common.errors import StepRefused
from worksite.common.messages import BlueprintChoice

RENDER_SECONDS = 120.0
_PROGRAM = Path(__file__).with_name("render.py")
_ENVIRONMENT = {
    "HOME": "/dev/null",
    "PATH": "/dev/null",  # without git, Copier takes the template for what it is: a folder
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}


async def render(choice: BlueprintChoice, blueprints_dir: Path, workplace: Path, destination: Path) -> None:
    """Render the chosen blueprint into `destination`, a folder in `workplace`.

    Copier gets both paths relative to the workplace: its answers file must be the same wherever it was rendered.
    Raises StepRefused when the blueprint is not the one that was chosen, or cannot be rendered.
    """
    template = workplace / choice.name
    await asyncio.to_thread(take_copy, choice, blueprints_dir, template)
    manifest = await asyncio.to_thread(blueprints.load, template)
    order = {
        "template": choice.name,
        "destination": destination.relative_to(workplace).as_posix(),
        "parameters": complete(manifest.parameters, choice.parameters),
    }
    finished = await process.run(
        [sys.executable, "-P", "-s", _PROGRAM],
        env=_ENVIRONMENT,
        cwd=workplace,
        stdin=json.dumps(order).encode(),
        timeout_seconds=RENDER_SECONDS,
    )
    if finished.returncode == REFUSED:
        raise StepRefused("blueprint_broken", f"{choice.name}: {presentable(finished.errors)}")
    if finished.returncode != 0:
        raise RuntimeError(f"rendering {choice.name} failed: {presentable(finished.errors)}")


def take_copy(choice: BlueprintChoice, blueprints_dir: Path, copy: Path) -> None:
    """Copy exactly what the digest covers, content only, and check the copy: what is rendered is what was chosen."""
    folder = blueprints.catalogue(blueprints_dir).get(choice.name)
    if folder is None:
        raise StepRefused("blueprint_missing", f"this builder has no blueprint {choice.name!r}")
    for path in blueprints.files(folder):
        target = copy / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    if blueprints.digest(copy) != choice.digest:
        raise StepRefused(
            "blueprint_changed",
            f"the blueprint {choice.name} is not the one that the design chose: submit the task again",
        )
