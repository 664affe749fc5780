"""Blueprints on disk: the manifest's shape, and the digest that pins a blueprint's files.

The architect reads grammar and criteria from the manifest, the builder renders the template, the RAG engine indexes
the prose; they must agree on what a blueprint is.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from worksite.common.errors import Permanent
from worksite.common.messages import Criterion, Decision, Harness, Interface, Model

MANIFEST = "blueprint.toml"
_NOT_PART = {"tests", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


class BlueprintInvalid(Permanent):
    """The folder is not a usable blueprint; the text says why."""


class Parameter(Model):
    """A value of the template; `pattern` is matched in full."""

    default: str
    pattern: str
    description: str


class Feature(Model):
    """Phrases that a person may use, and the criteria that prove what they ask for."""

    id: str
    phrases: tuple[str, ...] = Field(min_length=1)
    actions: tuple[str, ...] = Field((), description="what users can do, as said after `users can`")
    attributes: tuple[str, ...] = Field((), description="fields that every record has, as said among those asked for")
    criteria: tuple[str, ...] = Field(min_length=1)


class Vocabulary(Model):
    """Everything the coverage grammar may consume for this blueprint (ADR 0006)."""

    product: tuple[str, ...] = Field(min_length=1, description="noun phrases that name the whole product")
    features: tuple[Feature, ...] = ()
    slots: tuple[Slot, ...] = Field(
        default=(),
        description="`resource` fills the parameters resource (`book`) and plural (`books`), both snake_case; `fields` "
        "fills fields: `name:type` or `name:type?` (optional), separated by commas",
    )


FieldType = Literal["text", "integer", "decimal", "boolean", "date", "datetime", "email", "url"]
Slot = Literal["resource", "fields"]
"""What a request may fill in with words of its own: the thing to be kept, and what is known of it."""


class BlueprintCriterion(Criterion):
    """`{parameter}` in the statement is filled in; left out where no field has the type that it is about."""

    field_type: FieldType | None = None


class Constraint(Model):
    text: str


class HttpInterface(Model):
    method: str
    path: str
    summary: str

    def as_interface(self) -> Interface:
        return Interface(name=f"{self.method} {self.path}", summary=self.summary)


class Blueprint(Model):
    """A parsed `blueprint.toml`."""

    name: str
    version: str
    title: str
    summary: str
    interface: Harness
    parameters: dict[str, Parameter]
    decisions: tuple[Decision, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    interfaces: tuple[HttpInterface, ...] = ()
    criteria: tuple[BlueprintCriterion, ...] = Field(min_length=1)
    vocabulary: Vocabulary


def load(folder: Path) -> Blueprint:
    """Raises BlueprintInvalid."""
    try:
        return Blueprint.model_validate(tomllib.loads((folder / MANIFEST).read_text()))
    except OSError as error:
        raise BlueprintInvalid(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise BlueprintInvalid(f"{folder / MANIFEST}: {error}") from error


def catalogue(directory: Path) -> dict[str, Path]:
    """Blueprint folders by name. An empty or missing directory has none."""
    return {path.parent.name: path.parent for path in sorted(directory.glob(f"*/{MANIFEST}"))}


def files(folder: Path) -> list[Path]:
    """The files that make up a blueprint, sorted; its own tests and caches do not count."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if _counts(path.relative_to(folder)))


def digest(folder: Path) -> str:
    """SHA-256 over the relative path and content of every file: equal digests render equal projects."""
    total = hashlib.sha256()
    for path in files(folder):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _counts(path: Path) -> bool:
    return path.parts[0] not in _NOT_PART and "__pycache__" not in path.parts and path.suffix != ".pyc"
