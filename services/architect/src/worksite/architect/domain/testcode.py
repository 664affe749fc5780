"""What a test module holds, by its syntax tree: nothing of it is ever run here."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_ALLOWED = frozenset(sys.stdlib_module_names) | {"pytest"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class TestFunction:
    """`parametrized`: parameters that a decorator gives values to."""

    __test__ = False

    parameters: frozenset[str]
    parametrized: frozenset[str]
    is_async: bool


@dataclass(frozen=True)
class TestModule:
    """`foreign_imports`: top-level names that are neither pytest nor of the standard library. `loaded`: what is written
    out as an argument of `load`."""

    __test__ = False

    functions: Mapping[str, TestFunction] = field(default_factory=dict[str, TestFunction])
    fixtures: frozenset[str] = frozenset()
    foreign_imports: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()


def read_module(source: str) -> TestModule:
    """Never fails: what cannot be read is a fault of the module."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else type(error).__name__
        return TestModule(faults=(f"is not Python: {where}",))
    found = [node for node in tree.body if isinstance(node, Function)]
    return TestModule(
        functions={node.name: _function(node) for node in found},
        fixtures=frozenset(node.name for node in found if any("fixture" in name for name in _decorators(node))),
        foreign_imports=frozenset(_imports(tree)) - _ALLOWED,
        loaded=frozenset(_loaded(tree)),
    )


def _function(node: Function) -> TestFunction:
    arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
    return TestFunction(
        parameters=frozenset(argument.arg for argument in arguments),
        parametrized=frozenset(name for decorator in node.decorator_list for name in _given_by(decorator)),
        is_async=isinstance(node, ast.AsyncFunctionDef),
    )


def _decorators(node: Function) -> Iterator[str]:
    for decorator in node.decorator_list:
        yield ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def _given_by(decorator: ast.expr) -> Iterator[str]:
    """The names in `@pytest.mark.parametrize("a, b", …)`."""
    if not isinstance(decorator, ast.Call) or "parametrize" not in ast.unparse(decorator.func) or not decorator.args:
        return
    for part in ast.walk(decorator.args[0]):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from (name.strip() for name in part.value.split(","))


def _loaded(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="load"), args=[ast.Constant(value=str(target))]):
                yield target
            case _:
                pass


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]
