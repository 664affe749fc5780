"""A small blueprint of our own, and the blueprints that the project ships."""

from __future__ import annotations

from pathlib import Path

import pytest
from worksite.architect.domain.templates import Template
from worksite.architect.library import Library, load_library, load_template
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


KEEPER_TEXT = """
name = "keeper"
version = "1.0.0"
title = "Keeper of {plural}"
summary = "Keeps records."

[interface]
target = "{package}.main:create_app"

[parameters.project_name]
default = "keeper"
pattern = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
description = "Name of the project."

[parameters.package]
default = "keeper"
pattern = "[a-z][a-z0-9]*(_[a-z0-9]+)*"
description = "Name of the package."

[parameters.resource]
default = "item"
pattern = "[a-z][a-z0-9_]{0,20}"
description = "What is kept."

[parameters.plural]
default = "items"
pattern = "(?!docs$)[a-z][a-z0-9_]{0,20}"
description = "The same in the plural."

[parameters.fields]
default = "name:text"
pattern = "((?!id:)[a-z_]{1,30}:[a-z]+[?]?(,|$)){1,5}"
description = "What is known of it."

[[decisions]]
title = "Storage of {plural}"
choice = "One table."
reason = "A {resource} is flat."
rejected = [{ option = "A file per {resource}", reason = "Slow." }]

[[constraints]]
text = "Fields: {fields}."

[[interfaces]]
method = "GET"
path = "/{plural}/{id}"
summary = "Show one {resource}."

[[criteria]]
id = "keeps"
statement = "A {resource} that was created is shown at /{plural}."
grade = "verified_io"
test = "acceptance/test_keeping.py::test_keeps"

[[criteria]]
id = "checks-emails"
statement = "Malformed addresses are refused."
grade = "verified_io"
test = "acceptance/test_keeping.py::test_checks_emails"
field_type = "email"

[vocabulary]
slots = ["resource", "fields"]
product = ["api", "crud api", "service"]

[[vocabulary.features]]
id = "emails"
phrases = ["validated address", "tests"]
criteria = ["checks-emails"]
"""

KEEPER_TEST = """FIELDS = "{{ fields }}"


async def test_keeps(app):
    plural = "{{ plural }}"
    assert f"/{plural}"


async def test_checks_emails(app):
    ...
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Template:
    """A complete little blueprint with slots."""
    folder = tmp_path / "slotted" / "keeper"
    files = {
        MANIFEST: KEEPER_TEXT,
        "acceptance/test_keeping.py": KEEPER_TEST,
        "template/src/{{ package }}/main.py.jinja": '"""Keeps {{ plural }}."""\n',
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return load_template(folder)


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
