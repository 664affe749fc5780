"""What a test sees of the candidate's functions, objects and command lines. Runs in the examiner's sandbox."""

# Beside this file there, which a type checker cannot know.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
import builtins
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import pytest
import values
from channel import CandidateFailed, Channel

_SPECIAL = (ExceptionGroup, StopIteration, StopAsyncIteration)
"""These arrive as `Raised` only: a group is not made of a text, and the others would end a loop of the test's in
silence, such as that of `all(map(function, inputs))`."""


class CannotBeKnown(pytest.fail.Exception):
    """A test asks for what nobody on this side can know or do. As with `CandidateFailed`, nothing of a test catches it:
    neither the candidate nor the lack of an answer may look like an exception that a test expects."""


class Raised(Exception):
    """The candidate's code raised: `types` are the names of the exception's class and of its bases, nearest first.

    It also is an instance of the nearest built-in class of that name, so that `pytest.raises(ValueError)` works.
    """

    def __init__(self, types: Sequence[str], text: str) -> None:
        self.types, self.text = tuple(types), text

    def __str__(self) -> str:
        return f"{self.types[0] if self.types else 'nothing'}: {self.text}"


class Loader:
    """One process of the candidate's, started when it is first asked for something."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._id: int | None = None

    def __call__(self, target: str) -> Any:
        """What `module:name` stands for, e.g. `shop.cart:Cart`; `module:` is the module itself."""
        return self.take([{"do": "load", "target": target}])[0]

    def concurrently(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call at once, each `(function, *arguments)`; what came of them in the same order, a `Raised` included."""
        steps = [as_call(function, arguments, {}) for function, *arguments in calls]
        return [self._outcome(each) for each in self._steps(steps)]

    def take(self, steps: list[dict[str, Any]]) -> list[Any]:
        """Raises `Raised` where the candidate's code did."""
        outcomes = [self._outcome(each) for each in self._steps(steps)]
        for outcome in outcomes:
            if isinstance(outcome, Raised):
                raise outcome
        return outcomes

    def stop(self) -> None:
        if self._id is not None:
            self._channel.ask({"op": "stop", "app": self._id})

    def _steps(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._id is None:
            self._id = self._channel.ask({"op": "load", "env": {}})
        return self._channel.ask({"op": "take", "app": self._id, "steps": steps})

    def _outcome(self, document: dict[str, Any]) -> Any:
        if "raised" in document:
            return as_exception(document["raised"]["types"], document["raised"]["text"])
        try:
            return values.decode(document["value"], lambda number: Remote(self, number))
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise CandidateFailed(f"the candidate sent what is no value: {error}") from None


class _Opaque:
    """What cannot be had of an object on the other side, so that no test decides by what only seems to be an answer."""

    def _refuse(self, *_: Any) -> NoReturn:
        said = "it is neither true nor false, equal nor unequal to anything, and takes no operators and assignments"
        raise CannotBeKnown(f"{self!r} stays with the candidate: {said}. Compare a plain value of it")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __bool__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rlshift__ = _refuse
    __rshift__ = __rrshift__ = __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _refuse
    __int__ = __float__ = __complex__ = __index__ = _refuse
    __setattr__ = __delattr__ = __setitem__ = __delitem__ = __reversed__ = __next__ = __enter__ = __exit__ = _refuse


class Remote(_Opaque):
    """An object that stays with the candidate. Only what it gives away in plain values can be compared: call it, read
    attributes and items, ask for its length, its elements or its text."""

    def __init__(self, loader: Loader, number: int) -> None:
        vars(self).update(_loader=loader, _number=number)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._loader.take([as_call(self, arguments, named)])[0]

    def __getattr__(self, name: str) -> Any:
        return self._take("get", name=name)

    def __getitem__(self, key: Any) -> Any:
        return self._take("item", key=values.encode(key, number_of))

    def __len__(self) -> int:
        return self._take("length")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._take("list"))

    def __contains__(self, value: Any) -> bool:
        return value in list(self)

    def __str__(self) -> str:
        return self._take("text")

    def __repr__(self) -> str:
        return f"<object {self._number} of the candidate>"

    def _take(self, do: str, **parts: Any) -> Any:
        return self._loader.take([{"do": do, "object": self._number, **parts}])[0]


class Finished:
    """How a command line ended: exit code (or minus the number of a signal), and what it wrote, as text and bytes."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.code: int = answer["code"]
        self.content = base64.b64decode(answer["out"])
        self.out = self.content.decode("utf-8", "replace")
        self.err = base64.b64decode(answer["err"]).decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<Finished {self.code} {self.out[:500]!r} {self.err[-500:]!r}>"


class Project:
    """A copy of the project to run command lines in; `python` as the first word is the one it is judged with."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._id: int | None = None

    def __call__(self, *argv: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Finished:
        if not argv:
            raise TypeError("run() needs a program, such as run('python', '-m', 'package')")
        if self._id is None:
            self._id = self._channel.ask({"op": "open", "env": {}})
        data = stdin.encode() if isinstance(stdin, str) else stdin
        question = {"argv": list(map(str, argv)), "stdin": base64.b64encode(data).decode(), "env": dict(env or {})}
        return Finished(self._channel.ask({"op": "run", "app": self._id, **question}))

    def stop(self) -> None:
        if self._id is not None:
            self._channel.ask({"op": "stop", "app": self._id})


def as_call(function: Remote, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """A call as it travels."""
    return {
        "do": "call",
        "object": number_of(function),
        "arguments": values.encode(list(arguments), number_of),
        "named": values.encode(dict(named), number_of),
    }


def number_of(value: Any) -> int:
    """Of an object that the candidate has. Raises CannotBeKnown for one that only the test has."""
    if type(value) is not Remote:
        said = f"{type(value).__name__} cannot be given to the candidate: only plain values and its own can"
        raise CannotBeKnown(said)
    return value._number


def as_exception(types: Sequence[str], text: str) -> Raised:
    """`Raised`, and the nearest built-in exception among `types`."""
    found = (getattr(builtins, name, None) for name in types)
    known = (each for each in found if isinstance(each, type) and issubclass(each, Exception) and each not in _SPECIAL)
    nearest = next(known, None)
    if nearest is None:
        return Raised(types, text)
    return type(nearest.__name__, (Raised, nearest), {})(types, text)
