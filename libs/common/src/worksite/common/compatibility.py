"""Can two versions of a message live on one bus? Compares JSON Schemas in both directions.

Backward: what an old producer sends, a new consumer must accept. Forward: what a new producer sends, an old consumer,
which ignores unknown fields, must accept. A change that fails either needs a new message type.
"""

from __future__ import annotations

from typing import Any, cast

Schema = dict[str, Any]


def incompatibilities(old: Schema, new: Schema) -> list[str]:
    """Every change between two versions of one message's schema that would break a running system."""
    return _Comparison(old, new).compare(old, new, "")


class _Comparison:
    """Holds the two documents, whose `$defs` the references point into."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old_defs = old.get("$defs", {})
        self._new_defs = new.get("$defs", {})
        self._seen: set[tuple[str, str]] = set()

    def compare(self, old: Schema, new: Schema, path: str) -> list[str]:
        pair = (str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and pair in self._seen:  # recursive models
            return []
        self._seen.add(pair)
        old, new = _resolved(old, self._old_defs), _resolved(new, self._new_defs)
        if "properties" in old and "properties" in new:
            return self._objects(old, new, path)
        if (variants := _variants(old)) and (others := _variants(new)):
            return self._unions(variants, others, path)
        if "items" in old and "items" in new:
            return self.compare(old["items"], new["items"], f"{path}[]")
        return self._scalars(old, new, path)

    def _objects(self, old: Schema, new: Schema, path: str) -> list[str]:
        before, after = old["properties"], new["properties"]
        needed, needs = set[str](old.get("required", [])), set[str](new.get("required", []))
        found = [f"{path}.{name}: newly required; old producers omit it" for name in sorted(needs - needed)]
        found += [f"{path}.{name}: no longer there; old consumers require it" for name in sorted(needed - set(after))]
        optional = (needed - needs) & set(after)
        found += [f"{path}.{name}: no longer required; old consumers still need it" for name in sorted(optional)]
        for name in sorted(set(before) & set(after)):
            found += self.compare(before[name], after[name], f"{path}.{name}")
        return found

    def _unions(self, old: list[Schema], new: list[Schema], path: str) -> list[str]:
        before, after = ({_name(s): s for s in variants} for variants in (old, new))
        found = [f"{path}: {name} is gone; old producers send it" for name in sorted(set(before) - set(after))]
        found += [f"{path}: {name} is new; old consumers refuse it" for name in sorted(set(after) - set(before))]
        for name in sorted(set(before) & set(after)):
            found += self.compare(before[name], after[name], path)
        return found

    def _scalars(self, old: Schema, new: Schema, path: str) -> list[str]:
        found: list[str] = []
        if old.get("type") != new.get("type"):
            found.append(f"{path}: type {old.get('type')} became {new.get('type')}")
        before, after = _values(old), _values(new)
        found += [f"{path}: value {value} is gone; old producers send it" for value in sorted(before - after)]
        found += [f"{path}: value {value} is new; old consumers refuse it" for value in sorted(after - before)]
        if old.get("pattern") != new.get("pattern"):
            found.append(f"{path}: the pattern changed")
        return found


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
    return schema


def _variants(schema: Schema) -> list[Schema]:
    return cast(list[Schema], schema.get("oneOf") or schema.get("anyOf") or [])


def _name(schema: Schema) -> str:
    return str(schema.get("$ref") or schema.get("type") or schema.get("const"))


def _values(schema: Schema) -> set[str]:
    return {str(schema["const"])} if "const" in schema else {str(value) for value in schema.get("enum", [])}
