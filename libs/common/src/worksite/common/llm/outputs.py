"""Structured outputs: a schema that providers can enforce, and a reply checked against the whole model.

Providers enforce a subset of JSON Schema (field notes of the vendor: no bounds, patterns or defaults, every object
closed). What is left out goes into the description, where the model can read it, and is checked here.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from worksite.common.llm.conversation import Completion, JsonObject
from worksite.common.llm.errors import OutputRejected

M = TypeVar("M", bound=BaseModel)
Schema = dict[str, Any]

GARBLED = (
    "the reply cannot be read as it stands: it holds halves of surrogate pairs (write such characters whole, or spell "
    "them out in ASCII), or an input that is no JSON object or is nested too deeply"
)
_COMBINED = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_KEPT = {"title", "type", "enum", "const", "description"}
_SILENT = {"default", "discriminator", "additionalProperties", "properties", "required", "items", "$defs", "$ref"}


def schema_of(model: type[BaseModel]) -> JsonObject:
    """The enforceable schema of a model's replies.

    Raises ValueError for what no provider could enforce as it is meant: open mappings (they would be allowed only
    empty), tuples of fixed types, anything goes, recursion.
    """
    whole = model.model_json_schema()
    _refuse_recursion(whole, model.__name__)
    return cast(JsonObject, _enforceable(whole, model.__name__))


def parsed(completion: Completion, model: type[M]) -> M:
    """The reply as the model. Raises OutputRejected with words that can be sent back to the model."""
    if completion.stop_reason == "refusal":
        raise OutputRejected("refusal", f"the model refuses: {completion.refusal or 'no reason given'}")
    if completion.stop_reason in {"max_tokens", "model_context_window_exceeded"}:
        raise OutputRejected("cut_off", "the reply was cut off before it ended: answer more briefly")
    if completion.garbled:
        raise OutputRejected("unusable", GARBLED)
    try:
        found = json.loads(completion.text)
    except ValueError as error:
        raise OutputRejected("unusable", f"the reply is not JSON: {error}") from error
    schema = model.model_json_schema()
    try:
        return model.model_validate_json(json.dumps(_spelled(found, schema, schema)))
    except ValidationError as error:
        raise OutputRejected("unusable", shortly(error, "the reply")) from error


def shortly(error: ValidationError, what: str) -> str:
    """What does not fit, without pydantic's links and without repeating long inputs."""
    lines = [f"{'.'.join(map(str, e['loc'])) or what}: {e['msg']}" for e in error.errors(include_input=False)[:20]]
    return f"{what} does not fit: " + "; ".join(lines)


def _enforceable(schema: Schema, where: str) -> Schema:
    result: Schema = {}
    if "$defs" in schema:
        result["$defs"] = {name: _enforceable(part, name) for name, part in schema["$defs"].items()}
    if "$ref" in schema:  # nothing may stand beside it
        return result | {"$ref": schema["$ref"]}
    combined = {new: schema[old] for old, new in _COMBINED.items() if old in schema}
    for name, variants in combined.items():
        result[name] = [_enforceable(variant, where) for variant in variants]
    result |= {key: schema[key] for key in _KEPT if key in schema}
    if "enum" in result or "const" in result:
        result.pop("type", None)
    elif "type" not in result and not combined:
        raise ValueError(f"{where}: a field that takes anything cannot be asked for")
    kept = _shape(schema, where, result)
    return _with_hints(result, {key: schema[key] for key in schema if key not in kept})


def _shape(schema: Schema, where: str, result: Schema) -> set[str]:
    """Adds what belongs to the type; returns the keywords that are dealt with."""
    dealt = _KEPT | _SILENT | set(_COMBINED)
    kind = schema.get("type")
    if kind == "object":
        if "properties" not in schema:
            raise ValueError(f"{where}: an open mapping would be allowed only empty; use a list of name and value")
        parts = {name: _enforceable(part, f"{where}.{name}") for name, part in schema["properties"].items()}
        result |= {"properties": parts, "additionalProperties": False}
        if schema.get("required"):
            result["required"] = schema["required"]
    if kind == "array":
        if "prefixItems" in schema or "items" not in schema:
            raise ValueError(f"{where}: a tuple of fixed types cannot be asked for; use an object")
        result["items"] = _enforceable(schema["items"], where)
        if schema.get("minItems") in (0, 1):
            result["minItems"] = schema["minItems"]
            dealt = dealt | {"minItems"}
    if kind == "string" and schema.get("format") in _FORMATS:
        result["format"] = schema["format"]
        dealt = dealt | {"format"}
    return dealt


def _with_hints(result: Schema, hints: Schema) -> Schema:
    if not hints:
        return result
    told = ", ".join(f"{name}: {value}" for name, value in sorted(hints.items()))
    before = result.get("description")
    return result | {"description": f"{before}\n\n{{{told}}}" if before else f"{{{told}}}"}


def _refuse_recursion(schema: Schema, name: str) -> None:
    parts: dict[str, Schema] = schema.get("$defs", {})
    uses = {name: _references(part) for name, part in parts.items()}
    for start in uses:
        reached, frontier = set[str](), {start}
        while frontier:
            frontier = set[str]().union(*(uses.get(part, set()) for part in frontier)) - reached
            reached |= frontier
        if start in reached:
            raise ValueError(f"{name}: {start} holds itself, which no provider takes")


def _references(node: object) -> set[str]:
    if isinstance(node, list):
        return set[str]().union(*(_references(item) for item in cast(list[object], node)))
    if not isinstance(node, dict):
        return set()
    entries = cast(Schema, node)
    own = {entries["$ref"].rpartition("/")[2]} if isinstance(entries.get("$ref"), str) else set[str]()
    return own.union(*(_references(value) for value in entries.values()))


def _spelled(value: object, schema: Schema, root: Schema) -> object:
    """Words of a closed vocabulary in the spelling of that vocabulary: providers do not promise their case."""
    if "$ref" in schema:
        return _spelled(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    variants = [variant for combined in _COMBINED for variant in schema.get(combined, ())]
    for variant in variants:
        value = _spelled(value, variant, root)
    return _spelled_parts(value, schema, root)


def _spelled_parts(value: object, schema: Schema, root: Schema) -> object:
    if isinstance(value, str):
        words = [word for word in [*schema.get("enum", ()), schema.get("const")] if isinstance(word, str)]
        return next((word for word in words if word.casefold() == value.casefold()), value)
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_spelled(item, schema["items"], root) for item in cast(list[object], value)]
    if isinstance(value, dict):
        parts = schema.get("properties", {})
        fields = cast(dict[str, object], value)
        return {name: _spelled(item, parts.get(name, {}), root) for name, item in fields.items()}
    return cast(object, value)
