"""The shape of a blueprint's manifest."""

from __future__ import annotations

import pytest
from worksite.common import blueprints
from worksite.common.blueprints import Feature


def test_a_feature_is_nothing_that_users_do_unless_its_manifest_says_so():
    named = {"id": "login", "phrases": ("login endpoint",), "criteria": ("logs-in",)}
    assert Feature.model_validate(named).actions == ()
    assert Feature.model_validate(named | {"actions": ("log in",)}).actions == ("log in",)


MANIFEST_TEXT = """
name = "demo"
version = "1.0.0"
title = "Demo"
summary = "Shows."
[interface]
kind = "asgi"
target = "demo.main:app"
[parameters]
[[criteria]]
id = "works"
statement = "It works."
grade = "verified_io"
test = "acceptance/test_demo.py::test_works"
[vocabulary]
product = ["demo"]
"""


def blueprint_in(directory):
    folder = directory / "demo"
    (folder / "template").mkdir(parents=True)
    (folder / "template" / "main.py").write_text("app = None\n")
    (folder / blueprints.MANIFEST).write_text(MANIFEST_TEXT)
    return folder


def test_the_catalogue_holds_every_folder_with_a_manifest(tmp_path):
    folder = blueprint_in(tmp_path)
    (tmp_path / "notes").mkdir()
    assert blueprints.catalogue(tmp_path) == {"demo": folder}
    assert blueprints.catalogue(tmp_path / "missing") == {}
    assert blueprints.load(folder).criteria[0].id == "works"


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("name = ", "Invalid value"), (MANIFEST_TEXT.replace("[vocabulary]", ""), "vocabulary")],
)
def test_a_manifest_that_cannot_be_used_says_why(tmp_path, text, says):
    folder = blueprint_in(tmp_path)
    (folder / blueprints.MANIFEST).unlink()
    if text is not None:
        (folder / blueprints.MANIFEST).write_text(text)
    with pytest.raises(blueprints.BlueprintInvalid, match=says):
        blueprints.load(folder)


def test_the_digest_changes_with_content_and_name_but_not_with_tests_and_caches(tmp_path):
    folder = blueprint_in(tmp_path)
    first = blueprints.digest(folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_demo.py").write_text("")
    (folder / "template" / "__pycache__").mkdir()
    (folder / "template" / "__pycache__" / "main.pyc").write_bytes(b"")
    assert blueprints.digest(folder) == first
    (folder / "template" / "main.py").rename(folder / "template" / "app.py")
    assert blueprints.digest(folder) != first
