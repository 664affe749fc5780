"""What set-up downloads and what the repository brings: wheels for candidates, blueprints, the embedding model."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

from worksite.cli.doctor.finding import Finding
from worksite.cli.stack.state import State

_FILL = "'make run' fills it"
_LEAST_MODEL_BYTES = 1 << 20
"""Less is a pointer to a file that was not fetched, or a broken copy."""


def checks(state: State, root: Path) -> Iterator[Finding]:
    """Everything that must lie on this machine before the first task."""
    yield _blueprints(root)
    yield _wheelhouse(state.wheelhouse, root)
    yield _model()


def absent(pins: set[tuple[str, str]], wheels: set[str]) -> list[str]:
    """Pinned packages of which there is no wheel; names compare as PEP 503 has it."""
    there = {(_normal(name), version) for name, version, *_ in (wheel.split("-") for wheel in wheels)}
    return sorted(f"{name}=={version}" for name, version in pins if (_normal(name), version) not in there)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _blueprints(root: Path) -> Finding:
    names = sorted(path.parent.name for path in root.glob("blueprints/*/blueprint.toml"))
    if not names or not (root / "policies").is_dir():
        remedy = "run in the repository, or pass --root"
        return Finding("repository", "missing", f"{root} has no blueprints/ or no policies/", remedy)
    return Finding("repository", "ok", f"blueprints: {', '.join(names)}")


def _wheelhouse(wheelhouse: Path, root: Path) -> Finding:
    locks = [path.read_text() for path in root.glob("blueprints/*/template/requirements.lock")]
    pins = {(name, version) for text in locks for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.M)}
    wheels = {path.name for path in wheelhouse.glob("*.whl")}
    if lacking := absent(pins, wheels):
        some = ", ".join(lacking[:3]) + (" …" if len(lacking) > 3 else "")
        return Finding("wheelhouse", "missing", f"{len(lacking)} of {len(pins)} packages are not there ({some})", _FILL)
    return Finding("wheelhouse", "ok", f"{len(wheels)} wheels, all that the blueprints pin")


def _model() -> Finding:
    spec = importlib.util.find_spec("worksite.rag")
    if spec is None or spec.origin is None:
        return Finding("embedder", "missing", "the rag service is not installed", "'make run' installs it")
    models = sorted(Path(spec.origin).parent.glob("models/embedder*/*.onnx"))
    if len(models) != 1 or models[0].stat().st_size < _LEAST_MODEL_BYTES:
        remedy = "fetch the repository again, large files included"
        return Finding("embedder", "missing", "the model that comes with rag is absent or cut short", remedy)
    return Finding("embedder", "ok", models[0].parent.name)
