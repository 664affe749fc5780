"""The values a blueprint is rendered with."""

from __future__ import annotations

import pytest
from worksite.builder.domain.parameters import complete
from worksite.common.blueprints import Parameter
from worksite.common.errors import StepRefused

DECLARED = {
    "package": Parameter(default="app", pattern="[a-z_]+", description="its package"),
    "title": Parameter(default="App", pattern="[A-Za-z ]{1,40}", description="its title"),
}


def test_what_is_not_given_has_its_default() -> None:
    assert complete(DECLARED, {"title": "My Shop"}) == {"package": "app", "title": "My Shop"}


@pytest.mark.parametrize("value", ["", "App", "a-b", "app\n", "../app"])
def test_a_value_must_match_its_pattern_in_full(value: str) -> None:
    with pytest.raises(StepRefused, match="package"):
        complete(DECLARED, {"package": value})


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(StepRefused, match="colour"):
        complete(DECLARED, {"colour": "red"})
