"""Settings in the environment and in a `.env` file: each service says itself whether it would take them."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from worksite.cli.doctor.child import ask
from worksite.cli.doctor.finding import Finding
from worksite.cli.stack.embedded import service_environment
from worksite.cli.stack.state import State, signing_key
from worksite.common.subjects import SERVICES

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_LOAD = "set -a; . ./.env; set +a"
_SECRET = re.compile("SECRET|PASSWORD|TOKEN|CREDENTIALS|_KEY$")
_LOADING = """
from worksite.common import settings
from worksite.common.llm.settings import ModelSettings
from worksite.common.llm.wiring import prices_of
from worksite.{0}.settings import {1}Settings
given = settings.load({1}Settings)
if isinstance(given, ModelSettings):
    prices_of(given)
"""
_ERROR = re.compile(r"^worksite(\.\w+)+: ")


async def check(state: State, root: Path, environ: Mapping[str, str]) -> Finding:
    """Whether each service would start with what the stack would hand on to it."""
    said = await asyncio.gather(*(_refusal(service, state, root, environ) for service in SERVICES))
    refusing: dict[str, list[str]] = {}
    for service, text in zip(SERVICES, said, strict=True):
        if text:
            refusing.setdefault(text, []).append(service)
    if refusing:
        told = "; ".join(f"{', '.join(services)}: {text}" for text, services in refusing.items())
        return Finding("settings", "missing", told, "correct them (see .env.example)")
    return Finding("settings", "ok", "every service takes the environment as it is")


def env_file(root: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Findings about `.env` where there is one. Nothing reads it by itself."""
    file = root / ".env"
    if not file.exists():
        return
    try:
        given, mode = assignments(file.read_text()), stat.S_IMODE(file.stat().st_mode)
        known = assignments(re.sub(r"^#(?=[A-Z])", "", (root / ".env.example").read_text(), flags=re.M))
    except (OSError, UnicodeDecodeError) as error:
        yield Finding(".env", "warning", f"cannot be read: {error}", "correct its owner, mode or encoding")
        return
    if unknown := sorted(given.keys() - known.keys()):
        yield Finding(".env", "warning", f"unknown: {', '.join(unknown)}", "see .env.example for the names")
    if mode & 0o077 and any(_SECRET.search(name) for name in given):
        yield Finding(".env", "warning", "other users may read the secrets in it", "chmod 600 .env")
    if unused := sorted(name for name in given.keys() & known.keys() if environ.get(name) != given[name]):
        yield Finding(".env", "warning", f"not in effect: {', '.join(unused)}", f"nothing reads it by itself; {_LOAD}")
    if not unknown and not unused:
        yield Finding(".env", "ok", "in effect")


def assignments(text: str) -> dict[str, str]:
    """Names and values of a shell-like file; quotes around a value are taken off."""
    found = (match for line in text.splitlines() if (match := _ASSIGNMENT.match(line)))
    return {match[1]: match[2].strip().strip("'\"") for match in found}


async def _refusal(service: str, state: State, root: Path, environ: Mapping[str, str]) -> str | None:
    """What the service says against its settings."""
    given = service_environment(service, state, root, "nats://127.0.0.1:4222", 0, environ)
    del given["SECRETS_DIR"]  # made at the first start
    given["HOME"] = os.devnull  # ONNX Runtime would make a directory in it
    if service == "gateway":
        given["ISSUER_KEY"] = signing_key()  # likewise
    answer = await ask("-c", _LOADING.format(service, service.capitalize()), env=given)
    return answer.complaint and _ERROR.sub("", answer.complaint)
