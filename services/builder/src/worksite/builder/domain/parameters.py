"""The values a blueprint is rendered with."""

from __future__ import annotations

import re
from collections.abc import Mapping

from worksite.common.blueprints import Parameter
from worksite.common.errors import StepRefused


def complete(declared: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, str]:
    """Every declared parameter with the given value or its default. Raises StepRefused for what does not fit."""
    if unknown := sorted(set(given) - set(declared)):
        raise StepRefused("bad_parameter", f"the blueprint has no parameter {', '.join(unknown)}")
    values = {name: given.get(name, parameter.default) for name, parameter in declared.items()}
    for name, value in values.items():
        if not re.fullmatch(declared[name].pattern, value):
            raise StepRefused("bad_parameter", f"{name} {value!r} does not match {declared[name].pattern}")
    return values
