"""The values that a blueprint is rendered with, and what was assumed in choosing them."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterator

from worksite.architect.domain.filling import Filling
from worksite.architect.domain.words import listed
from worksite.common.blueprints import Blueprint
from worksite.common.messages import Decision

_IMPORTED = listed(
    "annotated_types, anyio, argon2, click, docs, fastapi, h11, httpx, idna, joserfc, jwt, mypy, packaging, pluggy, "
    "pydantic, pydantic_core, pydantic_settings, pytest, ruff, sqlalchemy, src, starlette, tests, uvicorn"
)
"""Names that a package of ours would hide from the project."""


def parameters_of(blueprint: Blueprint, filling: Filling, project_name: str | None) -> dict[str, str]:
    """Every parameter: as the request fills it, as the project's name gives it, or its default."""
    defaults = {name: parameter.default for name, parameter in blueprint.parameters.items()}
    return defaults | dict(_named(blueprint, project_name)) | filling.parameters


def assumptions(filling: Filling) -> Iterator[Decision]:
    """What the request left to us to choose, so that the client sees it."""
    if filling.resource and filling.resource.place:
        yield Decision(
            title="What is kept",
            choice=f"Records of {_spoken(filling.resource.plural)}.",
            reason=f"The request says “{filling.resource.place}”.",
        )
    for field in filling.fields:
        if field.assumed:
            yield Decision(
                title=f"Type of {_spoken(field.name)}",
                choice=f"{field.name} is of type {field.type}.",
                reason="Nothing in the request says otherwise.",
            )


def _named(blueprint: Blueprint, project_name: str | None) -> Iterator[tuple[str, str]]:
    """The project's name, and the package that is called after it, each as far as the blueprint takes it."""
    if project_name and _fits(blueprint, "project_name", project_name):
        yield "project_name", project_name
        package = project_name.replace("-", "_")
        if _fits(blueprint, "package", package) and not _hides(package):
            yield "package", package


def _hides(package: str) -> bool:
    return keyword.iskeyword(package) or package in sys.stdlib_module_names or package in _IMPORTED


def _fits(blueprint: Blueprint, name: str, value: str) -> bool:
    parameter = blueprint.parameters.get(name)
    return parameter is not None and re.fullmatch(parameter.pattern, value) is not None


def _spoken(name: str) -> str:
    return name.replace("_", " ")
