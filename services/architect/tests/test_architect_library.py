"""Which blueprints the architect takes up, and why it leaves others out."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from worksite.architect.library import Library, load_library
from worksite.common.blueprints import MANIFEST, digest


def test_every_shipped_blueprint_is_usable(shipped: Library):
    assert "auth-service" in shipped


def test_a_template_brings_its_tests_and_says_what_its_files_are_for(library: Library, greeter: Path):
    template = library["greeter"]
    assert template.digest == digest(greeter)
    assert [test.path for test in template.tests] == ["acceptance/test_hello.py", "unit/test_names.py"]
    assert [(note.path, note.purpose) for note in template.files] == [
        ("src/{{ package }}/main.py", "Wiring of {{ package }}: settings in, app out.")
    ]


def test_without_a_folder_there_are_no_blueprints(tmp_path: Path):
    assert load_library(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    ("original", "broken", "reason"),
    [
        ('name = "greeter"', 'name = "other"', "its name is other, its folder's greeter"),
        ('name = "greeter"', "name = ", "Invalid value"),
        ('default = "greeter"', 'default = "Greeter 1"', "the default of package does not match its pattern"),
        ("test_hello.py::test_says_hello", "test_hello.py::test_gone", "says-hello: there is no test"),
        ("test_hello.py::test_says_hello", "test_gone.py::test_says_hello", "says-hello: there is no test"),
        ('id = "greets-by-name"', 'id = "says-hello"', "criterion says-hello stands there twice"),
        ('criteria = ["says-hello"]', 'criteria = ["sings"]', "feature hello: there is no tested criterion sings"),
        ('test = "unit/test_names.py::test_greets_by_name"', "", "feature names: there is no tested criterion"),
        ("[vocabulary]", '[vocabulary]\nslots = ["fields"]', "slot fields: there is no parameter fields"),
        ('"hello page"', '"hello@page"', "'hello@page' is not made of plain words"),
        ('"hello page"', '""', "'' is not made of plain words"),
    ],
)
def test_an_unusable_blueprint_is_left_out_with_its_reason_and_the_others_stay(
    greeter: Path, caplog: pytest.LogCaptureFixture, original: str, broken: str, reason: str
):
    other = greeter.parent / "broken" / MANIFEST
    other.parent.mkdir()
    other.write_text("nothing")
    manifest = greeter / MANIFEST
    text = manifest.read_text()
    assert original in text
    manifest.write_text(text.replace(original, broken, 1))
    with caplog.at_level(logging.WARNING):
        assert load_library(greeter.parent) == {}
    assert reason in caplog.text
    manifest.write_text(text)
    assert list(load_library(greeter.parent)) == ["greeter"]
