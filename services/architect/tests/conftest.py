"""A small blueprint of our own, and the blueprints that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from worksite.architect.library import Library, load_library
from worksite.common.blueprints import MANIFEST

SHIPPED = Path(__file__).parents[3] / "blueprints"

MAIN_PY = '''"""Wiring of ``{{ package }}``:
settings in, app out.

More.
"""
'''

MANIFEST_TEXT = """
name = "greeter"
version = "2.1.0"
title = "Greeting service"
summary = "Greets people over HTTP."

[interface]
target = "{package}.main:create_app"
factory = true
[interface.env]
GREETER_KEY = "{random}"
GREETER_FILE = "{package}.db"

[parameters.package]
default = "greeter"
pattern = "[a-z]+"
description = "Name of the package."

[[decisions]]
title = "Storage"
choice = "None."
reason = "Greetings need no memory."
rejected = [{ option = "SQLite", reason = "A file to look after." }]

[[constraints]]
text = "One process."

[[interfaces]]
method = "GET"
path = "/hello"
summary = "Say hello."

[[criteria]]
id = "says-hello"
statement = "GET /hello answers hello."
grade = "verified_io"
test = "acceptance/test_hello.py::test_says_hello"

[[criteria]]
id = "greets-by-name"
statement = "GET /hello?name=Ada answers hello Ada."
grade = "self_reported"
test = "unit/test_names.py::test_greets_by_name"

[vocabulary]
product = ["greeting", "greeting service", "greeter"]

[[vocabulary.features]]
id = "names"
phrases = ["greeting by name", "greetings by name", "name", "nameplate", "lock name", "locked names"]
actions = ["see their name"]
criteria = ["greets-by-name"]

[[vocabulary.features]]
id = "hello"
phrases = ["hello page", "fastapi", "over http", "on fastapi", "in python", "log in", "login"]
criteria = ["says-hello"]
"""


@pytest.fixture
def greeter(tmp_path: Path) -> Path:
    """The folder of a complete little blueprint, below an otherwise empty blueprints folder."""
    folder = tmp_path / "blueprints" / "greeter"
    files = {
        MANIFEST: MANIFEST_TEXT,
        "acceptance/test_hello.py": "async def test_says_hello(app):\n    ...\n",
        "unit/test_names.py": "def test_greets_by_name():\n    ...\n",
        "template/src/{{ package }}/main.py.jinja": MAIN_PY,
        "template/src/{{ package }}/empty.py": "",
        "template/README.md": "# {{ package }}\n",
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


@pytest.fixture
def library(greeter: Path) -> Library:
    """The library with the little blueprint in it."""
    return load_library(greeter.parent)


@pytest.fixture(scope="session")
def shipped() -> Library:
    """The blueprints that the project ships."""
    return load_library(SHIPPED)
