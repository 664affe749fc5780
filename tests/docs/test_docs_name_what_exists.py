"""Every command, path, setting, metric and make target that a document names exists."""

import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from worksite.cli.client.access import ClientSettings
from worksite.cli.main import app
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "gateway": "GatewaySettings",
    "admin": "AdminSettings",
    "architect": "ArchitectSettings",
    "builder": "BuilderSettings",
    "validator": "ValidatorSettings",
    "rag": "RagSettings",
}
SKIPPED = {".venv", ".git", ".worksite", "out", "template", "node_modules"}


def documents() -> Iterator[Path]:
    """Without looking into what a running stack changes while we look."""
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED | {"models"}]
        yield from (Path(folder, name) for name in files if name.endswith(".md"))


DOCUMENTS = sorted(documents())
TOP = {path.name for path in ROOT.iterdir()} - {".git", ".venv"}
MADE_AT_RUN_TIME = (".worksite", "out", ".venv", "deploy/compose/secrets")
# Variables that documents may name and that are not settings of ours.
FOREIGN = {
    "NATS_URL",
    "NATS_USER",
    "NATS_CA",
    "NET_RAW",
    "NATS_CERT",
    "NATS_KEY",
    "REQUEST",
    "PYTHON",
    "PYTHON_IMAGE",
    "TOKEN",
    "TASK",
}
COMPOSE = set(re.findall(r"^([A-Z_]+)=", (ROOT / "deploy" / "compose" / ".env.example").read_text(), re.M))


def spans(text: str) -> list[str]:
    """Inline code and the lines of code blocks."""
    fenced = re.findall(r"```.*?\n(.*?)```", text, re.S)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    lines += [line.strip() for line in re.findall(r"^ {4}(\S.*)$", text, re.M)]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    return re.findall(r"`([^`\n]+)`", prose) + lines


def named(pattern: str):
    """(document, what it names) for every match in code spans."""
    return [
        pytest.param(document, match, id=f"{document.relative_to(ROOT)}:{match}")
        for document in DOCUMENTS
        for match in sorted({m for span in spans(document.read_text()) for m in re.findall(pattern, span)})
    ]


@pytest.mark.parametrize(
    ("document", "target"),
    [
        pytest.param(document, target, id=f"{document.relative_to(ROOT)}:{target}")
        for document in DOCUMENTS
        for target in sorted(set(re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text())))
    ],
)
def test_a_link_leads_somewhere(document, target):
    assert (document.parent / target).exists()


def setting_names() -> set[str]:
    given = {"SECRETS_DIR", "STREAM_REPLICAS", "WORKSITE_STATE", "WORKSITE_ROOT"}
    names = given | {name.upper() for name in ServiceSettings.model_fields}
    for service, model in SETTINGS.items():
        fields = getattr(importlib.import_module(f"worksite.{service}.settings"), model).model_fields
        names |= {name.upper() for name in fields}
    names |= {name.upper() for name in ModelSettings.model_fields}
    return names | {f"WORKSITE_{name.upper()}" for name in ClientSettings.model_fields}


def sources() -> str:
    return "\n".join(path.read_text() for path in ROOT.glob("*/*/src/**/*.py"))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.parametrize(("document", "path"), named(r"(?<![\w/.$:-])((?:[\w.-]+/)+[\w.*{},-]*)(?![\w/<-])"))
def test_a_named_path_exists(document, path):
    first = path.split("/")[0]
    if first not in TOP or path.startswith(MADE_AT_RUN_TIME) or "*" in path or "{" in path:
        return
    assert (ROOT / path).exists() or (document.parent / path).exists()


@pytest.mark.parametrize(("document", "command"), named(r"(?:^|\s|/)worksite ([a-z]+)\b"))
def test_a_named_command_exists(document, command):
    assert command in typer.main.get_command(app).commands


@pytest.mark.parametrize(("document", "line"), named(r"(?:^|/)(worksite [a-z]+ .*--[a-z].*)"))
def test_the_options_of_a_named_command_exist(document, line):
    command = typer.main.get_command(app).commands[line.split()[1]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", line)) <= known


@pytest.mark.parametrize(("document", "target"), named(r"(?:^|\s)make ([a-z-]+)"))
def test_a_named_make_target_exists(document, target):
    assert target in make_targets()


@pytest.mark.parametrize(("document", "variable"), named(r"^\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?$"))
def test_a_named_setting_exists(document, variable):
    assert (
        variable in setting_names() | FOREIGN | COMPOSE or f'"{variable}"' in sources() or f"{variable} =" in sources()
    )


@pytest.mark.parametrize(("document", "metric"), named(r"\b((?:worksite|rag)_[a-z_]+(?:_total|_seconds))\b"))
def test_a_named_metric_exists(document, metric):
    assert f'"{metric}"' in sources()


def test_the_example_environment_names_every_setting_with_a_comment_and_nothing_else():
    text = (ROOT / ".env.example").read_text()
    found = re.findall(r"^# .+\n#?([A-Z][A-Z0-9_]*)=", text, re.M)
    assert len(found) == len(re.findall(r"^#?[A-Z][A-Z0-9_]*=", text, re.M)), "a variable has no comment"
    assert set(found) == setting_names()


def test_the_documents_were_found():
    assert {"README.md", "architecture.md", "operations.md"} <= {path.name for path in DOCUMENTS}


def test_the_document_about_models_names_each_of_their_settings():
    text = (ROOT / "docs" / "models.md").read_text()
    assert {name.upper() for name in ModelSettings.model_fields if name.upper() not in text} == set()


@pytest.mark.parametrize("service", SETTINGS)
def test_a_services_readme_names_each_of_its_own_settings(service):
    model = getattr(importlib.import_module(f"worksite.{service}.settings"), SETTINGS[service])
    readme = (ROOT / "services" / service / "README.md").read_text()
    everybodys = {**ServiceSettings.model_fields, **ModelSettings.model_fields}
    own = {name.upper() for name in model.model_fields if name not in everybodys}
    assert {name for name in own if name not in readme} == set()
