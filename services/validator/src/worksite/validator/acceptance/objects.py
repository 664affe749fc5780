"""Functions and objects of the candidate's, behind `object_host.py`."""

from __future__ import annotations

from typing import Any, cast

from worksite.validator.acceptance.hosted import CandidateFault, Hosted
from worksite.validator.domain.reach import is_module_of


class Objects(Hosted):
    """One process with whatever the tests have loaded into it."""

    program = "object_host.py"
    _reached = False

    def reaches(self, steps: list[dict[str, Any]]) -> bool:
        """Whether a module of the project's has been loaded: those of Python's and of packages show nothing of it."""
        loaded = (step["target"].partition(":")[0] for step in steps if step["do"] == "load")
        files = self._version.tree.files
        self._reached = self._reached or any(is_module_of(files, self._roots, module) for module in loaded)
        return self._reached

    async def take(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The outcomes of steps that are taken at once. Raises CandidateFault."""
        outcomes = (await self._ask({"steps": steps})).get("outcomes")
        if not isinstance(outcomes, list) or len(cast("list[Any]", outcomes)) != len(steps):
            raise CandidateFault("the candidate sent something else than one outcome per step")
        return [_outcome(each) for each in cast("list[Any]", outcomes)]


def _outcome(document: Any) -> dict[str, Any]:
    """Only what the protocol knows; the examiner reads the value itself, see `values.py`."""
    match document:
        case {"value": value}:
            return {"value": value}
        case {"raised": {"types": list() as types, "text": str(text)}} if _are_texts(cast("list[Any]", types)):
            return {"raised": {"types": types, "text": text}}
        case _:
            raise CandidateFault("the candidate sent an outcome that is neither a value nor an exception")


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(each, str) for each in values)
