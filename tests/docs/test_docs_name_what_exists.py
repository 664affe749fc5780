"""Every command, path, module, setting, metric, message and make target that a document names exists."""

import ast
import importlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main
from worksite.cli.client.access import ClientSettings
from worksite.cli.main import app
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings
from worksite.common.subjects import CONSUMERS, PERMISSIONS
from worksite.common.subjects import ROOT as BUS
from worksite.common.testing.examples import all_messages

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
# What examples call a file of somebody's, and modules of Python's own.
NOT_OURS = {"a.py", "b.py", "test_calc.py", "acceptance/test_x.py", "sitecustomize.py", "unittest.py", "queue.py"}
MESSAGES = {type(message).__name__ for message in all_messages()}
COMMAND = typer.main.get_command(app)
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


def tracked(suffix: str) -> list[Path]:
    """Below the folders that hold code; templates are somebody else's code."""
    tops = ("benchmarks", "blueprints", "deploy", "libs", "services", "tests")
    return [path.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob(f"*{suffix}")]


MODULES = tracked(".py")


def ends(module: str, below: Path) -> bool:
    """Is there a module below that folder whose path ends so?"""
    tail = Path(module).parts
    return any(path.is_relative_to(below) and path.parts[-len(tail) :] == tail for path in MODULES)


def home(document: Path) -> Path:
    """Where short names of a document are looked for: the distribution that it describes, else everywhere."""
    parts = document.relative_to(ROOT).parts
    return Path(*parts[:2]) if parts[0] in ("libs", "services") else Path()


@pytest.mark.parametrize(("document", "module"), named(r"(?<![\w/.$:<{*-])((?:[\w-]+/)*\w+\.py)(?![\w/*])"))
def test_a_named_module_exists(document, module):
    assert module in NOT_OURS or (ROOT / module).exists() or ends(module, home(document))


def test_every_file_that_the_walk_through_the_code_names_is_where_its_reader_would_look():
    """A short name is of the service that was named in full before it."""
    lost, service = [], Path()
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py)`", (ROOT / "docs" / "architecture.md").read_text()):
        if (ROOT / name).exists():
            service = Path(*Path(name).parts[:2])
        elif not ends(name, service):
            lost.append((name, service))
    assert lost == []


def addressed(line: str) -> tuple[click.Command, list[str]]:
    """The command that a line calls, and the words behind it."""
    command, words = COMMAND, line.split()[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command, words


def options(command: click.Command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize(("document", "line"), named(r"(?:^|\s|/)(worksite [a-z]+(?: [a-z]+)?)(?![\w-])"))
def test_a_named_command_exists(document, line):
    command, words = addressed(line)
    assert command is not COMMAND
    assert not (words and hasattr(command, "commands"))


@pytest.mark.parametrize(("document", "line"), named(r"(?:^|/)(worksite [a-z]+ .*--[a-z].*)"))
def test_the_options_of_a_named_command_exist(document, line):
    assert set(re.findall(r"--[a-z-]+", line)) <= options(addressed(line)[0])


@pytest.mark.parametrize("row", re.findall(r"^\| `worksite .*", (ROOT / "libs/cli/README.md").read_text(), re.M))
def test_a_row_about_a_command_names_options_that_it_has(row):
    commands = [addressed(line)[0] for line in re.findall(r"`(worksite [^`]+)`", row.split("|")[1])]
    submitting = addressed("worksite run")[0]  # the other commands are about tasks that were made with its options
    assert set(re.findall(r"--[a-z-]+", row)) <= set().union(*map(options, [submitting, *commands]))


def test_the_readme_of_the_command_has_each_command():
    table = re.findall(r"^\| `worksite .*", (ROOT / "libs/cli/README.md").read_text(), re.M)
    told = {addressed(line)[0] for row in table for line in re.findall(r"`(worksite [^`]+)`", row.split("|")[1])}
    assert {command.name for command in set(every(COMMAND)) ^ told} == set()


def every(command: click.Command) -> Iterator[click.Command]:
    """The commands below one, without the groups between."""
    for below in getattr(command, "commands", {}).values():
        yield from every(below) if hasattr(below, "commands") else [below]


@pytest.mark.parametrize(("document", "target"), named(r"(?:^|\s)make ([a-z-]+)"))
def test_a_named_make_target_exists(document, target):
    assert target in make_targets()


@pytest.mark.parametrize(("document", "variable"), named(r"^\$?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?$"))
def test_a_named_setting_exists(document, variable):
    assert (
        variable in setting_names() | FOREIGN | COMPOSE or f'"{variable}"' in sources() or f"{variable} =" in sources()
    )


@pytest.mark.parametrize(("document", "metric"), named(r"\b((?:worksite|rag)_[a-z_]+)\b(?!\.py)"))
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


def of_messages(service: str) -> set[str]:
    """The messages that a service's code imports, hence takes in, sends out or reads."""
    modules = (ast.parse(path.read_text()) for path in (ROOT / "services" / service / "src").rglob("*.py"))
    imports = (node for module in modules for node in ast.walk(module) if isinstance(node, ast.ImportFrom))
    names = (name.name for node in imports if node.module and "common.messages" in node.module for name in node.names)
    return MESSAGES & set(names)


@pytest.mark.parametrize("service", SETTINGS)
def test_a_services_readme_names_each_message_in_and_out(service):
    readme = (ROOT / "services" / service / "README.md").read_text()
    assert {name for name in of_messages(service) if f"`{name}`" not in readme} == set()


@pytest.mark.parametrize("service", SETTINGS)
def test_a_services_readme_names_the_subjects_that_it_is_told_on_and_that_it_asks(service):
    readme = (ROOT / "services" / service / "README.md").read_text()
    told = {subject for consumer in CONSUMERS if consumer.service == service for subject in consumer.filters}
    asked = {subject for subject in PERMISSIONS[service].publish if subject.startswith(f"{BUS}.rpc.")}
    assert {subject for subject in told | asked if subject.split(".*")[0] not in readme} == set()
