"""The wordings that the architect reads as covered end PASS, with their parameters: `make wordings`, some minutes.

`make test` leaves this out: what is read from a wording is tested in the architect's own tests, and that a rendered
project passes in the blueprints'.
"""

import json
import tomllib
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wordings, pytest.mark.timeout(400)]

FOLDER = Path(__file__).parents[1] / "wordings"
WORDINGS = [
    pytest.param(name, wording, id=f"{name}-{number}")
    for name in ("auth-service", "crud-service", "url-shortener", "webhook-receiver")
    for number, wording in enumerate(tomllib.loads((FOLDER / f"{name}.toml").read_text())["wordings"], 1)
]


@pytest.mark.parametrize(("blueprint", "wording"), WORDINGS)
def test_a_wording_passes_with_its_parameters_or_asks(stack, blueprint, wording):
    done = stack.run(wording["request"])
    last = done.stdout.splitlines()[-1]
    assert last.startswith(("PASS ", "NEEDS_INPUT ")), done.stdout + done.stderr
    if last.startswith("NEEDS_INPUT "):
        pytest.skip("the grammar does not know this wording")
    spec = json.loads((Path(last.split("out=")[1]) / "spec.json").read_text())
    assert spec["blueprint"]["name"] == blueprint
    assert wording.get("parameters", {}).items() <= spec["blueprint"]["parameters"].items()
